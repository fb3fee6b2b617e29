"""The learned projection of the timbre profile `default`: descriptors in, vector and code out.

Data of the package (`weights/timbre.npz`; its making and its measures: ``docs/models/timbre.md``),
numpy alone: standardise and clip, a linear map plus one hidden layer, unit length; then, where the
file has one, a linear map of the descriptors and this vector together, unit length again.  The
code is the signs of 256 directions of the vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from earmark.errors import EncoderError
from earmark.types import AnyArray, Float32Array, UInt8Array

VERSION = 1
"""Of the descriptors that a projection was learned on; raised whenever they change."""

VECTOR, BITS = 64, 256
CLIP = 4.0
_AGAIN = ("again", "again_vector", "again_bias")
_NAMES = ("version", "mean", "scale", "linear", "hidden", "hidden_bias", "out", "bias", "centre")


@dataclass(frozen=True)
class Projection:
    """Arrays of the projection, float32 (stored as float16 where that is enough).

    `mean`, `scale` (d,); `linear` (d, 64); `hidden` (d, h); `hidden_bias` (h,); `out` (h, 64);
    `bias` (64,); `centre` (64,) and `directions` (64, 256) make the code.  `digest` names the
    content.  `again` (d, 64), `again_vector` (64, 64) and `again_bias` (64,) are the second map;
    None without one.
    """

    mean: Float32Array
    scale: Float32Array
    linear: Float32Array
    hidden: Float32Array
    hidden_bias: Float32Array
    out: Float32Array
    bias: Float32Array
    centre: Float32Array
    directions: Float32Array
    digest: str
    again: Float32Array | None = None
    again_vector: Float32Array | None = None
    again_bias: Float32Array | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Projection:
        """Check and take stored arrays.

        Raises
        ------
        EncoderError
            If one is missing, or the version is not this program's.
        """
        wanted = (*_NAMES, "directions", *(_AGAIN if _AGAIN[0] in arrays else ()))
        missing = [n for n in wanted if n not in arrays]
        if missing:
            raise EncoderError(f"a timbre projection must have the arrays {', '.join(missing)}")
        version = int(np.ravel(arrays["version"])[0])
        if version != VERSION:
            raise EncoderError(
                f"the timbre projection must be of version {VERSION}, got version {version}",
                hint="it was made by another release of earmark: install that one, or fit anew",
            )
        digest = hashlib.sha256()
        for name in sorted(arrays):
            digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        kept = (*_NAMES[1:], "directions", *(n for n in _AGAIN if _AGAIN[0] in arrays))
        values = {n: np.ascontiguousarray(arrays[n], dtype=np.float32) for n in kept}
        return cls(**values, digest=digest.hexdigest()[:16])

    def vectors(self, descriptors: Float32Array) -> Float32Array:
        """Project descriptors, shape (n, d), to vectors of unit length, shape (n, 64)."""
        if descriptors.ndim != 2 or descriptors.shape[1] != len(self.mean):
            raise ValueError(
                f"descriptors must be of shape (n, {len(self.mean)}), got {descriptors.shape}"
            )
        x = np.clip((descriptors - self.mean) / self.scale, -CLIP, CLIP)[:, None, :]
        # Three dimensions: each row is multiplied alone, so that it does not depend on the batch.
        inner = np.maximum(x @ self.hidden + self.hidden_bias, 0)
        unit = _unit(x @ self.linear + inner @ self.out + self.bias)
        if self.again is not None and self.again_vector is not None:
            unit = _unit(x @ self.again + unit @ self.again_vector + self.again_bias)
        return unit[:, 0]

    def codes(self, vectors: Float32Array) -> UInt8Array:
        """Signs along the directions, packed, uint8, shape (n, 32)."""
        signs = ((vectors - self.centre)[:, None, :] @ self.directions)[:, 0] > 0
        return np.packbits(signs, axis=1)


def _unit(y: Float32Array) -> Float32Array:
    """Rows of unit length, shape (n, 1, 64); the first axis where there is nothing."""
    length = np.linalg.norm(y, axis=2, keepdims=True)
    unit = y / np.maximum(length, np.float32(1e-12))
    return np.where(length > 0, unit, np.eye(1, VECTOR, dtype=np.float32)).astype(np.float32)


@lru_cache(maxsize=1)
def shipped() -> Projection:
    """The projection that comes with the package."""
    path = resources.files("earmark.encoders").joinpath("weights/timbre.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return Projection.from_arrays({name: arrays[name] for name in arrays.files})
