"""From query rows to ranked tracks with one encoder: widening, exact rescoring, likes and unlikes.

A *probe* is one thing to resemble (or not): the rows of a recording, of a stored track, or of a
text.  With a single probe a track's distance is that of `match.best_segment`.  With several, a
track scores the mean of its scores for the liked probes minus the mean of its scores for the
unliked ones; each of these scores is exact (all stored rows of the track are looked at), and the
candidates are the tracks nearest to each liked probe.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from earmark import distance as distances
from earmark.match import TrackMatch, best_segment
from earmark.types import (
    AnyArray,
    Encoded,
    EncoderSpec,
    Float64Array,
    Int64Array,
    Neighbors,
    RowSpec,
    Segments,
    Store,
)

MAX_QUERY_ROWS = 512
"""A longer query is thinned to this many evenly spaced rows: it bounds time and memory."""

MAX_NEIGHBORS = 8192
"""Most neighbors that are asked for per query row before a short answer is accepted."""

MAX_RESCORED_ROWS = 200_000
"""Most stored rows that are read to make the distances of the best tracks exact."""


_ROWS_AT_ONCE = 4096
"""Rows whose distances to a query are taken in one table."""


@dataclass(frozen=True)
class Options:
    """How to search, whatever the encoder.

    Parameters
    ----------
    k : int
        Tracks wanted.
    tracks : int64 array, optional
        Only these tracks, ascending.
    exclude : frozenset of int
        Tracks left out (the query's own).
    prefer : frozenset of int
        Tracks that come first among equals (the query's own).
    exact : bool
        Look at every row.
    """

    k: int
    tracks: Int64Array | None = None
    exclude: frozenset[int] = frozenset()
    prefer: frozenset[int] = frozenset()
    exact: bool = False


def thin(encoded: Encoded, limit: int = MAX_QUERY_ROWS) -> Encoded:
    """Return at most `limit` evenly spaced rows, first and last included.

    Examples
    --------
    >>> rows = np.arange(5, dtype=np.float32)[:, None]
    >>> thin(Encoded(rows, np.zeros((5, 2))), 3).rows.ravel().tolist()
    [0.0, 2.0, 4.0]
    """
    if len(encoded.rows) <= limit:
        return encoded
    chosen = np.round(np.linspace(0, len(encoded.rows) - 1, limit)).astype(np.int64)
    return replace(
        encoded,
        rows=encoded.rows[chosen],
        segments=encoded.segments[chosen],
        refine=None if encoded.refine is None else encoded.refine[chosen],
    )


def search_rows(
    store: Store, spec: EncoderSpec, probe: Encoded, options: Options
) -> list[TrackMatch]:
    """Return the `options.k` tracks nearest to one probe.

    More neighbors are asked for until there are enough tracks: many near rows may lie in few
    tracks.  Afterwards the distances of the best tracks are made exact from their stored rows.
    """
    probe = thin(probe)
    if not len(probe.rows) or (options.tracks is not None and not len(options.tracks)):
        return []
    wanted = options.k + len(options.exclude)
    most = max(3 * options.k, 32)
    # One row alone needs no more neighbors than give enough tracks; of several rows each that is
    # missed makes a track's mean a bound only.
    each, least = (3, 32) if len(probe.rows) == 1 else (10, 64)
    per_row = int(np.clip(each * wanted, least, MAX_NEIGHBORS))
    while True:
        neighbors = store.search(
            spec.name,
            probe.rows,
            per_row,
            tracks=options.tracks,
            refine=probe.refine,
            exact=options.exact,
        )
        segments = store.locate(spec.name, neighbors.keys.ravel())
        matches = _merge(neighbors, segments, spec, probe, options, most=wanted + most)
        all_seen = bool((neighbors.keys[:, -1] < 0).all())
        if len(matches) >= options.k or all_seen or per_row >= MAX_NEIGHBORS:
            break
        per_row = min(4 * per_row, MAX_NEIGHBORS)
    # Rows kept in half precision are compared as they are by the scan: 1e-4 off at most.
    found = {m.track for m in matches}
    own = _allowed(options.prefer - found, options)
    if len(probe.rows) > 1 or own or _form(spec, probe)[2].dtype == "float16":
        candidates = [m.track for m in matches[:most]]
        final = exact_matches(
            store, spec, probe, [*own, *candidates], options, most_rows=MAX_RESCORED_ROWS
        )
        # What was not read keeps its place behind: its distances are only lower bounds.
        done = {m.track for m in final}
        matches = final + [m for m in matches if m.track not in done]
    return matches[: options.k]


@dataclass(frozen=True)
class Weighted:
    """A probe, and how much it counts beside others."""

    probe: Encoded
    weight: float = 1.0


def search_probes(
    store: Store,
    spec: EncoderSpec,
    liked: Sequence[Weighted],
    unliked: Sequence[Weighted],
    options: Options,
) -> list[TrackMatch]:
    """Return the `options.k` tracks that resemble the liked probes and not the unliked ones.

    A track scores the weighted mean over the liked minus that over the unliked, the latter times
    the largest weight that is not liked.
    """
    if len(liked) == 1 and not unliked:
        return search_rows(store, spec, liked[0].probe, options)
    wide = replace(options, k=max(5 * options.k, 64))
    candidates = sorted({m.track for p in liked for m in search_rows(store, spec, p.probe, wide)})
    positive = [_by_track(store, spec, p.probe, candidates, options) for p in liked]
    negative = [_by_track(store, spec, p.probe, candidates, options) for p in unliked]
    strength = max((p.weight for p in unliked), default=0.0) / max(p.weight for p in liked)
    combined = []
    for track in candidates:
        good = [matches[track] for matches in positive if track in matches]
        if len(good) < len(positive):
            continue  # removed by another process meanwhile
        bad = [
            (matches[track].score, p.weight)
            for matches, p in zip(negative, unliked, strict=True)
            if track in matches
        ]
        best = max(good, key=lambda m: m.score)
        score = _mean([(m.score, p.weight) for m, p in zip(good, liked, strict=True)])
        combined.append(replace(best, score=score - (strength * _mean(bad) if bad else 0.0)))
    combined.sort(key=lambda m: (-round(m.score, 9), m.track not in options.prefer, m.track))
    return combined[: options.k]


def exact_matches(
    store: Store,
    spec: EncoderSpec,
    probe: Encoded,
    tracks: Sequence[int],
    options: Options,
    *,
    most_rows: int | None = None,
) -> list[TrackMatch]:
    """Match a probe against all stored rows of the given tracks, nearest first.

    Tracks without rows are left out.  With `most_rows`, tracks are taken in the given order as
    long as their rows fit that number; the first is always taken.
    """
    form, queries, rows = _form(spec, probe)
    keys: list[Int64Array] = []
    nearest: list[Float64Array] = []
    waiting: list[Int64Array] = []
    read = 0

    def read_waiting() -> None:
        if waiting:
            for key, distance in _nearest_of_each(store, spec.name, waiting, queries, form, rows):
                keys.append(key)
                nearest.append(distance)
            waiting.clear()

    for own in _keys_of(store, spec.name, tracks):
        too_many = most_rows is not None and read > 0 and read + len(own) > most_rows
        if not len(own) or too_many:
            continue
        read += len(own)
        if sum(map(len, waiting)) + len(own) > _ROWS_AT_ONCE:
            read_waiting()
        if len(own) > _ROWS_AT_ONCE:
            key, distance = _nearest_of(store, spec.name, own, queries, form=form, rows=rows)
            keys.append(key)
            nearest.append(distance)
        else:
            waiting.append(own)
    read_waiting()
    if not keys:
        return []
    neighbors = Neighbors(np.stack(keys, axis=1), np.stack(nearest, axis=1), exact=True)
    segments = store.locate(spec.name, neighbors.keys.ravel())
    return _merge(neighbors, segments, spec, probe, options)


@runtime_checkable
class Ranged(Protocol):
    """Capability of a store: the keys of many tracks at the price of one."""

    def key_ranges(self, encoder: str, tracks: Sequence[int]) -> Int64Array:
        """First key and number of rows of each track, shape (n, 2)."""


def _keys_of(store: Store, name: str, tracks: Sequence[int]) -> list[Int64Array]:
    """The keys of each track."""
    if isinstance(store, Ranged):
        ranges = store.key_ranges(name, tracks).tolist()
        return [np.arange(first, first + rows) for first, rows in ranges]
    return [store.keys(name, track) for track in tracks]


def _form(spec: EncoderSpec, probe: Encoded) -> tuple[str, AnyArray, RowSpec]:
    """The form in which distances are final: the second one where both sides have it."""
    if spec.refine is not None and probe.refine is not None:
        return "refine", probe.refine, spec.refine
    return "rows", probe.rows, spec.rows


def _nearest_of_each(
    store: Store,
    name: str,
    several: Sequence[Int64Array],
    queries: AnyArray,
    form: str,
    rows: RowSpec,
) -> list[tuple[Int64Array, Float64Array]]:
    """As `_nearest_of` for the keys of several short tracks, read together."""
    keys = np.concatenate(several)
    vectors = store.vectors(name, keys, form="refine" if form == "refine" else "rows")
    table = distances.pairwise(rows.metric, queries, vectors)
    found, at = [], 0
    for own in several:
        part = table[:, at : at + len(own)]
        column = np.argmin(part, axis=1)
        found.append((own[column], part[np.arange(len(queries)), column].astype(np.float64)))
        at += len(own)
    return found


def _nearest_of(
    store: Store, name: str, keys: Int64Array, queries: AnyArray, *, form: str, rows: RowSpec
) -> tuple[Int64Array, Float64Array]:
    """For each query row the nearest of these keys and its distance, both shape (n,)."""
    best = np.full(len(queries), np.inf)
    found = np.full(len(queries), -1, np.int64)
    for at in range(0, len(keys), _ROWS_AT_ONCE):  # bounds the table of distances
        block = keys[at : at + _ROWS_AT_ONCE]
        vectors = store.vectors(name, block, form="refine" if form == "refine" else "rows")
        table = distances.pairwise(rows.metric, queries, vectors)
        column = np.argmin(table, axis=1)
        value = table[np.arange(len(queries)), column]
        nearer = value < best
        best[nearer] = value[nearer]
        found[nearer] = block[column[nearer]]
    return found, best


def _merge(
    neighbors: Neighbors,
    segments: Segments,
    spec: EncoderSpec,
    probe: Encoded,
    options: Options,
    *,
    most: int | None = None,
) -> list[TrackMatch]:
    _, _, rows = _form(spec, probe)
    matches = best_segment(
        neighbors,
        segments,
        probe.segments,
        metric=rows.metric,
        ndim=rows.ndim,
        prefer=options.prefer,
        most=most,
    )
    return [m for m in matches if m.track not in options.exclude]


def _allowed(tracks: Collection[int], options: Options) -> list[int]:
    """Those of the tracks that the options let through, ascending."""
    kept = sorted(set(tracks) - options.exclude)
    if options.tracks is not None:
        kept = [t for t in kept if t in set(options.tracks.tolist())]
    return kept


def _by_track(
    store: Store, spec: EncoderSpec, probe: Encoded, tracks: Sequence[int], options: Options
) -> dict[int, TrackMatch]:
    return {m.track: m for m in exact_matches(store, spec, thin(probe), tracks, options)}


def _mean(values: Sequence[tuple[float, float]]) -> float:
    """The mean of values with weights."""
    return sum(v * weight for v, weight in values) / sum(weight for _, weight in values)
