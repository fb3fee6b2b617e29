"""Reading shards: memory maps, rows by key, blocks of rows for scans.

A map covers exactly the committed rows of its snapshot, so bytes that a writer appends meanwhile
are never seen.  A shard that is gone was replaced by a commit after the snapshot was taken:
`Vanished` makes the store begin its call anew.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from earmark.errors import DamagedLibrary
from earmark.stores.local.catalog import ShardRow
from earmark.stores.local.codec import ranges_to_keys
from earmark.types import AnyArray, Int64Array, RowSpec

SHARD_ROWS = 65_536
_BLOCK_BYTES = 8 << 20


class Vanished(Exception):
    """A file named by the snapshot is no longer there: a signal within the store."""


def shard_path(folder: Path, file: str) -> Path:
    """Return the place of a file that the catalog names."""
    return folder / file


class ShardMaps:
    """Memory maps of shard files, shared by all threads of a store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, AnyArray] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget all maps; arrays still in use keep theirs alive."""
        with self._lock:
            self._maps.clear()

    def keep(self, files: set[str]) -> None:
        """Forget the maps of all other files."""
        with self._lock:
            for file in self._maps.keys() - files:
                del self._maps[file]

    def rows(self, shard: ShardRow, spec: RowSpec) -> AnyArray:
        """Return a shard's committed rows, shape (shard.rows, spec.width), read-only.

        Raises
        ------
        DamagedLibrary
            If the file is shorter than the catalog says.
        """
        array = self._maps.get(shard.file)
        if array is None or len(array) < shard.rows:
            array = self._map(shard, spec)
            with self._lock:
                self._maps[shard.file] = array
        return array[: shard.rows]

    def _map(self, shard: ShardRow, spec: RowSpec) -> AnyArray:
        path = shard_path(self._folder, shard.file)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Vanished(shard.file) from None
        try:
            need, size = shard.rows * spec.nbytes, os.fstat(fd).st_size
            if size < need:
                raise DamagedLibrary(
                    f"shard {shard.file} must have {need} bytes, got {size}",
                    hint="see what is affected: earmark verify",
                )
            buffer = mmap.mmap(fd, need, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        return np.frombuffer(buffer, spec.numpy_dtype).reshape(-1, spec.width)

    def gather(self, shards: Sequence[ShardRow], spec: RowSpec, keys: Int64Array) -> AnyArray:
        """Return rows by key, shape (len(keys), spec.width), in the stored dtype."""
        out = np.empty((len(keys), spec.width), spec.numpy_dtype)
        for shard, where in _by_shard(shards, keys):
            out[where] = self.rows(shard, spec)[keys[where] - shard.first_key]
        return out

    def blocks(
        self, shards: Sequence[ShardRow], spec: RowSpec, first: Int64Array, count: Int64Array
    ) -> Iterator[tuple[Int64Array, AnyArray]]:
        """Yield keys and rows of key ranges in bounded blocks.

        Parameters
        ----------
        first, count : int64 arrays, shape (n,)
            Ranges of live keys, ascending and disjoint.
        """
        if not len(first):
            return
        size = block_rows(spec)
        last = first + count
        for shard in shards:
            begin, end = shard.first_key, shard.first_key + shard.rows
            near = slice(
                int(np.searchsorted(last, begin, side="right")),
                int(np.searchsorted(first, end, side="left")),
            )
            lows = np.maximum(first[near], begin)
            lengths = np.minimum(last[near], end) - lows
            if not len(lows):
                continue
            rows = self.rows(shard, spec)
            if len(lows) == 1:  # the common case needs no copy
                low, high = int(lows[0]), int(lows[0] + lengths[0])
                for start in range(low, high, size):
                    stop = min(start + size, high)
                    keys = np.arange(start, stop, dtype=np.int64)
                    yield keys, rows[start - begin : stop - begin]
                continue
            keys = ranges_to_keys(lows, lengths)
            for start in range(0, len(keys), size):
                some = keys[start : start + size]
                yield some, rows[some - begin]


def block_rows(spec: RowSpec) -> int:
    """Return how many rows a scan takes at a time, so that it stays within a few MB."""
    width = spec.width * (1 if spec.dtype == "bits" else 4)
    return max(256, min(SHARD_ROWS, _BLOCK_BYTES // width))


def _by_shard(
    shards: Sequence[ShardRow], keys: Int64Array
) -> Iterator[tuple[ShardRow, slice | Int64Array]]:
    """Yield each shard with the positions of the keys that lie in it."""
    if not len(keys):
        return
    firsts = np.array([s.first_key for s in shards], np.int64)
    of = np.searchsorted(firsts, keys, side="right") - 1
    if of[0] == of[-1] and (of == of[0]).all():
        yield shards[int(of[0])], slice(None)
        return
    for number in np.unique(of):
        yield shards[int(number)], np.flatnonzero(of == number)
