"""Rivals: the other tracks that a query seems to be in, and whether they are only copies.

A right match stands alone; chance gives several tracks of nearly the same evidence, and so do
clicks, hums and tones, which resemble a moment of many tracks.  But a library may hold one
recording many times (a jingle in fifty days of radio): tracks that are alike along the lines that
the query lies on in both are copies, and no rivals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.identify.overlap import overlap
from earmark.identify.rows import Rows

RIVALS = 3
"""The rival that a match is measured against is the third: two may be versions of it."""

ALIKE, PROMISING = 0.6, 1.3
"""What has `ALIKE` of a match's weight may be a copy of it, if the match has `PROMISING` times the
weight that chance usually has."""

SAME_SOUND, AROUND = 0.6, 4.0
"""Similarity of two tracks' rows along their lines from which on they are one recording, and
seconds before and after a match that are compared as well: a query may be too short to tell."""


@dataclass(frozen=True)
class Place:
    """Where a query lies in a track; `span` in seconds of the track."""

    track: int
    offset: float
    speed: float
    span: tuple[float, float]


def rival_weight(
    weights: Sequence[float], is_copy: Callable[[int], bool], *, least: float
) -> float:
    """The weight of the rival that a match is measured against.

    Parameters
    ----------
    weights : sequence of float
        Of the match, then of all matches that rank lower, best first.
    is_copy : callable
        Tells whether the match at a place in `weights` is the same sound as the first.
    least : float
        Weight that chance usually has: no rival counts as worse, nor does a missing one.
    """
    promising = weights[0] > PROMISING * least
    rivals = 0
    for place, weight in enumerate(weights[1:], 1):
        if weight <= least:
            break
        if promising and weight > ALIKE * weights[0] and is_copy(place):
            continue
        rivals += 1
        if rivals == RIVALS:
            return weight
    return least


def same_sound(rows: Rows, one: Place, other: Place) -> bool:
    """Whether two tracks are alike along the lines that a query lies on in both."""
    sides = []
    for place in (one, other):
        start, end = place.span
        times, found = rows.stretch(place.track, start - AROUND, end + AROUND)
        sides.append((times, np.asarray(found, np.float32)))
    speed = other.speed / one.speed
    both = overlap(*sides, offset=other.offset - speed * one.offset, speed=speed)
    return both is not None and both.similarity > SAME_SOUND
