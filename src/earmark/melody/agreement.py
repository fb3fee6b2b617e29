"""How well all windows of a query agree on places of some tracks, by all rows of these tracks.

Votes (`earmark.melody.votes`) only see the rows that happen to be among the nearest of a whole
library.  Here every window of the query is compared with every row of the tracks that the votes
brought up, and similarities are added along lines: the track's rows that a query would meet if it
began at one of them, at one tempo.  A window that fits badly then counts as that, and one that came
just too late for a vote counts too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.melody.votes import BEGINNING, Lines, best_lines
from earmark.types import Float32Array, Float64Array, Int64Array

FLOOR = 0.4
"""Similarity of windows that says nothing."""

NEIGHBOR = 0.9
"""What the similarity of the row before or after counts: nobody keeps time to half a second."""

CROWD = 0.4
"""Means of so many windows are multiplied by their number to this power: many that agree say more
than a few."""

_WORTH = 0.6
"""Part of a track's best sum from which on other lines of it are given too."""


@dataclass(frozen=True)
class Rows:
    """All rows of some tracks, ordered by track, then by start.

    `tracks` are ids, `starts` seconds, both of shape (m,); `vectors` have shape (m, ndim).
    """

    tracks: Int64Array
    starts: Float64Array
    vectors: Float32Array


@dataclass(frozen=True)
class _Slots:
    """Rows at even steps: `owner` is the index of the track, `at` the step in it."""

    vectors: Float32Array
    owner: Int64Array
    at: Int64Array
    tracks: Int64Array


def lines(
    segments: Float64Array,
    vectors: Float32Array,
    rows: Rows,
    *,
    window: float,
    step: float,
    most_tracks: int,
    starts_only: bool = False,
) -> Lines:
    """Find the lines that all windows of a query agree on.

    Parameters
    ----------
    segments : float64 array, shape (q, 2)
        Of the query's windows, in seconds.
    vectors : float32 array, shape (q, ndim)
        Of the query's windows; length 1, as those of the rows.
    rows : Rows
    window, step : float
        Seconds of a track's window, and between two of them.
    most_tracks : int
        Tracks whose lines are returned, about half of them for lines at their beginning.
    starts_only : bool
        Only lines at the beginning of tracks count.

    Returns
    -------
    Lines
        `votes` are the mean similarity above `FLOOR`, a little less for lengths of windows of
        which there are few.
    """
    if not len(rows.tracks) or not len(vectors):
        return Lines.none()
    ratio = (segments[:, 1] - segments[:, 0]) / window
    kinds, kind = np.unique(np.round(ratio, 3), return_inverse=True)
    slots = _even(rows, step)
    alike = _blurred(vectors @ slots.vectors.T)
    most = int(np.bincount(kind).max())
    found = []
    for k, length in enumerate(kinds.tolist()):
        own = np.flatnonzero(kind == k)
        away = np.round(segments[own, 0] / length / step).astype(np.int64)
        worth = np.float32((len(own) / most) ** CROWD / len(own))
        total = _along(alike, own, away, slots.owner) * worth
        if starts_only:
            total[slots.at * step > BEGINNING] = 0
        peaks, begin = _peaks(total, slots)
        found.append((peaks, begin * step, np.full(len(peaks), k), total[peaks]))
    peak, begin, which, votes = (np.concatenate(part) for part in zip(*found, strict=True))
    best = np.zeros(len(slots.tracks))
    np.maximum.at(best, slots.owner[peak], votes)
    keep = votes >= _WORTH * best[slots.owner[peak]]
    order = np.flatnonzero(keep)[np.argsort(-votes[keep], kind="stable")]
    every = Lines(
        slots.tracks[slots.owner[peak[order]]],
        begin[order],
        which[order].astype(np.float64),
        votes[order].astype(np.float64),
    )
    return best_lines(every, kinds, most_tracks, starts_only=starts_only)


def _even(rows: Rows, step: float) -> _Slots:
    """Put rows on an even grid: where a track has no row, its vector is zero."""
    slot = np.round(rows.starts / step).astype(np.int64)
    tracks, first = np.unique(rows.tracks, return_index=True)
    last = np.append(first[1:], len(slot)) - 1
    size = slot[last] + 1
    base = np.cumsum(size) - size
    owner = np.repeat(np.arange(len(tracks)), size)
    vectors = np.zeros((len(owner), rows.vectors.shape[1]), np.float32)
    vectors[np.repeat(base, last - first + 1) + slot] = rows.vectors
    return _Slots(vectors, owner, np.arange(len(owner)) - base[owner], tracks)


def _blurred(similarity: Float32Array) -> Float32Array:
    """What similarities, shape (q, slots), count, those of the neighbours a little less."""
    above = np.maximum(similarity - np.float32(FLOOR), 0)
    blurred: Float32Array = above.copy()
    near = above * np.float32(NEIGHBOR)
    np.maximum(blurred[:, 1:], near[:, :-1], out=blurred[:, 1:])
    np.maximum(blurred[:, :-1], near[:, 1:], out=blurred[:, :-1])
    return blurred


def _along(
    alike: Float32Array, own: Int64Array, away: Int64Array, owner: Int64Array
) -> Float32Array:
    """Sum of similarities along the lines that begin at each slot, shape (slots,)."""
    total = np.zeros(len(owner), np.float32)
    inside: dict[int, Float32Array] = {}
    for i, far in zip(own.tolist(), away.tolist(), strict=True):
        if far >= len(owner):
            continue
        if far not in inside:
            inside[far] = (owner[far:] == owner[: len(owner) - far]).astype(np.float32)
        total[: len(owner) - far] += alike[i, far:] * inside[far]
    return total


def _peaks(total: Float32Array, slots: _Slots) -> tuple[Int64Array, Float64Array]:
    """Slots whose sum is highest around, and where between slots the peak lies, in steps."""
    before, after = np.zeros_like(total), np.zeros_like(total)
    same = slots.owner[1:] == slots.owner[:-1]
    before[1:] = np.where(same, total[:-1], 0)
    after[:-1] = np.where(same, total[1:], 0)
    peaks = np.flatnonzero((total > 0) & (total >= before) & (total > after))
    left, middle, right = (part[peaks].astype(np.float64) for part in (before, total, after))
    bend = np.maximum(2 * middle - left - right, 1e-9)
    between = np.clip(0.5 * (right - left) / bend, -0.5, 0.5)
    return peaks.astype(np.int64), slots.at[peaks].astype(np.float64) + between
