"""Playlists as answers: a path between two tracks, or a radio of what resembles some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from earmark import where as filters
from earmark.library import spaces, suggesting
from earmark.library.hits import Hits, Renderer
from earmark.types import Store, Track

BY = "playlist"


def between(
    store: Store,
    ends: tuple[Track, Track],
    length: int,
    *,
    where: str | None = None,
    by: Sequence[str] = (),
    show: Renderer | None = None,
) -> Hits:
    """Return a smooth path from one track to another; see `suggesting.path`."""
    allowed = store.track_ids(None if where is None else filters.parse(where))
    ids = np.union1d(allowed, np.array([track.id for track in ends], np.int64))
    vectors = spaces.track_vectors(store, by=by, tracks=ids)
    order = suggesting.path(vectors, ends[0].id, ends[1].id, length)
    query = {"from": ends[0].id, "to": ends[1].id, "length": length}
    return _answer(store, order, vectors, query, where, show)


def radio(
    store: Store,
    seeds: Sequence[Track],
    found: Hits,
    length: int,
    *,
    by: Sequence[str] = (),
    show: Renderer | None = None,
) -> Hits:
    """Return the seeds, then what was found, each followed by the nearest that is left."""
    tracks = [track.id for track in seeds]
    tracks += [hit.track.id for hit in found if hit.track.id not in tracks]
    tracks = tracks[:length]
    ids = np.array(sorted(tracks), np.int64)
    vectors = spaces.track_vectors(store, by=by, tracks=ids)
    query = {"like": [track.id for track in seeds], "length": length}
    return _answer(store, suggesting.smooth(vectors, tracks), vectors, query, None, show)


def _answer(
    store: Store,
    order: Sequence[int],
    vectors: spaces.TrackVectors,
    query: Mapping[str, object],
    where: str | None,
    show: Renderer | None,
) -> Hits:
    one: object = None if show is None else lambda hit: show([hit])
    hits = suggesting.as_hits(store.tracks(order), vectors, by=BY, show=one)  # type: ignore[arg-type]
    return Hits(hits, {**query, **({"where": where} if where else {})}, show)
