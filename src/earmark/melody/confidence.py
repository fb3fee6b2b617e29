"""How sure it is that a tune is the one that was hummed."""

from __future__ import annotations

import math

import numpy as np

from earmark.melody.matching import Found
from earmark.melody.notes import HOP
from earmark.types import Float32Array

ACCEPTED = 0.5
"""Least probability of the best hit; below it, there is no match."""

_WEIGHTS = {"bias": 5.0, "distance": -6.0, "lead": 5.0, "notes": 0.6}


def confidence_of(found: Found, line: Float32Array, other: float) -> float:
    """Return the probability that a tune is right, 0 to 1.

    Parameters
    ----------
    found : Found
    line : float32 array, shape (frames,)
        The hum's contour.
    other : float
        Distance of the best other tune, in semitones.
    """
    steps = np.abs(np.diff(line[line > 0]))
    notes = math.log(1 + float((steps > 0.6).sum()) / 4 + len(line) * HOP / 8)
    value = (
        _WEIGHTS["bias"]
        + _WEIGHTS["distance"] * found.distance
        + _WEIGHTS["lead"] * float(np.clip(other - found.distance, -1, 1))
        + _WEIGHTS["notes"] * notes
    )
    return 1 / (1 + math.exp(-value))
