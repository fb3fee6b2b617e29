"""Spectra summed into bands: Bark, mel and pitch classes.

Each function takes magnitude spectra of shape (..., bins), as `features.spectral.magnitude`
gives them, and multiplies them (or their squares) by a matrix that is made once and kept.

Sources: Traunmüller, "Analytical expressions for the tonotopic sensory scale", JASA 88 (1990)
for the idea of closed Bark formulas, here the arsinh form of Wang, Sekey and Gersho (1992);
Glasberg and Moore, "Derivation of auditory filter shapes", Hearing Research 47 (1990) for the
width of bands; Slaney, "Auditory Toolbox", 1998 for the mel scale and its triangles.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from earmark.features.spectral import SAMPLE_RATE, bin_frequencies, constant
from earmark.types import Float32Array, Float64Array

BARK_BANDS = 100
MEL_BANDS = 128
CHROMA_LENGTH = 4096


def hz_to_bark(hz: Float64Array | float) -> Float64Array:
    """Bark rate of frequencies in Hz: ``6 * asinh(f / 600)``."""
    return np.asarray(6 * np.arcsinh(np.asarray(hz) / 600))


def bark_to_hz(bark: Float64Array | float) -> Float64Array:
    """Inverse of `hz_to_bark`."""
    return np.asarray(600 * np.sinh(np.asarray(bark) / 6))


@lru_cache
def bark_filters(
    bins: int, sample_rate: int, *, bands: int = BARK_BANDS, fmin_hz: float = 20.0
) -> Float32Array:
    """Weights that average spectra in Bark bands.

    Centres lie equally spaced in Bark from `fmin_hz` to half the sample rate; the shape is a Hann
    window as wide as the ear's equivalent rectangular band, ``24.7 + 0.108 f`` Hz; each band's
    weights sum to 1.

    Returns
    -------
    float32 array, shape (bins, bands), read-only
    """
    centres = bark_to_hz(np.linspace(hz_to_bark(fmin_hz), hz_to_bark(sample_rate / 2), bands))
    widths = 24.7 + 0.108 * centres
    frequencies = bin_frequencies(bins, sample_rate).astype(np.float64)
    away = np.abs(frequencies[:, None] - centres) / widths
    weights = np.where(away < 0.5, 0.5 + 0.5 * np.cos(2 * np.pi * away), 0.0)
    # The lowest bands are about as narrow as one bin: one that falls between two takes the nearer.
    empty = np.flatnonzero(weights.sum(axis=0) == 0)
    weights[np.argmin(away, axis=0)[empty], empty] = 1
    return constant(weights / weights.sum(axis=0))


def bark_bands(
    spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE, bands: int = BARK_BANDS
) -> Float32Array:
    """Mean magnitude in Bark bands.

    Parameters
    ----------
    spectra : float32 array, shape (..., bins)
        Magnitudes.
    sample_rate : int
        In Hz.
    bands : int
        Number of bands, from 20 Hz to half the sample rate.

    Returns
    -------
    float32 array, shape (..., bands)
    """
    return spectra @ bark_filters(spectra.shape[-1], sample_rate, bands=bands)


def hz_to_mel(hz: Float64Array | float) -> Float64Array:
    """Slaney's mel scale: linear below 1,000 Hz (15 mel), then logarithmic."""
    f = np.asarray(hz, np.float64)
    above = 15 + 27 * np.log(np.maximum(f, 1000) / 1000) / np.log(6.4)
    return np.where(f < 1000, f * 3 / 200, above)


def mel_to_hz(mel: Float64Array | float) -> Float64Array:
    """Inverse of `hz_to_mel`."""
    m = np.asarray(mel, np.float64)
    return np.where(m < 15, m * 200 / 3, 1000 * 6.4 ** ((np.maximum(m, 15) - 15) / 27))


@lru_cache
def mel_filterbank(bins: int, sample_rate: int, *, bands: int = MEL_BANDS) -> Float32Array:
    """Triangles of equal area between 0 Hz and half the sample rate, equally spaced in mel.

    Returns
    -------
    float32 array, shape (bins, bands), read-only
    """
    points = mel_to_hz(np.linspace(0, hz_to_mel(sample_rate / 2), bands + 2))
    frequencies = bin_frequencies(bins, sample_rate).astype(np.float64)[:, None]
    rising = (frequencies - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - frequencies) / (points[2:] - points[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return constant(triangles * 2 / (points[2:] - points[:-2]))


def log_mel(
    spectra: Float32Array,
    *,
    sample_rate: int = SAMPLE_RATE,
    bands: int = MEL_BANDS,
    floor: float = 1e-10,
) -> Float32Array:
    """Power in mel bands, in dB.

    Parameters
    ----------
    spectra : float32 array, shape (..., bins)
        Magnitudes.
    sample_rate : int
        In Hz.
    bands : int
        Number of bands.
    floor : float
        Power below this counts as this: -100 dB by default.

    Returns
    -------
    float32 array, shape (..., bands)
    """
    power: Float32Array = (spectra**2) @ mel_filterbank(spectra.shape[-1], sample_rate, bands=bands)
    np.maximum(power, np.float32(floor), out=power)
    return 10 * np.log10(power, out=power)


@lru_cache
def chroma_filters(
    bins: int, sample_rate: int, *, fmin_hz: float = 60.0, fmax_hz: float = 5000.0
) -> Float32Array:
    """Weights that fold bins into the 12 pitch classes, C first, A4 = 440 Hz.

    A bin is shared between the two nearest semitones; octaves count by a Gaussian around 500 Hz,
    two octaves wide, so that hiss and rumble do not.

    Returns
    -------
    float32 array, shape (bins, 12), read-only
    """
    frequencies = bin_frequencies(bins, sample_rate).astype(np.float64)
    used = (frequencies >= fmin_hz) & (frequencies <= fmax_hz)
    midi = 69 + 12 * np.log2(np.where(used, frequencies, 440) / 440)
    away = np.abs((midi[:, None] - np.arange(12) + 6) % 12 - 6)
    octaves = np.log2(np.where(used, frequencies, 500) / 500)
    weights = np.maximum(0, 1 - away) * np.exp(-0.5 * (octaves / 2) ** 2)[:, None]
    return constant(weights * used[:, None])


def chroma(spectra: Float32Array, *, sample_rate: int = SAMPLE_RATE) -> Float32Array:
    """Power in the 12 pitch classes, C first, each frame scaled to a maximum of 1.

    Parameters
    ----------
    spectra : float32 array, shape (..., bins)
        Magnitudes; low notes need long frames (`CHROMA_LENGTH`).
    sample_rate : int
        In Hz.

    Returns
    -------
    float32 array, shape (..., 12)
        Zeros for silence.
    """
    power = (spectra**2) @ chroma_filters(spectra.shape[-1], sample_rate)
    scaled: Float32Array = power / np.maximum(power.max(axis=-1, keepdims=True), np.float32(1e-20))
    return scaled
