"""Which way a query is answered: exactly over blocks of rows, or through an index.

Exact: few rows (to `FLAT_ROWS`), few rows left by a filter, no sound index, bits under a filter,
or on demand.  Otherwise: the index over the rows that it covers, with more probes under a filter
(a filter that goes along with the vectors empties the nearest lists), its candidates ranked by
their stored rows, and an exact scan of the rows that it does not cover.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import InvalidVectors
from earmark.stores.local import flat, indexes
from earmark.stores.local.catalog import REFINE, ROWS, Snapshot, Space
from earmark.stores.local.codec import joined_ranges, ranges_to_keys
from earmark.stores.local.doors import check_queries
from earmark.stores.local.indexes import Loaded
from earmark.stores.local.shards import ShardMaps
from earmark.stores.local.spans import Spans
from earmark.types import AnyArray, Float32Array, Int64Array, Neighbors, RowSpec

FLAT_ROWS = 50_000
FLAT_CODES = 20_000_000
_FACTOR = 8
_ROUGH_FACTOR = 3
_REFINE_LEAST = 256
_FILTERED_ROWS = 500_000
_FILTERED_CANDIDATES = 1000
_GATHER_BYTES = 32 << 20


@dataclass(frozen=True)
class Allowed:
    """The live rows that may be found: key ranges, and whether a filter chose them."""

    first: Int64Array
    count: Int64Array
    filtered: bool

    @property
    def total(self) -> int:
        """Number of rows."""
        return int(self.count.sum())

    def below(self, key: int) -> tuple[Int64Array, Int64Array]:
        """Return the parts of the ranges below a key."""
        count = np.clip(key - self.first, 0, self.count)
        return self.first[count > 0], count[count > 0]

    def above(self, key: int) -> tuple[Int64Array, Int64Array]:
        """Return the parts of the ranges from a key on."""
        first = np.maximum(self.first, key)
        count = self.first + self.count - first
        return first[count > 0], count[count > 0]


class Searcher:
    """Answers queries on snapshots; keeps maps, loaded indexes and bitmaps between calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.maps = ShardMaps(folder)
        self.spans = Spans()
        self._loaded: dict[str, Loaded | None] = {}
        self._bitmaps: dict[tuple[int, int, bytes], AnyArray] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget all that is kept."""
        self.maps.close()
        self.forget_indexes()

    def forget_indexes(self) -> None:
        """Look at index files anew."""
        with self._lock:
            self._loaded.clear()
            self._bitmaps.clear()

    def search(
        self,
        con: sqlite3.Connection,
        snapshot: Snapshot,
        space: Space,
        queries: AnyArray,
        k: int,
        *,
        tracks: Int64Array | None,
        refine: AnyArray | None,
        exact: bool,
        probes: int | None = None,
    ) -> Neighbors:
        """See `earmark.types.Store.search`, and `RoughStore` for `probes`."""
        queries = check_queries(queries, space.spec.rows, k)
        allowed = self._allowed(con, snapshot, space, tracks)
        key = b"" if tracks is None else np.unique(tracks).tobytes()
        if refine is None:
            return self._nearest(snapshot, space, queries, k, allowed, exact, key, probes)
        second = space.spec.refine
        if second is None:
            raise InvalidVectors(f"rows of {space.spec.name!r} have no second form to rank by")
        refined = check_queries(refine, second, k)
        if len(refined) != len(queries):
            raise InvalidVectors(
                f"there must be a refine query per query: {len(refined)} for {len(queries)}"
            )
        if exact or allowed.total <= FLAT_ROWS:
            blocks = self.maps.blocks(space.refine_shards, second, allowed.first, allowed.count)
            return Neighbors(*flat.scan(second.metric, refined, blocks, k), exact=True)
        many = max(_FACTOR * k, _REFINE_LEAST)
        near = self._nearest(snapshot, space, queries, many, allowed, False, key)
        top = self.ranked(space, REFINE, refined, near.keys, k)
        return Neighbors(*top.result(), exact=False)

    def _allowed(
        self, con: sqlite3.Connection, snapshot: Snapshot, space: Space, tracks: Int64Array | None
    ) -> Allowed:
        if tracks is None:
            return Allowed(*space.live_ranges(), filtered=False)
        wanted = np.asarray(tracks, np.int64)
        first, count = self.spans.ranges(con, snapshot, space, wanted)
        return Allowed(*joined_ranges(first, count), filtered=True)

    def _nearest(
        self,
        snapshot: Snapshot,
        space: Space,
        queries: AnyArray,
        k: int,
        allowed: Allowed,
        exact: bool,
        key: bytes,
        probes: int | None = None,
    ) -> Neighbors:
        spec = space.spec.rows
        loaded = None if exact or self._scan_is_best(space, allowed) else self.index(space)
        if loaded is None or (allowed.filtered and loaded.row.kind == "hnsw"):
            blocks = self.maps.blocks(space.shards, spec, allowed.first, allowed.count)
            return Neighbors(*flat.scan(spec.metric, queries, blocks, k), exact=True)
        top = self._by_index(snapshot, space, loaded, queries, k, allowed, key, probes)
        first, count = allowed.above(loaded.end)
        if len(first):
            blocks = self.maps.blocks(space.shards, spec, first, count)
            keys, distances = flat.scan(spec.metric, queries, blocks, k)
            top.add(distances, keys)
        return Neighbors(*top.result(), exact=False)

    def _scan_is_best(self, space: Space, allowed: Allowed) -> bool:
        if space.index_kind == "flat":
            return True
        if space.index_kind != "auto" and not allowed.filtered:
            return False
        if space.spec.rows.dtype == "bits":  # FAISS's binary lists take no selection
            return allowed.filtered or allowed.total <= FLAT_CODES
        return allowed.total <= FLAT_ROWS

    # --- through an index ----------------------------------------------------------------------

    def index(self, space: Space) -> Loaded | None:
        """Return the newest sound index of an encoder, or None."""
        for row in space.indexes:
            if row.file not in self._loaded:
                index = indexes.load(self._folder, row, space.spec.rows)
                loaded = None if index is None else Loaded(row, index, threading.Lock())
                with self._lock:
                    keep = {r.file for r in space.indexes}
                    for file in [
                        f for f in self._loaded if f not in keep and len(self._loaded) > 8
                    ]:
                        del self._loaded[file]
                    self._loaded[row.file] = loaded
            if (found := self._loaded.get(row.file)) is not None:
                return found
        return None

    def _by_index(
        self,
        snapshot: Snapshot,
        space: Space,
        loaded: Loaded,
        queries: AnyArray,
        k: int,
        allowed: Allowed,
        key: bytes,
        rough: int | None = None,
    ) -> flat.TopK:
        covered = allowed.below(loaded.end)
        rows = int(covered[1].sum())
        bits = space.spec.rows.dtype == "bits"
        params = loaded.row.params
        lists = int(params.get("lists", 1))
        probes = int(params.get("probes", 32))
        bitmap = None
        if not bits and (allowed.filtered or rows < loaded.row.rows):
            bitmap = self._bitmap(snapshot, space, loaded, covered, key)
        if allowed.filtered:
            # A filter that goes along with the vectors leaves nothing in the nearest lists, and
            # where the rest is cannot be known: look at four times the lists, or at so many rows.
            probes = max(4 * probes, round(lists * min(1.0, _FILTERED_ROWS / loaded.row.rows)))
        factor = int(params.get("factor", _FACTOR))
        if rough is not None:
            probes, factor = (4 * rough if allowed.filtered else rough), _ROUGH_FACTOR
        count = min(k * factor, k + 4096)
        if allowed.filtered:  # far from the query, where the filter leads, the codes tell less
            count = max(count, _FILTERED_CANDIDATES)
        if bits:
            count = k + min(loaded.row.rows - rows, 4096)
        while True:
            keys, raw = indexes.candidates(
                loaded, space.spec.rows, queries, count, min(probes, lists), bitmap
            )
            keys = np.where(space.is_live(keys.ravel()).reshape(keys.shape), keys, -1)
            enough = ((keys >= 0).sum(axis=1) >= min(k, rows)).all()
            if enough or probes >= lists or rough is not None:
                break
            probes *= 4
        if loaded.row.kind == "ivfpq":
            return _as_they_are(space.spec.rows, keys, raw, k)
        return self.ranked(space, ROWS, queries, keys, k)

    def _bitmap(
        self,
        snapshot: Snapshot,
        space: Space,
        loaded: Loaded,
        covered: tuple[Int64Array, Int64Array],
        key: bytes,
    ) -> AnyArray:
        name = (snapshot.commit, loaded.row.id, key)
        bitmap = self._bitmaps.get(name)
        if bitmap is None:
            mask = np.zeros(loaded.row.rows, np.bool_)
            mask[ranges_to_keys(covered[0], covered[1]) - loaded.row.first_key] = True
            bitmap = np.packbits(mask, bitorder="little")
            with self._lock:
                for old in list(self._bitmaps)[:-3]:
                    del self._bitmaps[old]
                self._bitmaps[name] = bitmap
        return bitmap

    def ranked(
        self, space: Space, form: str, queries: AnyArray, keys: Int64Array, k: int
    ) -> flat.TopK:
        """Rank candidates, shape (q, c), by their stored rows of a form."""
        spec = space.spec.rows if form == ROWS else space.spec.refine or space.spec.rows
        shards = space.shards if form == ROWS else space.refine_shards
        distances = np.empty(keys.shape, np.float32)
        for some in _query_blocks(len(queries), keys.shape[1], spec):
            valid = keys[some] >= 0
            wanted = np.where(valid, keys[some], space.first_key)
            rows = self.maps.gather(shards, spec, wanted.ravel())
            rows = rows.reshape(*wanted.shape, spec.width)
            distances[some] = flat.chosen(spec.metric, queries[some], rows, valid)
        top = flat.TopK(len(queries), k)
        top.add(distances, np.where(np.isfinite(distances), keys, -1))
        return top


def _query_blocks(queries: int, candidates: int, spec: RowSpec) -> Iterator[slice]:
    size = max(1, _GATHER_BYTES // max(1, candidates * spec.width * 4))
    for start in range(0, queries, size):
        yield slice(start, start + size)


def _as_they_are(spec: RowSpec, keys: Int64Array, raw: AnyArray, k: int) -> flat.TopK:
    """Rank candidates by the index's own distances, put into the metric's units."""
    values: Float32Array = raw.astype(np.float32)
    if spec.metric == "l2":
        values = np.sqrt(np.maximum(values, 0))
    elif spec.metric == "cosine":  # squared distance of unit vectors
        values = values / np.float32(2)
    else:
        values = -values
    top = flat.TopK(len(keys), k)
    top.add(np.where(keys >= 0, values, np.float32(np.inf)).astype(np.float32), keys)
    return top
