"""Exact search over blocks of rows, and the distances of chosen rows.

Distances as in `earmark.types.Neighbors`.  Ties are broken by key, so that the same library gives
the same answer whatever the block size; where a tie lies across the k-th place, the lower keys
win.  Stored rows under cosine have unit length (see `doors`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from earmark.types import AnyArray, Float32Array, Int64Array, Metric

_QUERIES_AT_ONCE = 256
_FAISS_BLOCK = 16_384  # below, importing FAISS and starting its threads costs more than it saves
_HALF_BLOCK = 1 << 20
_HALF_QUERIES = 6
_HEAP = 256
_MANY_HALVES = 1 << 16
_COUNTED = 4096
_COUNTERS = 1 << 18  # entries of FAISS's table of counted rows: 2 MB, which a cache holds


INT8_SCALE = np.float32(127.0)


def floats(rows: AnyArray) -> Float32Array:
    """Return stored rows of numbers as float32; what is kept in int8 are 127ths."""
    if rows.dtype == np.float16 and rows.size >= _MANY_HALVES:
        return _from_halves(rows)
    values: Float32Array = rows.astype(np.float32, copy=False)
    return values / INT8_SCALE if rows.dtype == np.int8 else values


def _from_halves(rows: AnyArray) -> Float32Array:
    """Many float16 as float32, by FAISS: twice as fast as NumPy, which takes one at a time."""
    width, faiss = rows.shape[-1], faiss_module()
    decoder = faiss.ScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16)
    with few_threads(1):
        codes = np.ascontiguousarray(rows).view(np.uint8).reshape(-1, 2 * width)
        values: Float32Array = decoder.decode(codes)
    return values.reshape(rows.shape)


class TopK:
    """The `k` nearest of all rows seen so far, for each of `queries` queries."""

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self.distances = np.full((queries, 0), np.inf, np.float32)
        self.keys = np.full((queries, 0), -1, np.int64)

    def add(self, distances: Float32Array, keys: Int64Array, *, in_order: bool = False) -> None:
        """Take rows: distances of shape (queries, n), ascending keys of shape (n,) or
        (queries, n).

        With `in_order` each query's come nearest first, lower keys first among equals, and all
        keys are higher than those of former calls.
        """
        full = self.distances.shape[1] >= self.k and len(distances) > 0
        # Most blocks of a long scan hold nothing near: one comparison sees it.
        if full and not (distances.min(axis=1, initial=np.inf) < self.distances[:, -1]).any():
            return
        if keys.ndim == 1:
            distances, keys = _nearest(distances, keys, self.k)
        distances = np.concatenate([self.distances, distances], axis=1)
        keys = np.concatenate([self.keys, keys], axis=1)
        if in_order:  # two sorted runs, which a stable sort merges in one pass
            order = np.argsort(distances, axis=1, kind="stable")[:, : self.k]
        else:
            order = np.lexsort((keys, distances), axis=1)[:, : self.k]
        self.distances = np.take_along_axis(distances, order, axis=1)
        self.keys = np.take_along_axis(keys, order, axis=1)

    def result(self) -> tuple[Int64Array, Float32Array]:
        """Return keys and distances, shape (queries, k), filled up with -1 and infinity."""
        missing = self.k - self.keys.shape[1]
        if not missing:
            return self.keys, self.distances
        return (
            np.pad(self.keys, ((0, 0), (0, missing)), constant_values=-1),
            np.pad(self.distances, ((0, 0), (0, missing)), constant_values=np.inf),
        )


def _nearest(distances: Float32Array, keys: Int64Array, k: int) -> tuple[Float32Array, Int64Array]:
    """Return the k nearest columns of each row of distances, lower keys first among equals."""
    if distances.shape[1] <= k:
        return distances, np.broadcast_to(keys, distances.shape)
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    out = np.empty((len(distances), k), np.int64)
    for row in range(len(distances)):
        nearer = np.flatnonzero(distances[row] < kth[row])
        ties = np.flatnonzero(distances[row] == kth[row])
        out[row] = np.concatenate([nearer, ties[: k - len(nearer)]])
    return np.take_along_axis(distances, out, axis=1), keys[out]


def scan(
    metric: Metric, queries: AnyArray, blocks: Iterable[tuple[Int64Array, AnyArray]], k: int
) -> tuple[Int64Array, Float32Array]:
    """Return the `k` nearest rows of all blocks.

    Parameters
    ----------
    queries : array, shape (q, width)
        As `doors.check_queries` returned them.
    blocks : iterable of (keys, rows)
        Keys ascending over all blocks.

    Returns
    -------
    keys, distances : arrays, shape (q, k)
    """
    queries = np.ascontiguousarray(queries)  # FAISS takes no strides
    top = [
        (queries[start : start + _QUERIES_AT_ONCE], TopK(len(some), k))
        for start in range(0, len(queries), _QUERIES_AT_ONCE)
        if len(some := queries[start : start + _QUERIES_AT_ONCE])
    ]
    half: HalfScan | None = None
    for keys, rows in blocks:
        for some, best in top:
            if metric == "hamming" and len(rows) >= _FAISS_BLOCK and best.k <= _COUNTED:
                best.add(*_faiss_hamming(some, rows, best.k, keys), in_order=True)
            elif _half_pays(some, rows, best.k):
                half = half or HalfScan(metric, rows.shape[1])
                best.add(*half.nearest(some, rows, best.k, keys))
            else:
                best.add(pairwise(metric, some, rows), keys)
    if not top:
        return np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
    results = [best.result() for _, best in top]
    return np.concatenate([r[0] for r in results]), np.concatenate([r[1] for r in results])


def _half_pays(queries: AnyArray, rows: AnyArray, k: int) -> bool:
    few = len(queries) <= _HALF_QUERIES and k <= _HEAP
    return few and rows.dtype == np.float16 and rows.size >= _HALF_BLOCK


@contextmanager
def few_threads(queries: int) -> Iterator[None]:
    """Let FAISS use one thread for one query: waking a second costs more than it brings.

    OpenMP keeps the number per calling thread.
    """
    faiss = faiss_module()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(threads, max(1, queries // 2)))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def faiss_module() -> Any:
    """Import FAISS; its type stubs do not know what its Python layer adds."""
    import faiss

    return faiss


def _faiss_hamming(
    queries: AnyArray, rows: AnyArray, k: int, keys: Int64Array
) -> tuple[Float32Array, Int64Array]:
    """The k nearest of rows: sorted into one pile for each distance, without a heap.

    The piles of a query have k places each, so that some queries are asked at a time.
    """
    rows, faiss = np.ascontiguousarray(rows), faiss_module()
    some = max(1, _COUNTERS // (k * (8 * rows.shape[1] + 1)))
    found = []
    with few_threads(min(some, len(queries))):
        for at in range(0, len(queries), some):
            found.append(faiss.knn_hamming(queries[at : at + some], rows, k, variant="mc"))
    distances = np.concatenate([distance for distance, _ in found])
    ids = np.concatenate([ids for _, ids in found])
    # Of rows that tie, those that came first stay: the lowest keys.
    return distances.astype(np.float32), keys[ids]


class HalfScan:
    """Distances to float16 rows by FAISS, whose conversion uses what the processor has for it.

    NumPy converts one number at a time, which takes most of a scan; for many queries at once the
    conversion does not matter and a matrix product is faster.
    """

    def __init__(self, metric: Metric, ndim: int) -> None:
        faiss = faiss_module()
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexScalarQuantizer(ndim, faiss.ScalarQuantizer.QT_fp16, kind)
        self._metric = metric

    def nearest(
        self, queries: AnyArray, rows: AnyArray, k: int, keys: Int64Array
    ) -> tuple[Float32Array, Int64Array]:
        """Return distances and keys of the k nearest of rows, shape (n, ndim) float16."""
        rows = np.ascontiguousarray(rows)
        self._index.codes.resize(rows.nbytes)
        ctypes.memmove(int(self._index.codes.data()), rows.ctypes.data, rows.nbytes)
        self._index.ntotal = len(rows)
        with few_threads(len(queries)):
            values, ids = self._index.search(queries, min(k, len(rows)))
        if self._metric == "l2":
            return np.sqrt(values), keys[ids]
        return np.float32(self._metric == "cosine") - values, keys[ids]


def pairwise(metric: Metric, queries: AnyArray, rows: AnyArray) -> Float32Array:
    """Return distances, shape (q, n), of prepared queries to stored rows."""
    if metric == "hamming":
        return _hamming(queries, rows)
    values = floats(rows)
    dots: Float32Array = queries @ values.T
    if metric == "cosine":
        dots *= -1
        dots += 1
        return dots
    if metric == "inner_product":
        dots *= -1
        return dots
    squares = (queries * queries).sum(axis=1)[:, None] + (values * values).sum(axis=1)[None, :]
    out: Float32Array = np.sqrt(np.maximum(squares - 2 * dots, 0))
    # The formula cancels where rows nearly coincide: those few are computed by difference.
    for query, row in np.argwhere(out * out <= 1e-3 * squares):
        out[query, row] = np.linalg.norm(queries[query] - values[row])
    return out


def _hamming(queries: AnyArray, rows: AnyArray) -> Float32Array:
    if queries.shape[1] % 8 == 0:
        queries = np.ascontiguousarray(queries).view(np.uint64)
        rows = np.ascontiguousarray(rows).view(np.uint64)
    out = np.zeros((len(queries), len(rows)), np.float32)
    for column in range(queries.shape[1]):
        out += np.bitwise_count(queries[:, column, None] ^ rows[None, :, column])
    return out


def chosen(
    metric: Metric,
    queries: AnyArray,
    rows: AnyArray,
    valid: AnyArray,
) -> Float32Array:
    """Return distances of each query to rows of its own.

    Parameters
    ----------
    queries : array, shape (q, width)
    rows : array, shape (q, c, width)
        Stored rows.
    valid : bool array, shape (q, c)
        Where false, the distance is infinite.
    """
    if metric == "hamming":
        out = np.bitwise_count(queries[:, None, :] ^ rows).sum(axis=2).astype(np.float32)
    else:
        values = floats(rows)
        if metric == "l2":
            out = np.linalg.norm(queries[:, None, :] - values, axis=2)
        else:
            out = -np.matmul(values, queries[:, :, None])[:, :, 0]
            if metric == "cosine":
                out += 1
    return np.where(valid, out, np.float32(np.inf)).astype(np.float32, copy=False)
