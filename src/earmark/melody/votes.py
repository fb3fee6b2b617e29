"""From near rows to places: which tunes, where in them and at which tempo, the windows agree on.

Each near row says where the query would begin in its track if its window were right.  Windows of
the same length that say the same place speak for one *line*; the tracks with the strongest lines
are the candidates that are then aligned.  Most people begin a tune where it begins: half of the
candidates are those whose lines from the very beginning are the strongest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array, Float64Array, Int64Array

BIN = 0.5
"""Seconds of the track within which places are the same."""

LINES = 4
"""Lines kept of a track."""

BEGINNING = 1.25
"""Seconds around the start of a tune that count as its beginning."""

_PLACES = 1 << 20

_FLOOR = 0.4
"""Similarity of windows that says nothing."""


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

    @classmethod
    def none(cls) -> Lines:
        """No lines."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def lines(
    segments: Float64Array,
    window: float,
    tracks: Int64Array,
    starts: Float64Array,
    scores: Float32Array,
    *,
    most_tracks: int,
    starts_only: bool = False,
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
        Tracks whose lines are returned, about half of them for lines at their beginning.
    starts_only : bool
        Only lines at the beginning of tracks count.
    """
    if not tracks.size or not (tracks >= 0).any():
        return Lines.none()
    ratio = (segments[:, 1] - segments[:, 0]) / window
    kinds, kind, count = np.unique(np.round(ratio, 3), return_inverse=True, return_counts=True)
    # Sums of many windows grow of themselves: between a sum and a mean.
    worth = (count**-0.5)[kind]
    gain = np.maximum(scores - _FLOOR, 0) * worth[:, None]
    begin = starts - (segments[:, 0] / ratio)[:, None]
    place = np.floor(begin / BIN).astype(np.int64) + 4096
    line = (np.maximum(tracks, 0) * len(kinds) + kind[:, None]) * _PLACES + place
    valid = tracks >= 0
    if starts_only:
        valid &= np.abs(begin) <= BEGINNING
    window_of = np.broadcast_to(np.arange(len(segments))[:, None], tracks.shape)
    found = _strongest(line[valid], window_of[valid], gain[valid], begin[valid], len(kinds))
    return best_lines(found, kinds, most_tracks, starts_only=starts_only)


def _strongest(
    line: Int64Array,
    window: Int64Array,
    gain: Float64Array,
    begin: Float64Array,
    kinds: int,
) -> Lines:
    """Sum what speaks for each line, a window once; strongest first, the ratios as indices."""
    order = np.lexsort((-gain, window, line))
    line, window, gain, begin = line[order], window[order], gain[order], begin[order]
    first = np.ones(len(line), bool)
    first[1:] = (line[1:] != line[:-1]) | (window[1:] != window[:-1])
    line, gain, begin = line[first], gain[first], begin[first]
    names, index = np.unique(line, return_inverse=True)
    total = np.bincount(index, gain, len(names))
    where = np.bincount(index, gain * begin, len(names)) / np.maximum(total, 1e-9)
    smooth = total.copy()
    for shift in (-1, 1):
        at = np.minimum(np.searchsorted(names, names + shift), max(0, len(names) - 1))
        smooth += np.where(names[at] == names + shift, total[at], 0)
    order = np.argsort(-smooth, kind="stable")
    track = names // _PLACES // kinds
    kind = (names // _PLACES % kinds).astype(np.float64)
    return Lines(track[order], where[order], kind[order], smooth[order].astype(np.float64))


def best_lines(found: Lines, kinds: Float64Array, most_tracks: int, *, starts_only: bool) -> Lines:
    """Keep the best lines of the tracks that are best anywhere, or best at their beginning.

    Parameters
    ----------
    found : Lines
        Strongest first; the ratios are indices into `kinds`.
    kinds : float64 array
    most_tracks : int
    starts_only : bool
        All lines are at beginnings.
    """
    anywhere = _distinct(found.tracks)
    begins = _distinct(found.tracks[np.abs(found.starts) <= BEGINNING])
    half = most_tracks if starts_only else most_tracks // 2
    best = np.union1d(anywhere[: most_tracks - half], begins[:half])
    keep = (_rank_within(found.tracks) < LINES) & np.isin(found.tracks, best)
    ratios = kinds[found.ratios[keep].astype(np.int64)]
    return Lines(found.tracks[keep], found.starts[keep], ratios, found.votes[keep])


def _distinct(values: Int64Array) -> Int64Array:
    """Each value once, in the order in which they come."""
    first = np.sort(np.unique(values, return_index=True)[1])
    ordered: Int64Array = values[first]
    return ordered


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
