"""The short-time Fourier transform that all features share, and shapes of its spectra.

Frames of 1,024 samples every 512 at 22,050 Hz; the window is Vorbis's power-complementary one;
magnitudes are of the orthonormal transform (a DFT divided by the square root of its length).
Frames are not centred: frame t begins at sample t * hop, and zeros fill the last one.

Everything takes and gives float32 and works along the last axis.

Sources: Vorbis I specification, section 4.3.1 (window); Jiang, Lu, Zhang, Tao and Cai, "Music
type classification by spectral contrast feature", ICME 2002; Peeters, "A large set of audio
features for sound description", 2004 (centroid, spread, rolloff, flatness).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from earmark.types import AnyArray, Float32Array

SAMPLE_RATE = 22_050
LENGTH = 1024
HOP = 512

_TINY = np.float32(1e-20)
"""Keeps quotients and logarithms of silent frames defined."""


def constant(values: AnyArray) -> Float32Array:
    """Return a read-only float32 copy: a cached array is shared by all callers."""
    array: Float32Array = np.array(values, np.float32, order="C")
    array.flags.writeable = False
    return array


@lru_cache
def vorbis_window(length: int = LENGTH) -> Float32Array:
    """The power-complementary window of Vorbis, shape (length,).

    ``sin(pi/2 * sin(pi * (n + 1/2) / length) ** 2)``: its square and the square of itself half a
    length later sum to 1.

    Examples
    --------
    >>> w = vorbis_window(8)
    >>> bool(np.allclose(w[:4] ** 2 + w[4:] ** 2, 1))
    True
    """
    phase = np.pi * (np.arange(length) + 0.5) / length
    return constant(np.sin(np.pi / 2 * np.sin(phase) ** 2))


def frame_count(n_samples: int, *, length: int = LENGTH, hop: int = HOP) -> int:
    """Return how many frames cover a sound: at least one unless it has no samples."""
    return 0 if n_samples == 0 else 1 + max(0, -(-(n_samples - length) // hop))


def frames_of(samples: Float32Array, *, length: int = LENGTH, hop: int = HOP) -> Float32Array:
    """Cut a whole sound into frames that cover it.

    Parameters
    ----------
    samples : float32 array, shape (n,)
    length, hop : int
        In samples.

    Returns
    -------
    float32 array, shape (frames, length)
        The last frame is filled up with zeros; at least one frame unless n is 0.
    """
    count = frame_count(len(samples), length=length, hop=hop)
    if count == 0:
        return np.empty((0, length), np.float32)
    missing = (count - 1) * hop + length - len(samples)
    padded = np.pad(samples, (0, missing)) if missing > 0 else samples
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def magnitude(frames: Float32Array) -> Float32Array:
    """Magnitude spectra of frames.

    Parameters
    ----------
    frames : float32 array, shape (..., length)
        May be a strided view.

    Returns
    -------
    float32 array, shape (..., length // 2 + 1)
    """
    length = frames.shape[-1]
    # The transform's 1 / sqrt(length) goes into the window: one pass over the data less.
    spectra = np.fft.rfft(frames * _scaled_window(length), axis=-1)
    parts = spectra.view(np.float32)
    np.multiply(parts, parts, out=parts)
    power: Float32Array = parts[..., ::2] + parts[..., 1::2]
    return np.sqrt(power, out=power)


@lru_cache
def _scaled_window(length: int) -> Float32Array:
    return constant(vorbis_window(length).astype(np.float64) / np.sqrt(length))


def stft_magnitude(samples: Float32Array, *, length: int = LENGTH, hop: int = HOP) -> Float32Array:
    """Magnitudes of the short-time Fourier transform of a whole sound.

    Parameters
    ----------
    samples : float32 array, shape (n,)
    length, hop : int
        In samples.

    Returns
    -------
    float32 array, shape (frames, length // 2 + 1)

    Examples
    --------
    >>> stft_magnitude(np.ones(1536, np.float32)).shape
    (2, 513)
    """
    return magnitude(frames_of(samples, length=length, hop=hop))


def bin_frequencies(bins: int, sample_rate: int) -> Float32Array:
    """Centre frequencies in Hz of the bins of a spectrum, shape (bins,)."""
    return np.linspace(0, sample_rate / 2, bins, dtype=np.float32)


def centroid(spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE) -> Float32Array:
    """Mean frequency in Hz, weighted by magnitude; 0 for silence.

    Parameters
    ----------
    spectra : float32 array, shape (..., bins)
        Magnitudes.
    sample_rate : int
        In Hz.

    Returns
    -------
    float32 array, shape (..., 1)
    """
    total = spectra.sum(axis=-1, keepdims=True)
    weighted = spectra @ bin_frequencies(spectra.shape[-1], sample_rate)[:, None]
    mean: Float32Array = weighted / np.maximum(total, _TINY)
    return mean


def bandwidth(spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE) -> Float32Array:
    """Standard deviation of frequency in Hz around the centroid, weighted by magnitude.

    Arguments and result are those of `centroid`.
    """
    frequencies = bin_frequencies(spectra.shape[-1], sample_rate)
    away = frequencies - centroid(spectra, sample_rate=sample_rate)
    spread = (spectra * away**2).sum(axis=-1, keepdims=True)
    total = spectra.sum(axis=-1, keepdims=True)
    deviation: Float32Array = np.sqrt(spread / np.maximum(total, _TINY))
    return deviation


def rolloff(
    spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE, part: float = 0.85
) -> Float32Array:
    """Frequency in Hz below which `part` of the summed magnitude lies; 0 for silence.

    Arguments and result are those of `centroid`.
    """
    sums = np.cumsum(spectra, axis=-1)
    index = np.argmax(sums >= np.float32(part) * sums[..., -1:], axis=-1)
    frequencies = bin_frequencies(spectra.shape[-1], sample_rate)
    result: Float32Array = frequencies[index][..., None]
    return result


def flatness(spectra: Float32Array) -> Float32Array:
    """Geometric over arithmetic mean of the power spectrum: 1 for white, near 0 for a tone.

    Takes magnitudes, shape (..., bins); gives shape (..., 1), 1 for silence.
    """
    power = np.maximum(spectra**2, np.float32(1e-10))
    logs = np.log(power).mean(axis=-1, keepdims=True)
    ratio: Float32Array = np.exp(logs) / power.mean(axis=-1, keepdims=True)
    return ratio


def rms(spectra: Float32Array) -> Float32Array:
    """Root mean square of the windowed frame, from its magnitudes.

    Takes magnitudes of an even length's transform, shape (..., bins); gives shape (..., 1).
    """
    power = spectra**2
    # Parseval: all bins but the first and the last stand for two.
    total = 2 * power.sum(axis=-1) - power[..., 0] - power[..., -1]
    # The window's mean square is 1/2.
    length = 2 * (spectra.shape[-1] - 1)
    level: Float32Array = np.sqrt(np.maximum(total, 0) / np.float32(length / 2))
    return level[..., None]


CONTRAST_EDGES = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)


def spectral_contrast(
    spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE, part: float = 0.02
) -> Float32Array:
    """Difference in dB between peaks and valleys in octave bands.

    Parameters
    ----------
    spectra : float32 array, shape (..., bins)
        Magnitudes.
    sample_rate : int
        In Hz, more than 12,800.
    part : float
        Share of a band's bins (at least one) whose mean is its peak, or its valley.

    Returns
    -------
    float32 array, shape (..., 7)
        Bands from 0, 200, 400, ... 6,400 Hz, the last up to half the sample rate.
    """
    bins = spectra.shape[-1]
    frequencies = bin_frequencies(bins, sample_rate)
    edges = [*np.searchsorted(frequencies, CONTRAST_EDGES), bins]
    bands = []
    for low, high in pairwise(edges):
        band = np.sort(spectra[..., low:high], axis=-1)
        count = max(1, round(part * (high - low)))
        valley, peak = band[..., :count].mean(axis=-1), band[..., -count:].mean(axis=-1)
        floor = np.float32(1e-5)
        bands.append(20 * np.log10(np.maximum(peak, floor) / np.maximum(valley, floor)))
    contrast: Float32Array = np.stack(bands, axis=-1).astype(np.float32, copy=False)
    return contrast
