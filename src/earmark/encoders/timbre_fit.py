"""How the profile `own` learns its projection: linear algebra on tables of descriptors.

Sources: Fisher 1936 (discriminants); Friedman 1989 (regularised discriminant analysis).
"""

from __future__ import annotations

import numpy as np

from earmark.encoders.timbre_projection import BITS, CLIP, VECTOR, VERSION
from earmark.types import AnyArray, Float32Array, Float64Array, Int64Array

_SHRINK = 0.3


def standardised(rows: Float32Array) -> tuple[Float64Array, Float32Array, Float32Array]:
    """Descriptors as a projection takes them, their mean and deviation.

    Parameters
    ----------
    rows : float32 array, shape (m, d)

    Returns
    -------
    z : float64 array, shape (m, d)
    mean, scale : float32 arrays, shape (d,)
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    scale = rows.std(axis=0, dtype=np.float64) + 1e-3
    z: Float64Array = np.clip((rows - mean) / scale, -CLIP, CLIP)
    return z, mean.astype(np.float32), scale.astype(np.float32)


def principal(z: Float64Array, count: int) -> Float64Array:
    """Half-whitened principal directions, shape (d, count): each divided by the fourth root of
    the variance along it; zeros where there are no more than a thousandth of the largest."""
    centred = z - z.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    spread = lengths[:count] / np.sqrt(len(z))
    good = spread > 1e-3 * spread[0]
    out = np.zeros((z.shape[1], count))
    out[:, : len(spread)][:, good] = directions[:count][good].T / np.sqrt(spread[good])
    return out


def discriminants(z: Float64Array, index: Int64Array, count: int) -> Float64Array:
    """Directions, shape (d, count), along which classes differ most and their members least.

    Parameters
    ----------
    z : float64 array, shape (m, d)
    index : int64 array, shape (m,)
        Class of each row, 0 to classes - 1, all of them there; all classes count alike.
    count : int
        At most classes - 1.
    """
    sizes = np.bincount(index)
    means = np.zeros((len(sizes), z.shape[1]))
    np.add.at(means, index, z)
    means /= sizes[:, None]
    rest = (z - means[index]) / np.sqrt(sizes[index] * len(sizes))[:, None]
    within = rest.T @ rest
    even = np.trace(within) / len(within) + 1e-9
    within = (1 - _SHRINK) * within + _SHRINK * even * np.eye(len(within))
    centred = (means - means.mean(axis=0)) / np.sqrt(len(sizes))
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, _, directions = np.linalg.svd(centred @ root.T, full_matrices=False)
    return np.asarray(root.T @ directions[:count].T)


def beside(z: Float64Array, first: Float64Array, count: int, share: float) -> Float64Array:
    """Principal directions of what `first`, shape (d, k), does not see; shape (d, count).

    Their vectors have `share` of the root mean square length of those along `first`.
    """
    basis, _ = np.linalg.qr(first)
    rest = z - (z @ basis) @ basis.T
    directions = principal(rest, count)
    directions -= basis @ (basis.T @ directions)
    size = np.sqrt(np.square(z @ first).sum(axis=1).mean())
    own = np.sqrt(np.square(z @ directions).sum(axis=1).mean())
    return np.asarray(directions * share * size / max(own, 1e-12))


def arrays(
    z: Float64Array,
    mean: Float32Array,
    scale: Float32Array,
    linear: Float64Array,
    *,
    seed: int,
) -> dict[str, AnyArray]:
    """A projection's arrays, as `Projection.from_arrays` takes them, without a hidden layer."""
    rng = np.random.default_rng(seed)
    bias = -(z.mean(axis=0) @ linear)
    vectors = z @ linear + bias
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    turns = [np.linalg.qr(rng.standard_normal((VECTOR, VECTOR)))[0] for _ in range(BITS // VECTOR)]
    return {
        "version": np.array([VERSION]),
        "mean": mean,
        "scale": scale,
        "linear": linear.astype(np.float32),
        "hidden": np.zeros((len(mean), 1), np.float32),
        "hidden_bias": np.zeros(1, np.float32),
        "out": np.zeros((1, VECTOR), np.float32),
        "bias": bias.astype(np.float32),
        "centre": vectors.mean(axis=0).astype(np.float32),
        "directions": np.concatenate(turns, axis=1).astype(np.float32),
    }
