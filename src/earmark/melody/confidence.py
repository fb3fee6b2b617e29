"""How sure it is that a tune is the one that was hummed.

A logistic function of what the tune costs (its distance, less what speaks for it beside), how far
it is ahead of the next, how much the next ones differ among themselves (a lead counts where they
hardly do), how many candidates there were, and how much was hummed.  Fitted on synthetic hums of
tunes that are in a library of 12 to 2,000 others, or are not; no recording of a person was used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from earmark.melody.notes import HOP
from earmark.types import Float32Array

ACCEPTED = 0.5
"""Least probability of the best hit; below it, there is no match.  Of synthetic hums of absent
tunes 4.8 % come over it."""

_BIAS = -7.92
_WEIGHTS = (-0.7, 8.42, 0.58, 0.76, 7.29)
"""Of cost, lead, length of the hum, number of candidates, spread."""

_NEXT = 9
"""Other tunes whose costs are looked at."""

_FAR = 3.0


def confidence_of(cost: float, others: Sequence[float], line: Float32Array) -> float:
    """Return the probability that a tune is right, 0 to 1.

    Parameters
    ----------
    cost : float
        Of the tune, in semitones.
    others : sequence of float
        Costs of the other candidates.
    line : float32 array, shape (frames,)
        The hum's contour.

    Examples
    --------
    >>> line = np.repeat(np.float32([60, 64, 62, 67, 65, 60]), 20)
    >>> confidence_of(-0.2, [0.7, 0.8, 0.9], line) > ACCEPTED > confidence_of(0.6, [0.7], line)
    True
    """
    nearest = np.sort(np.asarray([*others, *([_FAR] * (not others))], np.float64))[:_NEXT]
    lead = float(np.clip(nearest[0] - cost, -1, 1))
    spread = max(float(nearest.mean() - nearest[0]), 0.03)
    values = (cost, lead, length_of(line), math.log(1 + len(others)), spread)
    total = _BIAS + sum(w * v for w, v in zip(_WEIGHTS, values, strict=True))
    return 1 / (1 + math.exp(-min(max(total, -50.0), 50.0)))


def length_of(line: Float32Array) -> float:
    """How much was hummed, in no unit: from the number of changes of pitch and the time."""
    steps = np.abs(np.diff(line[line > 0]))
    return math.log(1 + float((steps > 0.6).sum()) / 4 + len(line) * HOP / 8)
