"""Which tunes a hum is: from near rows to aligned candidates, best first.

Near rows vote for lines (`earmark.melody.votes`); the lines of the best tracks, and the beginnings
of those tracks, are tried at nearby tempi and places; what lies best is allowed to bend
(`earmark.melody.align`).  A tune's cost is in semitones: the mean distance of the hum from it, with
a little less for lines that begin where people begin to hum: at the beginning of a tune, or after
a rest in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.melody import align, windows
from earmark.melody.align import Path, Points, Targets
from earmark.melody.notes import HOP
from earmark.melody.votes import Lines
from earmark.types import Float32Array, Float64Array, Int64Array

CANDIDATES = 300
"""Tracks whose lines are tried."""

WARPED_TRACKS = 120
"""Tracks, those with the best lines, whose lines may bend."""

_RATIOS = np.array([0.84, 0.917, 1.0, 1.09, 1.19])
_PLACES = np.arange(-0.4, 0.41, 0.2)
_BEGIN_RATIOS = 2.0 ** np.arange(-0.875, 0.9, 0.125)
_BEGIN_PLACES = np.array([-0.5, 0.0, 0.5])
_KEYS = np.array([-0.6, 0.0, 0.6], np.float32)
_WARPED = 2
"""Lines of a track that may bend."""

AT_BEGINNING = 0.10
"""Semitones that a line at the beginning of a tune is better for it."""

AFTER_REST = 0.03

AGREED = 1.5
"""Semitones that a tune is better for each unit of agreement of its windows."""

_NEAR_BEGINNING = 1.0
_REST_SECONDS = 0.25

Contours = Callable[[Sequence[int]], list[Float32Array]]
"""Gives the contours of tracks by their ids."""


@dataclass(frozen=True)
class Found:
    """One tune that a hum may be.

    Parameters
    ----------
    track : int
    cost : float
        Semitones, prior included.
    distance : float
        Semitones of the line and the warp, without the prior.
    agreement : float
        How well the windows agree on the tune, 0 to about 0.6.
    start, end : float
        Where the hum lies in the tune, in seconds.
    ratio : float
        Seconds of the hum per second of the tune.
    key : float
        Semitones that the hum lies above the tune.
    """

    track: int
    cost: float
    distance: float
    agreement: float
    start: float
    end: float
    ratio: float
    key: float


@dataclass(frozen=True)
class Aligned:
    """A hum against its candidates: the tunes found, best first, and what paths need."""

    found: tuple[Found, ...]
    query: Points
    targets: Targets
    index: dict[int, int]

    def paths(self, several: Sequence[Found]) -> list[Path]:
        """Lay the hum point by point over some of the tunes."""
        return align.paths(
            self.query,
            self.targets,
            np.array([self.index[found.track] for found in several], np.int64),
            np.array([found.start for found in several]),
            np.array([found.ratio for found in several]),
            np.array([found.key for found in several], np.float32),
        )


def trimmed(line: Float32Array) -> tuple[Float32Array, int]:
    """Return a contour without the rests at its ends, and how many frames went before it."""
    sounding = np.flatnonzero(line > 0)
    if not len(sounding):
        return line[:0], 0
    first, last = int(sounding[0]), int(sounding[-1])
    return line[first : last + 1], first


def match(line: Float32Array, lines: Lines, contours: Contours, *, starts: bool = False) -> Aligned:
    """Align a hum with its candidates.

    Parameters
    ----------
    line : float32 array, shape (frames,)
        The hum's contour, trimmed, not empty.
    lines : Lines
        Where the candidates may be.
    contours : callable
    starts : bool
        The hum begins where the tune does.

    Returns
    -------
    Aligned
    """
    tracks = list(dict.fromkeys(lines.tracks.tolist()))
    index = {track: i for i, track in enumerate(tracks)}
    found = align.targets(contours(tracks))
    bent = align.warp_points(line)
    if not tracks:
        return Aligned((), bent, found, index)
    which, begin, ratio = _proposals(lines, index, starts=starts)
    agreed = np.zeros(len(tracks))
    np.maximum.at(agreed, [index[track] for track in lines.tracks.tolist()], lines.votes)
    straight = align.query_points(line, points=align.LINE_POINTS)
    keys, costs = align.lines_cost(straight, found, which, begin, ratio)
    bonus = _bonus(found, which, begin) + AGREED * agreed[which]
    keep = _best_lines(which, begin, ratio, costs - bonus)
    which, begin, ratio, bonus = which[keep], begin[keep], ratio[keep], bonus[keep]
    keys, costs = keys[keep], costs[keep]
    warped = np.stack([align.warp_cost(bent, found, which, begin, ratio, keys + d) for d in _KEYS])
    choice = warped.argmin(axis=0)
    distance = 0.5 * (warped.min(axis=0) + costs)
    total = distance - bonus
    seconds = len(line) * HOP
    results: dict[int, Found] = {}
    for i in np.argsort(total, kind="stable"):
        track = tracks[which[i]]
        if track in results:
            continue
        results[track] = Found(
            track,
            float(total[i]),
            float(distance[i]),
            float(agreed[which[i]]),
            float(begin[i]),
            float(begin[i] + seconds / ratio[i]),
            float(ratio[i]),
            float(keys[i] + _KEYS[choice[i]]),
        )
    return Aligned(tuple(results.values()), bent, found, index)


def _proposals(
    lines: Lines, index: dict[int, int], *, starts: bool
) -> tuple[Int64Array, Float64Array, Float64Array]:
    """Lines around those voted for, and at the beginnings: candidate, start and ratio of each."""
    which = np.array([index[t] for t in lines.tracks.tolist()], np.int64)
    shape = (len(which), len(_RATIOS), len(_PLACES))
    begin = np.broadcast_to(lines.starts[:, None, None] + _PLACES, shape).ravel()
    ratio = np.broadcast_to(lines.ratios[:, None, None] * _RATIOS[:, None], shape).ravel()
    owner = np.broadcast_to(which[:, None, None], shape).ravel()
    if starts:
        keep = np.abs(begin) <= _NEAR_BEGINNING
        begin, ratio, owner = begin[keep], ratio[keep], owner[keep]
    shape = (len(index), len(_BEGIN_RATIOS), len(_BEGIN_PLACES))
    every = np.arange(len(index))[:, None, None]
    return (
        np.concatenate([owner, np.broadcast_to(every, shape).ravel()]),
        np.concatenate([begin, np.broadcast_to(_BEGIN_PLACES, shape).ravel()]),
        np.concatenate([ratio, np.broadcast_to(_BEGIN_RATIOS[:, None], shape).ravel()]),
    )


def _bonus(found: Targets, which: Int64Array, begin: Float64Array) -> Float64Array:
    """What lines are better for where they begin."""
    frames = np.round(begin / HOP).astype(np.int64)
    first, count = found.first[which], found.count[which]
    sums = np.concatenate([[0.0], np.cumsum(found.voiced)])
    window = round(_REST_SECONDS / HOP)
    low = first + np.clip(frames - window, 0, count)
    high = first + np.clip(frames, 0, count)
    rested = (high > low) & (sums[high] - sums[low] < 0.5 * (high - low))
    beginning = np.abs(begin) <= _NEAR_BEGINNING
    return np.where(beginning, AT_BEGINNING, np.where(rested, AFTER_REST, 0.0))


def _best_lines(
    which: Int64Array, begin: Float64Array, ratio: Float64Array, costs: Float64Array
) -> Int64Array:
    """Indices of the best lines of each candidate, those that are nearly the same once."""
    order = np.argsort(costs, kind="stable")
    place = np.round(begin[order] / 0.6).astype(np.int64)
    speed = np.round(np.log2(ratio[order]) * 4).astype(np.int64)
    cell = (which[order] * 100_003 + place) * 64 + speed
    first = np.sort(np.unique(cell, return_index=True)[1])
    order = order[first]
    grouped = np.argsort(which[order], kind="stable")
    owner = which[order][grouped]
    new = np.ones(len(owner), bool)
    new[1:] = owner[1:] != owner[:-1]
    begin_of = np.maximum.accumulate(np.where(new, np.arange(len(owner)), 0))
    rank = np.arange(len(owner)) - begin_of
    kept: Int64Array = order[grouped[rank < _WARPED]]
    leaders = order[grouped[rank == 0]]
    leaders = leaders[np.argsort(costs[leaders], kind="stable")][:WARPED_TRACKS]
    return kept[np.isin(which[kept], which[leaders])]


def has_tune(line: Float32Array) -> str:
    """Say why a trimmed contour, shape (frames,), is no tune; empty if it may be one."""
    voiced = line[line > 0]
    if len(voiced) * HOP < windows.LEAST_SECONDS:
        return "no pitch was heard" if not len(voiced) else "too little was hummed"
    low, high = np.percentile(voiced, [5, 95])
    if high - low < windows.LEAST_RANGE:
        return "only one note was heard"
    return ""
