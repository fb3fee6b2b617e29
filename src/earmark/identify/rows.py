"""Rows as `matching` wants them: by time, with similarities; in memory or in a store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from earmark import spectral_code
from earmark.types import AnyArray, Float32Array, Float64Array, Int64Array, RoughStore, Store

_TRACKS_KEPT = 256
"""Tracks whose keys and times are kept at hand, 16 bytes a row."""


class Rows(Protocol):
    """Rows of one encoder over many tracks; times are the middles of segments, in seconds."""

    def near(
        self, queries: AnyArray, k: int, *, probes: int | None = None
    ) -> tuple[Float32Array, Int64Array, Float64Array]:
        """Similarities, tracks (-1: none) and times of the nearest rows, each (n, k).

        With `probes`, a large library is looked at in so many places only.
        """

    def stretch(self, track: int, start: float, end: float) -> tuple[Float64Array, AnyArray]:
        """Times, ascending, and rows of a track between two times."""

    @property
    def total(self) -> int:
        """Number of rows."""


class StoredRows:
    """Implements `Rows` over one encoder of a store.

    Parameters
    ----------
    store : Store
    encoder : str
        Its rows must be compared by inner product, cosine or Hamming distance.
    tracks : int64 array, optional
        Search only rows of these tracks, ascending ids.
    """

    def __init__(self, store: Store, encoder: str, *, tracks: Int64Array | None = None) -> None:
        self._store, self._encoder, self._tracks = store, encoder, tracks
        self._spec = store.encoders()[encoder].rows
        spaces = {space.encoder: space for space in store.stats().spaces}
        self._total = spaces[encoder].rows if encoder in spaces else 0
        self._known: OrderedDict[int, tuple[Int64Array, Float64Array]] = OrderedDict()

    @property
    def total(self) -> int:
        """Number of rows."""
        return self._total

    def near(
        self, queries: AnyArray, k: int, *, probes: int | None = None
    ) -> tuple[Float32Array, Int64Array, Float64Array]:
        """See `Rows.near`."""
        if probes is not None and isinstance(self._store, RoughStore):
            found = self._store.search_roughly(
                self._encoder, queries, k, tracks=self._tracks, probes=probes
            )
        else:
            found = self._store.search(self._encoder, queries, k, tracks=self._tracks)
        places = self._store.locate(self._encoder, found.keys.ravel())
        shape = found.keys.shape
        tracks = np.where(found.keys >= 0, places.tracks.reshape(shape), -1)
        times = ((places.starts + places.ends) / 2).reshape(shape)
        return self._similarities(found.distances), tracks, times

    def stretch(self, track: int, start: float, end: float) -> tuple[Float64Array, AnyArray]:
        """See `Rows.stretch`."""
        keys, times = self._times(track)
        low, high = np.searchsorted(times, [start, end])
        return times[low:high], self._store.vectors(self._encoder, keys[low:high])

    def _similarities(self, distances: Float32Array) -> Float32Array:
        if self._spec.metric == "hamming":
            return np.float32(1.0) - distances * np.float32(2.0 / self._spec.ndim)
        if self._spec.metric == "inner_product":
            return -distances
        return np.float32(1.0) - distances

    def _times(self, track: int) -> tuple[Int64Array, Float64Array]:
        if track in self._known:
            self._known.move_to_end(track)
            return self._known[track]
        keys = self._store.keys(self._encoder, track)
        places = self._store.locate(self._encoder, keys)
        self._known[track] = keys, (places.starts + places.ends) / 2
        if len(self._known) > _TRACKS_KEPT:
            self._known.popitem(last=False)
        return self._known[track]


class MemoryRows:
    """Rows in memory, searched exhaustively: for tests, benchmarks and small libraries.

    Parameters
    ----------
    tracks : sequence of (times, rows)
        Of track 0, 1, ...; times are the middles of segments.
    """

    def __init__(self, tracks: Sequence[tuple[Float64Array, AnyArray]]) -> None:
        self._tracks = list(tracks)
        self._owner = np.repeat(np.arange(len(tracks)), [len(t) for t, _ in tracks])
        self._times = np.concatenate([t for t, _ in tracks])
        rows = np.concatenate([r for _, r in tracks])
        self._bits = rows.dtype == np.uint8
        self._rows = spectral_code.unpack(rows) if self._bits else rows.astype(np.float32)

    @property
    def total(self) -> int:
        """Number of rows."""
        return len(self._owner)

    def near(
        self, queries: AnyArray, k: int, *, probes: int | None = None
    ) -> tuple[Float32Array, Int64Array, Float64Array]:
        """See `Rows.near`; all rows are looked at, whatever the probes."""
        del probes
        k = min(k, self.total)
        asked = spectral_code.unpack(queries) / queries.shape[1] / 8 if self._bits else queries
        similarity: Float32Array = (asked @ self._rows.T).astype(np.float32, copy=False)
        keys = _largest(similarity, k)
        return np.take_along_axis(similarity, keys, 1), self._owner[keys], self._times[keys]

    def stretch(self, track: int, start: float, end: float) -> tuple[Float64Array, AnyArray]:
        """See `Rows.stretch`."""
        times, rows = self._tracks[track]
        low, high = np.searchsorted(times, [start, end])
        return times[low:high], rows[low:high]


def _largest(values: Float32Array, k: int, *, block: int = 64) -> Int64Array:
    """Places of the k largest values of each row: in the k blocks with the largest maxima."""
    n, total = values.shape
    if total <= 4 * k * block:
        return np.argpartition(-values, k - 1, axis=1)[:, :k]
    whole = total // block * block
    blocks = values[:, :whole].reshape(n, -1, block).max(axis=2)
    best = np.argpartition(-blocks, k - 1, axis=1)[:, :k]
    places = (best[:, :, None] * block + np.arange(block)).reshape(n, -1)
    rest = np.broadcast_to(np.arange(whole, total), (n, total - whole))
    places = np.concatenate([places, rest], axis=1)
    candidates = np.take_along_axis(values, places, 1)
    picked = np.argpartition(-candidates, k - 1, axis=1)[:, :k]
    return np.take_along_axis(places, picked, 1)
