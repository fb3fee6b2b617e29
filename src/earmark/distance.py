"""Exact distances between rows, and scores from distances.

Distance is small when near, score is large when good:

============= ==================== ==================
metric        distance             score
============= ==================== ==================
cosine        1 - cos(q, x)        1 - distance
inner_product -<q, x>              -distance
l2            |q - x|              1 / (1 + distance)
hamming       bits that differ     1 - distance / ndim
============= ==================== ==================

Float rows may be float16 or float32, and are compared in float32; bit rows are uint8 with 8 bits
a byte.
"""

from __future__ import annotations

import numpy as np

from earmark.types import AnyArray, Float32Array, Int64Array, Metric, UInt8Array

_BLOCK_BYTES = 2**22
"""Temporary arrays are about this large: they stay in the processor's cache."""


def hamming(queries: UInt8Array, rows: UInt8Array) -> Float32Array:
    """Number of bits that differ.

    Parameters
    ----------
    queries : uint8 array, shape (n, width)
    rows : uint8 array, shape (m, width)

    Returns
    -------
    float32 array, shape (n, m)

    Examples
    --------
    >>> hamming(np.array([[255]], np.uint8), np.array([[255], [254], [0]], np.uint8))
    array([[0., 1., 8.]], dtype=float32)
    """
    _check(queries, rows)
    if queries.dtype != np.uint8 or rows.dtype != np.uint8:
        raise ValueError(f"bit rows must be uint8, got {queries.dtype} and {rows.dtype}")
    q, x = _words(queries), _words(rows)
    result = np.empty((len(q), len(x)), np.float32)
    step = max(1, _BLOCK_BYTES // max(1, queries.shape[1]))
    for i in range(0, len(x), step):
        block = x[i : i + step]
        for j in range(len(q)):
            bits = np.bitwise_count(block ^ q[j])
            result[j, i : i + step] = bits.sum(axis=1, dtype=np.uint32)
    return result


def _words(rows: UInt8Array) -> AnyArray:
    """The same bits in as few numbers as possible, without copying where that can be."""
    rows = np.ascontiguousarray(rows)
    for dtype in (np.uint64, np.uint32, np.uint16):
        if rows.shape[1] and rows.shape[1] % np.dtype(dtype).itemsize == 0:
            return rows.view(dtype)
    return rows


def inner_product(queries: AnyArray, rows: AnyArray) -> Float32Array:
    """Negative inner products, for float arrays of shape (n, d) and (m, d); shape (n, m)."""
    _check(queries, rows)
    products: Float32Array = queries.astype(np.float32) @ rows.astype(np.float32, copy=False).T
    return np.negative(products, out=products)


def cosine(queries: AnyArray, rows: AnyArray) -> Float32Array:
    """One minus the cosine, for float arrays of shape (n, d) and (m, d); shape (n, m).

    A row of length zero is at distance 1 from all.
    """
    _check(queries, rows)
    distances = 1 + inner_product(_unit(queries), _unit(rows))
    return np.clip(distances, 0, 2, out=distances)


def _unit(rows: AnyArray) -> Float32Array:
    rows = rows.astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    norms[norms == 0] = 1
    scaled: Float32Array = rows / norms
    return scaled


def l2(queries: AnyArray, rows: AnyArray) -> Float32Array:
    """Euclidean distances, for float arrays of shape (n, d) and (m, d); shape (n, m).

    From differences, not from inner products: rows that are nearly equal keep their digits.
    """
    _check(queries, rows)
    queries = queries.astype(np.float32)
    result = np.empty((len(queries), len(rows)), np.float32)
    step = max(1, _BLOCK_BYTES // (4 * max(1, queries.shape[1])))
    for i in range(0, len(rows), step):
        block = rows[i : i + step].astype(np.float32, copy=False)
        for j in range(len(queries)):
            away = block - queries[j]
            result[j, i : i + step] = np.einsum("ij,ij->i", away, away)
    return np.sqrt(result, out=result)


_METRICS = {"cosine": cosine, "inner_product": inner_product, "l2": l2, "hamming": hamming}


def pairwise(metric: Metric, queries: AnyArray, rows: AnyArray) -> Float32Array:
    """Distances of each query to each row.

    Parameters
    ----------
    metric : {'cosine', 'inner_product', 'l2', 'hamming'}
    queries : array, shape (n, width)
    rows : array, shape (m, width)

    Returns
    -------
    float32 array, shape (n, m)

    Raises
    ------
    ValueError
        If the metric is unknown, or shapes or types do not belong together.

    Examples
    --------
    >>> pairwise("l2", np.zeros((1, 2), np.float32), np.array([[3, 4]], np.float32))
    array([[5.]], dtype=float32)
    """
    if metric not in _METRICS:
        raise ValueError(f"metric must be one of {', '.join(_METRICS)}, got {metric!r}")
    return _METRICS[metric](queries, rows)


def _check(queries: AnyArray, rows: AnyArray) -> None:
    if queries.ndim != 2 or rows.ndim != 2 or queries.shape[1] != rows.shape[1]:
        raise ValueError(
            "queries and rows must be of shape (n, width) and (m, width), "
            f"got {queries.shape} and {rows.shape}"
        )


def top_k(distances: Float32Array, k: int) -> tuple[Int64Array, Float32Array]:
    """The k smallest distances of each row, nearest first; equal ones by their position.

    Parameters
    ----------
    distances : float32 array, shape (n, m)
        Infinite ones are never taken.
    k : int
        At least 1; may exceed m.

    Returns
    -------
    positions : int64 array, shape (n, k)
        In 0 ... m - 1; -1 where there are fewer than k.
    distances : float32 array, shape (n, k)
        Infinite at -1.

    Raises
    ------
    ValueError
        If k is less than 1.

    Examples
    --------
    >>> top_k(np.array([[3, 1, 2, 1]], np.float32), 3)[0]
    array([[1, 3, 2]])
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    n, m = distances.shape
    positions = np.full((n, k), -1, np.int64)
    nearest = np.full((n, k), np.inf, np.float32)
    for i, row in enumerate(distances):
        near = np.flatnonzero(row < np.inf)
        if m > k:
            near = np.flatnonzero((row <= np.partition(row, k - 1)[k - 1]) & (row < np.inf))
        # Stable, so that the earlier of equals comes first.
        near = near[np.argsort(row[near], kind="stable")[:k]]
        positions[i, : len(near)] = near
        nearest[i, : len(near)] = row[near]
    return positions, nearest


def score(metric: Metric, ndim: int, distance: float) -> float:
    """How good a distance is: 1 is perfect (except for inner products), larger is better.

    Parameters
    ----------
    metric : {'cosine', 'inner_product', 'l2', 'hamming'}
    ndim : int
        Numbers of a row, or bits of a code.
    distance : float
        As `pairwise` gives it.

    Examples
    --------
    >>> score("hamming", 128, 32.0)
    0.75
    """
    if metric == "hamming":
        return 1 - distance / ndim
    if metric == "cosine":
        return 1 - distance
    if metric == "inner_product":
        return -distance
    if metric == "l2":
        return 1 / (1 + distance)
    raise ValueError(f"metric must be one of {', '.join(_METRICS)}, got {metric!r}")
