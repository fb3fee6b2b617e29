"""Cepstra: the discrete cosine transform of logarithmic bands, and slopes in time.

The transform is the orthonormal DCT-II.  BFCC are of Bark bands, with the first coefficient
(level) left out; MFCC are of mel bands in dB, with it.

Source: Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word
recognition", IEEE TASSP 28 (1980).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from earmark.features.spectral import constant
from earmark.types import Float32Array

BFCC_COEFFICIENTS = 13
MFCC_COEFFICIENTS = 20

LOG_FLOOR = 1e-5
"""Bands this far (-100 dB) below a frame's loudest count as this loud.  Below it lie the
rounding of 16-bit files and what a codec's low-pass leaves; and since the floor follows the
frame's level, BFCC do not depend on level at all."""


@lru_cache
def dct_matrix(bands: int, first: int, count: int) -> Float32Array:
    """Coefficients first ... first + count - 1 of the orthonormal DCT-II.

    Returns
    -------
    float32 array, shape (bands, count), read-only
        Multiply rows of bands by it.
    """
    k = np.arange(first, first + count)
    n = np.arange(bands)[:, None]
    cosines = np.sqrt(2 / bands) * np.cos(np.pi * (n + 0.5) * k / bands)
    cosines[:, k == 0] = np.sqrt(1 / bands)
    return constant(cosines)


def bfcc(bark: Float32Array, *, count: int = BFCC_COEFFICIENTS) -> Float32Array:
    """Bark-frequency cepstral coefficients 1 ... count.

    Parameters
    ----------
    bark : float32 array, shape (..., bands)
        Magnitudes in Bark bands, as `bark_bands` gives them.
    count : int
        How many coefficients; the 0th, the level, is left out.

    Returns
    -------
    float32 array, shape (..., count)
        Zeros for a silent frame.
    """
    loudest = bark.max(axis=-1, keepdims=True)
    # All bands of a silent frame become 1, whose logarithm is 0.
    floor = np.where(loudest > 0, loudest * np.float32(LOG_FLOOR), np.float32(1))
    logs = np.maximum(bark, floor)
    np.log(logs, out=logs)
    return logs @ dct_matrix(bark.shape[-1], 1, count)


def mfcc(log_mel: Float32Array, *, count: int = MFCC_COEFFICIENTS) -> Float32Array:
    """Mel-frequency cepstral coefficients 0 ... count - 1.

    Parameters
    ----------
    log_mel : float32 array, shape (..., bands)
        Power in mel bands in dB, as `log_mel` gives it.
    count : int
        How many coefficients.

    Returns
    -------
    float32 array, shape (..., count)
    """
    return log_mel @ dct_matrix(log_mel.shape[-1], 0, count)


def unit(rows: Float32Array) -> Float32Array:
    """Rows scaled to length 1, shape (..., d); rows of length 0 stay as they are."""
    norms = np.sqrt(np.einsum("...d,...d->...", rows, rows))[..., None]
    norms[norms == 0] = 1
    scaled: Float32Array = rows / norms
    return scaled


def delta(rows: Float32Array, *, reach: int = 4) -> Float32Array:
    """Slope in time, per frame: least squares over `reach` frames to each side.

    Parameters
    ----------
    rows : float32 array, shape (frames, d)
    reach : int
        At least 1; the ends are continued with the first and the last frame.

    Returns
    -------
    float32 array, shape (frames, d)

    Examples
    --------
    >>> delta(np.arange(9, dtype=np.float32)[:, None], reach=2)[4]
    array([1.], dtype=float32)
    """
    if len(rows) == 0:
        return rows.copy()
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    n = len(rows)
    slope = np.zeros(rows.shape, np.float32)
    for step in range(1, reach + 1):
        slope += step * (padded[reach + step :][:n] - padded[reach - step :][:n])
    return slope / np.float32(2 * sum(step**2 for step in range(1, reach + 1)))
