"""From near rows to places: which tunes, where in them and at which tempo, the windows agree on.

Each near row says where the query would begin in its track if its window were right.  Windows of
the same length that say the same place speak for one *line*; the tracks with the strongest lines
are the candidates that are then aligned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array, Float64Array, Int64Array

BIN = 0.5
"""Seconds of the track within which places are the same."""

LINES = 4
"""Lines kept of a track."""


@dataclass(frozen=True)
class Lines:
    """Where queries may lie in tracks; arrays of shape (n,), strongest first.

    `tracks` are ids, `starts` the seconds of the track at which the query begins, `ratios` the
    seconds of the query per second of the track, `votes` what speaks for it.
    """

    tracks: Int64Array
    starts: Float64Array
    ratios: Float64Array
    votes: Float64Array


def lines(
    segments: Float64Array,
    window: float,
    tracks: Int64Array,
    starts: Float64Array,
    scores: Float32Array,
    *,
    most_tracks: int,
) -> Lines:
    """Collect the lines that near rows speak for.

    Parameters
    ----------
    segments : float64 array, shape (q, 2)
        Of the query's windows.
    window : float
        Seconds of a track's window.
    tracks : int64 array, shape (q, k)
        Of the rows near to each window, -1 for none.
    starts : float64 array, shape (q, k)
        Of those rows, in seconds.
    scores : float32 array, shape (q, k)
        Their similarities, nearest first.
    most_tracks : int
        Tracks whose lines are returned.
    """
    if not tracks.size or not (tracks >= 0).any():
        nothing = np.zeros(0)
        return Lines(np.zeros(0, np.int64), nothing, nothing, nothing)
    ratio = (segments[:, 1] - segments[:, 0]) / window
    kinds, kind, count = np.unique(np.round(ratio, 3), return_inverse=True, return_counts=True)
    worth = (1.0 / count)[kind]
    floor = np.where(tracks >= 0, scores, np.inf).min(axis=1, keepdims=True)
    gain = np.maximum(scores - np.minimum(floor, 0.98), 0) / np.maximum(1 - floor, 0.02)
    gain = gain * worth[:, None]
    begin = starts - (segments[:, 0] / ratio)[:, None]
    place = np.floor(begin / BIN).astype(np.int64) + 4096
    line = (np.maximum(tracks, 0) * len(kinds) + kind[:, None]) * (1 << 20) + place
    valid = tracks >= 0
    window_of = np.broadcast_to(np.arange(len(segments))[:, None], tracks.shape)
    return _strongest(line[valid], window_of[valid], gain[valid], begin[valid], kinds, most_tracks)


def _strongest(
    line: Int64Array,
    window: Int64Array,
    gain: Float64Array,
    begin: Float64Array,
    kinds: Float64Array,
    most_tracks: int,
) -> Lines:
    """Sum what speaks for each line, a window once, and keep the best lines of the best tracks."""
    order = np.lexsort((-gain, window, line))
    line, window, gain, begin = line[order], window[order], gain[order], begin[order]
    first = np.ones(len(line), bool)
    first[1:] = (line[1:] != line[:-1]) | (window[1:] != window[:-1])
    line, gain, begin = line[first], gain[first], begin[first]
    names, index = np.unique(line, return_inverse=True)
    total = np.bincount(index, gain)
    where = np.bincount(index, gain * begin) / np.maximum(total, 1e-9)
    smooth = total.copy()
    for shift in (-1, 1):
        at = np.minimum(np.searchsorted(names, names + shift), len(names) - 1)
        smooth += np.where(names[at] == names + shift, total[at], 0)
    track, kind = names // (1 << 20) // len(kinds), names // (1 << 20) % len(kinds)
    order = np.argsort(-smooth, kind="stable")
    track, kind, smooth, where = track[order], kind[order], smooth[order], where[order]
    rank = _rank_within(track)
    best = {int(t): i for i, t in enumerate(track[rank == 0][:most_tracks])}
    keep = (rank < LINES) & np.isin(track, list(best))
    where_: Float64Array = where[keep]
    return Lines(track[keep], where_, kinds[kind[keep]], smooth[keep].astype(np.float64))


def _rank_within(groups: Int64Array) -> Int64Array:
    """The place of each entry among those of its group, in the given order."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.ones(len(groups), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(groups)), 0))
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - begin
    return rank
