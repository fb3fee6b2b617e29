"""A spectral code without a neural network: 32 bits for each eighth of a second.

A frame's energies in bands spaced evenly in pitch, as logarithms, over about a second, are
projected on 32 fixed directions; the signs are the code.  The directions were chosen (see
`earmark.training.spectral`) so that what noise, rooms, microphones and a small shift change is
small along them against what tells one moment of music from another, and turned so that the bits
are balanced and independent.  A query keeps the projections themselves: what is near zero says
little, and is weighted so when it is compared with stored bits.

Conventions: mono float32 at `SpectralFront.sample_rate`; frame i begins at sample ``i * hop`` and
code i is made of frames i to ``i + patch - 1``.

Sources: codes of signs of filters over chroma or spectrum are Haitsma and Kalker (2002), Ke et
al. (2005) and Chromaprint (Lalinsky 2010); directions from covariances of clean and degraded
pairs are Fisher's discriminant analysis; turning them for balance is iterative quantisation (Gong
and Lazebnik 2011); comparing real projections with stored bits is Gordo et al., "Asymmetric
distances for binary embeddings" (2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from earmark.fingerprinting import hann
from earmark.types import Float32Array, UInt8Array

BITS = 32


@dataclass(frozen=True)
class SpectralFront:
    """What the bands are: stored with the directions.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft, hop : int
        Samples of a periodic Hann window, and between frames.
    bands : int
        Triangular bands, evenly spaced in pitch.
    fmin, fmax : float
        Edges of the bands, in Hz.
    patch : int
        Frames that one code is made of.
    """

    sample_rate: int = 8000
    n_fft: int = 2048
    hop: int = 1000
    bands: int = 40
    fmin: float = 130.0
    fmax: float = 3700.0
    patch: int = 8

    @property
    def reach(self) -> int:
        """Samples that one code is made of."""
        return (self.patch - 1) * self.hop + self.n_fft


@dataclass(frozen=True)
class Directions:
    """The fixed projection.

    Parameters
    ----------
    front : SpectralFront
        The bands that it takes.
    matrix : float32 array, shape (patch * bands, 32)
    threshold : float32 array, shape (32,)
    """

    front: SpectralFront
    matrix: Float32Array
    threshold: Float32Array


@lru_cache(maxsize=1)
def load_directions() -> Directions:
    """Return the directions shipped with the package."""
    path = resources.files("earmark.encoders") / "weights" / "spectral.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        numbers = {name: data[name].item() for name in data.files if data[name].ndim == 0}
        return Directions(SpectralFront(**numbers), data["matrix"], data["threshold"])


@lru_cache(maxsize=32)
def band_filters(front: SpectralFront, speed: float = 1.0) -> Float32Array:
    """Triangular filters of sum 1 over the bins of the power spectrum, (n_fft // 2 + 1, bands).

    With a `speed`, the bands lie where those of a sound are that is played that much too fast.
    """
    edges = np.geomspace(front.fmin, front.fmax, front.bands + 2) * speed
    bins = np.arange(front.n_fft // 2 + 1)[:, None] * front.sample_rate / front.n_fft
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    filters: Float32Array = (weights / weights.sum(axis=0)).astype(np.float32)
    filters.flags.writeable = False
    return filters


def frame_levels(framed: Float32Array, front: SpectralFront) -> Float32Array:
    """Logarithmic energies of frames of samples.

    Parameters
    ----------
    framed : float32 array, shape (n, n_fft)
        Not yet windowed.

    Returns
    -------
    float32 array, shape (n, bands)
        log10 of energies, which are floored far below hearing.
    """
    return levels_of(_power(framed, front), front)


def levels_of(power: Float32Array, front: SpectralFront, *, speed: float = 1.0) -> Float32Array:
    """Logarithmic energies of power spectra, (n, n_fft // 2 + 1): float32 array, (n, bands)."""
    levels: Float32Array = np.log10(np.maximum(power @ band_filters(front, speed), 1e-9))
    return levels


def power_spectra(samples: Float32Array, front: SpectralFront) -> Float32Array:
    """Power spectra of the frames that lie wholly within samples of shape (n,)."""
    if len(samples) < front.n_fft:
        return np.zeros((0, front.n_fft // 2 + 1), np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(samples, front.n_fft)[:: front.hop]
    return np.concatenate([_power(framed[i : i + 64], front) for i in range(0, len(framed), 64)])


def _power(framed: Float32Array, front: SpectralFront) -> Float32Array:
    spectrum = np.fft.rfft(framed * hann(front.n_fft), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return power.astype(np.float32, copy=False)


def band_levels(samples: Float32Array, front: SpectralFront) -> Float32Array:
    """`frame_levels` of the frames that lie wholly within samples of shape (n,)."""
    return levels_of(power_spectra(samples, front), front)


def project(levels: Float32Array, directions: Directions) -> Float32Array:
    """Project patches of band levels on the directions.

    Parameters
    ----------
    levels : float32 array, shape (..., m, bands)
    directions : Directions

    Returns
    -------
    float32 array, shape (..., m - patch + 1, 32)
        Positive where the code's bit is 1; about 1 in size on the whole.
    """
    front = directions.front
    count = max(0, levels.shape[-2] - front.patch + 1)
    # A sum over the frames of a patch, so that patches need no copy.
    parts = directions.matrix.reshape(front.patch, front.bands, BITS)
    out = np.zeros((*levels.shape[:-2], count, BITS), np.float32) - directions.threshold
    for i in range(front.patch if count else 0):
        out += levels[..., i : i + count, :] @ parts[i]
    return out


def pack(projections: Float32Array) -> UInt8Array:
    """Codes of projections (..., 32): uint8 array, shape (..., 4), first bit highest."""
    return np.packbits(projections > 0, axis=-1)


def unpack(codes: UInt8Array) -> Float32Array:
    """Bits of codes (..., n bytes) as -1 and 1: float32 array, shape (..., 8 * n bytes)."""
    bits = np.unpackbits(codes, axis=-1).astype(np.float32)
    return bits * np.float32(2.0) - np.float32(1.0)


def soft(projections: Float32Array) -> Float32Array:
    """What a query is compared by: projections squashed to (-1, 1), each row of mean size 1.

    Its product with a code's -1 and 1, over 32, is 1 if all bits agree and 0 on average by
    chance; bits of small projections count little.
    """
    squashed = np.tanh(projections)
    size = np.mean(np.abs(squashed), axis=1, keepdims=True)
    scaled: Float32Array = squashed / np.maximum(size, np.float32(1e-6))
    return scaled


def similarity(query: Float32Array, codes: UInt8Array) -> Float32Array:
    """Similarity of each query row with each code.

    Parameters
    ----------
    query : float32 array, shape (n, 32)
        Of `soft`.
    codes : uint8 array, shape (m, 4)

    Returns
    -------
    float32 array, shape (n, m)
    """
    return query @ unpack(codes).T / np.float32(BITS)
