"""The map as it is kept in the library: made once, then only added to.

Arrays under the name ``map``: ids, places, groups, what each track's file held, and JSON (as bytes)
with the names of the groups and what the layout was made from.  Tracks that came later, and those
whose files changed, are placed among the others without moving any; those that are gone are left
out; other encoders, or a wish for it, make a new layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from earmark.errors import DamagedLibrary, QueryError
from earmark.library import spaces
from earmark.library.maps import clusters, layout
from earmark.library.maps.clusters import Cluster
from earmark.types import AnyArray, Float32Array, Int64Array, Store

NAME = "map"

OUTGROWN = 2.0
"""A library this many times larger than at its layout deserves a new one."""


@dataclass(frozen=True, eq=False)
class Map:
    """Places of tracks.

    Parameters
    ----------
    tracks : int64 array, shape (n,)
        Ids, ascending.
    places : float32 array, shape (n, 2)
        x and y, within -1 and 1.
    groups : int64 array, shape (n,)
        The cluster of each, -1 for none.
    clusters : tuple of Cluster
    made_from : mapping
        The encoders' names and revisions.
    laid_out : int
        How many tracks there were when the layout was made.
    added : int
        How many tracks were placed just now.
    contents : uint64 array, shape (n,)
        A number for what each track's file held when it was placed; none in older maps.
    """

    tracks: Int64Array
    places: Float32Array
    groups: Int64Array
    clusters: tuple[Cluster, ...]
    made_from: dict[str, str]
    laid_out: int
    added: int = 0
    contents: AnyArray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def outgrown(self) -> bool:
        """Whether most tracks came after the layout was made."""
        return len(self) > OUTGROWN * max(self.laid_out, 1)

    def to_json(self) -> dict[str, Any]:
        """Return points and clusters as the command line prints them."""
        return {
            "points": {
                "track": self.tracks.tolist(),
                "x": [round(float(v), 5) for v in self.places[:, 0]],
                "y": [round(float(v), 5) for v in self.places[:, 1]],
                "cluster": self.groups.tolist(),
            },
            "clusters": [asdict(cluster) for cluster in self.clusters],
            "encoders": self.made_from,
        }


def chart(
    store: Store, *, by: Sequence[str] = (), fresh: bool = False, seed: int, save: bool = True
) -> Map:
    """Return the map of a library, made or brought up to date and saved if that changed it.

    Parameters
    ----------
    store : Store
    by : sequence of str
        Encoders or kinds; other ones than those of the stored map make a new layout.
    fresh : bool
        Make a new layout in any case.
    seed : int
    save : bool
        Keep the map in the library.

    Raises
    ------
    QueryError
        If nothing in the library has a place: it is empty, or silent.
    NotAvailable
        If umap-learn or scikit-learn is needed and not installed.
    LibraryLocked
        If another process is writing.
    """
    stored = None if fresh else load(store)
    specs = store.encoders()
    if stored is not None and not by:
        by = tuple(name for name in stored.made_from if name in specs)
    chosen = spaces.choose(store, by)
    made_from = {name: spec.revision for name, spec in chosen.items()}
    if stored is not None and stored.made_from != made_from:
        stored = None
    now = _contents(store)
    if stored is not None:
        stored = _unchanged(stored, now)
        if np.array_equal(stored.tracks, store.track_ids()):
            return stored
    vectors = spaces.track_vectors(store, by=tuple(chosen))
    if not len(vectors.ids):
        raise QueryError(
            "a map needs tracks with sound, the library has none", hint="earmark index PATH"
        )
    known = None if stored is None else np.isin(stored.tracks, vectors.ids)
    if stored is None or known is None or not known.any():
        made = _fresh(store, vectors, made_from, seed)
    else:
        made = _extended(store, stored, vectors, seed)
        if not made.added and len(made) == len(stored):
            return stored
    made = replace(made, contents=_of(made.tracks, now))
    if save:
        keep(store, made)
    return made


def _contents(store: Store) -> dict[int, int]:
    """A number for what each track's file holds."""
    return {
        one.track: int.from_bytes(blake2b(one.content_hash.encode(), digest_size=8).digest())
        for one in store.known().values()
        if one.track is not None
    }


def _of(tracks: Int64Array, contents: Mapping[int, int]) -> AnyArray:
    return np.array([contents.get(track, 0) for track in tracks.tolist()], np.uint64)


def _unchanged(stored: Map, contents: Mapping[int, int]) -> Map:
    """A map without the tracks whose files have changed since they were placed."""
    if len(stored.contents) != len(stored):
        return stored
    gone = ~np.isin(stored.tracks, list(contents))
    same = gone | (stored.contents == _of(stored.tracks, contents))
    if same.all():
        return stored
    return replace(
        stored,
        tracks=stored.tracks[same],
        places=stored.places[same],
        groups=stored.groups[same],
        contents=stored.contents[same],
    )


def _fresh(store: Store, vectors: spaces.TrackVectors, made_from: dict[str, str], seed: int) -> Map:
    places = layout.lay_out(vectors.rows, seed=seed)
    groups = clusters.group(places, seed=seed)
    named = clusters.name_groups(store, vectors.ids, places, groups, seed=seed)
    return Map(vectors.ids, places, groups, named, made_from, len(vectors.ids), len(vectors.ids))


def _extended(store: Store, stored: Map, vectors: spaces.TrackVectors, seed: int) -> Map:
    """Put new tracks among the old ones, which stay where they are."""
    places = np.zeros((len(vectors.ids), 2), np.float32)
    groups = np.full(len(vectors.ids), -1, np.int64)
    old = np.isin(vectors.ids, stored.tracks)
    at = np.searchsorted(stored.tracks, vectors.ids[old])
    places[old], groups[old] = stored.places[at], stored.groups[at]
    if not old.all():
        placed, near = layout.place(vectors.rows[old], places[old], vectors.rows[~old], seed=seed)
        places[~old] = placed
        groups[~old] = groups[old][near[:, 0]]
    sizes = {int(n): int((groups == n).sum()) for n in np.unique(groups)}
    named = tuple(
        Cluster(c.id, c.name, c.x, c.y, sizes[c.id]) for c in stored.clusters if c.id in sizes
    )
    return Map(
        vectors.ids, places, groups, named, stored.made_from, stored.laid_out, int((~old).sum())
    )


def keep(store: Store, made: Map) -> None:
    """Save a map in the library, whole or not at all."""
    about = {
        "clusters": [asdict(cluster) for cluster in made.clusters],
        "made_from": made.made_from,
        "laid_out": made.laid_out,
    }
    arrays: dict[str, AnyArray] = {
        "tracks": made.tracks,
        "places": made.places,
        "groups": made.groups,
        "contents": made.contents,
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    }
    with store.writer() as writer:
        writer.put_arrays(NAME, arrays)
        writer.commit()


def load(store: Store) -> Map | None:
    """Return the map that is kept in the library, or None; a damaged one is none."""
    try:
        arrays = store.arrays(NAME)
        if not arrays:
            return None
        about = json.loads(arrays["about"].tobytes())
        return Map(
            tracks=arrays["tracks"].astype(np.int64),
            places=arrays["places"].astype(np.float32),
            groups=arrays["groups"].astype(np.int64),
            clusters=tuple(Cluster(**one) for one in about["clusters"]),
            made_from=dict(about["made_from"]),
            laid_out=int(about["laid_out"]),
            contents=arrays.get("contents", np.zeros(0, np.uint64)),
        )
    except (DamagedLibrary, KeyError, ValueError, TypeError):
        return None
