"""Pairs of tracks that share sound, without comparing all pairs.

Every few seconds a row of each track is looked up among the rows of all tracks, in few lists of
the index: a copy's row is nearly the same row, and if one is missed, the next is not.  What is
found votes for pairs; pairs with votes along one line are compared row by row.  The work is
proportional to the rows of the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.encoders import fingerprint
from earmark.identify.overlap import Overlap, overlap, through_votes
from earmark.identify.rows import StoredRows
from earmark.types import AnyArray, Float32Array, Float64Array, Int64Array, Store

NEAR, PROBES = 24, 4
EVERY = 9
"""Rows from one that is looked up to the next: four and a half seconds."""

ALIKE = 0.5
"""Least similarity of a vote: strangers' rows are rarely so alike, copies' mostly more."""

VOTES, SHARE = 2, 0.15
"""Votes that a pair needs along one line: so many, and so many for each row of the shorter track
that was looked up.  One is enough for tracks with hardly any rows."""

_WEIGHT = 0.1
"""Of a vote that is just alike enough."""

FEW = 12
"""Rows below which they prove nothing: the sound itself must (`earmark.library.short_proof`)."""

NEARLY_THE_SAME = 0.8
"""Similarity from which on two tracks of few rows are worth listening to."""

SURE = 0.5
BATCH = 4096


@dataclass(frozen=True)
class _Votes:
    """Moments of two tracks that resemble each other; `a` is the smaller id."""

    a: Int64Array
    b: Int64Array
    a_times: Float64Array
    b_times: Float64Array
    weights: Float64Array


def compare(store: Store, tracks: Sequence[int]) -> Iterator[tuple[int, int, Overlap]]:
    """Find pairs of tracks that share sound.

    Parameters
    ----------
    store : Store
        With rows of the fingerprint.
    tracks : sequence of int
        Ids, ascending, among which to look.

    Yields
    ------
    a, b, overlap
        Ids, the smaller first, and where they are the same.  If one has fewer than `FEW` rows the
        overlap is a guess.
    """
    chosen = np.asarray(tracks, np.int64)
    everything = len(chosen) == store.count()
    rows = StoredRows(store, fingerprint.NAME, tracks=None if everything else chosen)
    votes = _joined(list(_votes(store, rows, chosen)))
    order = np.lexsort((votes.b, votes.a))
    a, b = votes.a[order], votes.b[order]
    if not len(a):
        return
    begins = np.flatnonzero(np.r_[True, (np.diff(a) != 0) | (np.diff(b) != 0)])
    for begin, end in zip(begins, np.append(begins[1:], len(a)), strict=True):
        some = order[begin:end]
        line = through_votes(votes.a_times[some], votes.b_times[some], votes.weights[some])
        pair = (int(a[begin]), int(b[begin]))
        strongest = float(votes.weights[some].max()) + ALIKE - _WEIGHT
        if (found := _proof(store, pair, line, strongest)) is not None:
            yield *pair, found


def _votes(store: Store, rows: StoredRows, tracks: Int64Array) -> Iterator[_Votes]:
    """Look up rows of all tracks, in batches of bounded size."""
    keys: list[Int64Array] = []
    waiting = 0
    for track in tracks.tolist():
        own = store.keys(fingerprint.NAME, track)
        # From the middle of a step on, so that a short track is asked too.
        keys.append(own[min(EVERY // 2, len(own) // 2) :: EVERY])
        waiting += len(keys[-1])
        if waiting >= BATCH:
            yield _asked(store, rows, tracks, np.concatenate(keys))
            keys, waiting = [], 0
    if waiting:
        yield _asked(store, rows, tracks, np.concatenate(keys))


def _asked(store: Store, rows: StoredRows, tracks: Int64Array, keys: Int64Array) -> _Votes:
    places = store.locate(fingerprint.NAME, keys)
    asked = store.vectors(fingerprint.NAME, keys)
    similarity, found, times = rows.near(asked, NEAR, probes=PROBES)
    own = places.tracks[:, None]
    good = (found >= 0) & (found != own) & (similarity >= ALIKE)
    row, column = np.nonzero(good)
    mine, theirs = places.tracks[row], found[row, column]
    my_times = ((places.starts + places.ends) / 2)[row]
    their_times = times[row, column]
    known = np.isin(theirs, tracks)
    swap = mine > theirs
    return _Votes(
        np.where(swap, theirs, mine)[known],
        np.where(swap, mine, theirs)[known],
        np.where(swap, their_times, my_times)[known],
        np.where(swap, my_times, their_times)[known],
        similarity[row, column].astype(np.float64)[known] - ALIKE + _WEIGHT,
    )


def _joined(parts: Sequence[_Votes]) -> _Votes:
    def all_of(name: str) -> AnyArray:
        return np.concatenate([getattr(part, name) for part in parts])

    if not parts:
        ints, floats = np.zeros(0, np.int64), np.zeros(0)
        return _Votes(ints, ints, floats, floats, floats)
    return _Votes(*(all_of(n) for n in ("a", "b", "a_times", "b_times", "weights")))


def _proof(
    store: Store, pair: tuple[int, int], line: tuple[float, float, int], strongest: float
) -> Overlap | None:
    """Compare two tracks along a line; None unless they very probably share sound."""
    shortest = min(len(store.keys(fingerprint.NAME, track)) for track in pair)
    if shortest < FEW:
        return _guess(store, pair, line[0], strongest)
    if shortest > 2 * EVERY and line[2] < max(VOTES, SHARE * shortest / EVERY):
        return None
    a, b = (_rows(store, track) for track in pair)
    found = overlap(a, b, offset=line[0], speed=line[1])
    return found if found is not None and found.confidence >= SURE else None


def _guess(store: Store, pair: tuple[int, int], offset: float, strongest: float) -> Overlap | None:
    """What a track of few rows would share with another if it were all of it."""
    if strongest < NEARLY_THE_SAME:
        return None
    (a_low, a_high), (b_low, b_high) = (_ends(store, track) for track in pair)
    start, end = max(a_low, b_low - offset), min(a_high, b_high - offset)
    if end <= start:
        return None
    return Overlap(offset, 1.0, start, end, start + offset, end + offset, 1, strongest, 0.0, 0.0)


def _ends(store: Store, track: int) -> tuple[float, float]:
    places = store.locate(fingerprint.NAME, store.keys(fingerprint.NAME, track))
    return float(places.starts.min()), float(places.ends.max())


def _rows(store: Store, track: int) -> tuple[Float64Array, Float32Array]:
    keys = store.keys(fingerprint.NAME, track)
    places = store.locate(fingerprint.NAME, keys)
    rows = store.vectors(fingerprint.NAME, keys).astype(np.float32, copy=False)
    return (places.starts + places.ends) / 2, rows
