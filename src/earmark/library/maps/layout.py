"""Places in the plane: near where vectors are near.

All tracks at once are laid out by UMAP (McInnes, Healy and Melville, 2018, arXiv:1802.03426) on the
nearest neighbours among at most `DIMS` principal components; few tracks by their first two
principal components.  Later tracks are put among their nearest neighbours without moving any.
Everything random comes from the seed.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from earmark.errors import NotAvailable
from earmark.types import Float32Array, Int64Array

DIMS = 50
NEIGHBORS = 15
FEW = 20
"""Fewer tracks are laid out by principal components."""

_EXACT = 20_000
_PLACED_BY = 3


def components(rows: Float32Array, dims: int) -> Float32Array:
    """Return the first principal components, shape (n, min(dims, d)), float32.

    The sign of each is settled by its largest weight, so that the same rows give the same result.
    """
    centred = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    chosen = vectors[:, np.argsort(-values)[: min(dims, rows.shape[1])]]
    signs = np.sign(chosen[np.argmax(np.abs(chosen), axis=0), np.arange(chosen.shape[1])])
    return np.asarray(centred @ (chosen * signs), np.float32)


def nearest(rows: Float32Array, queries: Float32Array, k: int) -> tuple[Int64Array, Float32Array]:
    """Return positions and Euclidean distances of the k nearest rows of each query, (q, k).

    Exact as long as there are at most 400 million pairs, else through inverted lists.
    """
    import faiss

    rows, queries = np.ascontiguousarray(rows), np.ascontiguousarray(queries)
    width = rows.shape[1]
    if len(rows) * len(queries) <= _EXACT**2:
        index: Any = faiss.IndexFlatL2(width)
    else:
        lists = int(4 * np.sqrt(len(rows)))
        quantizer = faiss.IndexFlatL2(width)
        index = faiss.IndexIVFFlat(quantizer, width, lists)
        index.cp.niter = 10
        index.cp.min_points_per_centroid = 1  # else FAISS writes warnings to the terminal
        index.train(rows[:: max(1, len(rows) // (40 * lists))])
        index.nprobe = 24
    index.add(rows)
    squares, found = index.search(queries, k)
    return found.astype(np.int64), np.sqrt(np.maximum(squares, 0)).astype(np.float32)


def lay_out(rows: Float32Array, *, seed: int) -> Float32Array:
    """Return places, shape (n, 2), float32, within -1 and 1.

    Parameters
    ----------
    rows : float32 array, shape (n, d)
        Of unit length.
    seed : int

    Raises
    ------
    NotAvailable
        If umap-learn is not installed and there are enough tracks to need it.
    """
    if len(rows) < 2:
        return np.zeros((len(rows), 2), np.float32)
    reduced = components(rows, DIMS)
    if len(rows) < FEW:
        few = np.zeros((len(rows), 2), np.float32)
        few[:, : min(2, reduced.shape[1])] = reduced[:, :2]
        return _scaled(few)
    return _scaled(_umap(reduced, seed))


def _umap(rows: Float32Array, seed: int) -> Float32Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import umap
    except ImportError:
        raise NotAvailable(
            "a map needs the package umap-learn", hint="pip install 'earmark[map]'"
        ) from None
    k = min(NEIGHBORS, len(rows) - 1)
    found, away = nearest(rows, rows, k)
    found, away = _self_first(found, away)
    start = rows[:, :2] / max(float(rows[:, :2].std()), 1e-9)
    noise = np.random.default_rng(seed).normal(0, 1e-3, start.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one seed means one thread is what we want
        model = umap.UMAP(
            n_neighbors=k,
            min_dist=0.1,
            init=(start + noise).astype(np.float32),
            random_state=seed,
            precomputed_knn=(found, away),
            force_approximation_algorithm=True,
            n_epochs=200 if len(rows) > 10_000 else 500,
        )
        return np.asarray(model.fit_transform(rows), np.float32)


def _self_first(found: Int64Array, away: Float32Array) -> tuple[Int64Array, Float32Array]:
    """Make each row its own first neighbour: copies tie with it, and lists may miss it."""
    own = np.arange(len(found))[:, None]
    is_own = found == own
    missing = ~is_own.any(axis=1)
    is_own[missing, -1] = True  # gives way to the row itself
    order = np.argsort(~is_own, axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)
    away = np.take_along_axis(away, order, axis=1)
    found[:, 0], away[:, 0] = own[:, 0], 0.0
    lost = found < 0
    found[lost] = np.broadcast_to(own, found.shape)[lost]
    away[lost] = np.float32(1e3)
    return found, away


def _scaled(places: Float32Array) -> Float32Array:
    """Centre the middle half and fit nearly all into -1 ... 1; strays are held at the rim."""
    low, high = np.quantile(places, [0.005, 0.995], axis=0)
    span = max(float((high - low).max()), 1e-9)
    return np.asarray(np.clip((places - (low + high) / 2) * (1.9 / span), -1, 1), np.float32)


def place(
    known: Float32Array, places: Float32Array, new: Float32Array, *, seed: int
) -> tuple[Float32Array, Int64Array]:
    """Return places of new tracks, shape (m, 2), and the known ones they lie by, shape (m, j).

    Each lies at the mean of its three nearest known tracks, weighted by how near they are, and a
    hair aside so that no two coincide.
    """
    k = min(_PLACED_BY, len(known))
    found, away = nearest(known, new, k)
    scale = np.maximum(away[:, :1], 1e-3)
    weights = np.exp(-4 * (away / scale - 1))
    weights /= weights.sum(axis=1, keepdims=True)
    where = (places[found] * weights[:, :, None]).sum(axis=1)
    aside = np.random.default_rng(seed).normal(0, 0.004, where.shape)
    return np.asarray(np.clip(where + aside, -1, 1), np.float32), found
