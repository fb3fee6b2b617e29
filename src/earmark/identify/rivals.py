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

from earmark.identify.overlap import likeness
from earmark.identify.rows import Rows

RIVALS = 3
"""The rival that a match is measured against is the third: two may be versions of it."""

ALIKE, PROMISING = 0.6, 1.3
"""What has `ALIKE` of a match's weight may be a copy of it, if the match has `PROMISING` times the
weight that chance usually has."""

SAME_SOUND, AROUND = 0.6, 0.5
"""Similarity of two tracks' rows along their lines from which on they are one recording, and
seconds around a match that are looked at: its neighbours lie between rows."""


@dataclass(frozen=True)
class Place:
    """Where a query lies in a track; `span` in seconds of the track."""

    track: int
    offset: float
    speed: float
    span: tuple[float, float]


def rival_weights(
    weights: Sequence[float], is_copy: Callable[[int], bool], *, least: Sequence[float]
) -> list[float]:
    """The weight of the rival that each match is measured against: the third lower one.

    Parameters
    ----------
    weights : sequence of float
        Of matches, best first.
    is_copy : callable
        Tells whether the match at a place is the same sound as the first; asked only of those that
        have nearly its weight.
    least : sequence of float
        Weight that chance usually has, for each match: no rival counts as worse, nor does a
        missing one.
    """
    if not weights:
        return []
    promising = weights[0] > PROMISING * least[0]
    copies = {0} | {
        place
        for place, weight in enumerate(weights)
        if place and promising and weight > ALIKE * weights[0] and is_copy(place)
    }
    found = []
    for place in range(len(weights)):
        skipped = copies if place in copies else set()
        rivals = [w for i, w in enumerate(weights) if i > place and i not in skipped]
        found.append(max(least[place], *rivals[RIVALS - 1 : RIVALS], 0.0))
    return found


def same_sound(rows: Rows, one: Place, other: Place) -> bool:
    """Whether two tracks are alike along the lines that a query lies on in both."""
    sides = []
    for place in (one, other):
        start, end = place.span
        times, found = rows.stretch(place.track, start - AROUND, end + AROUND)
        sides.append((times, np.asarray(found, np.float32)))
    if not all(len(times) for times, _ in sides):
        return False
    speed = other.speed / one.speed
    return likeness(*sides, offset=other.offset - speed * one.offset, speed=speed) > SAME_SOUND
