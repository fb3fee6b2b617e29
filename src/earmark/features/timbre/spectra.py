"""What all timbre descriptors are computed from: one short and one long STFT of each segment.

Conventions: segments are rows of one array, all of the same number of samples, each valid up to
its own length (zeros after it); a frame counts if it starts a hop before the end; levels are
decibels relative to the loudest value of the segment, so that no descriptor depends on gain.
Everything is float32 and works on a batch of segments at once.

Short STFT: window 1024, hop 512 (the one of the `zounds` profile); long STFT: window 4096, hop
2048, for what needs single harmonics.  Both Vorbis power-complementary windows at 22,050 Hz.

Sources: Vorbis I specification (window); O'Shaughnessy 1987 (mel); Traunmueller 1990 (Bark).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from earmark.features.spectral import HOP, LENGTH, vorbis_window
from earmark.features.spectral import SAMPLE_RATE as SAMPLE_RATE
from earmark.types import Float32Array, Int64Array

SHORT, SHORT_HOP = LENGTH, HOP
LONG, LONG_HOP = 4096, 2048
N_MELS = 64
FLOOR_DB = -70.0
LOG_BINS_PER_OCTAVE = 24
LOG_FMIN_HZ = 55.0
LOG_OCTAVES = 7
_TINY = np.float32(1e-20)
_WEIGHT_FLOOR_DB, _WEIGHT_SPAN_DB = -50.0, 40.0
_LOUD_FLOOR_DB, _LOUD_SPAN_DB = -25.0, 10.0


@dataclass(frozen=True)
class Spectra:
    """The shared material of a batch of n segments.

    Parameters
    ----------
    power : float32 array, shape (n, frames, 513)
        Short power spectrum.
    mel_db : float32 array, shape (n, frames, 64)
        Mel spectrum, dB relative to the segment's loudest band and frame, from FLOOR_DB to 0.
    weight : float32 array, shape (n, frames)
        How much a frame counts: 0 for frames past the end or 50 dB below the loudest, 1 within
        10 dB of it; sums to 1 over a segment.
    log_db : float32 array, shape (n, long frames, 168)
        Log-frequency spectrum (24 per octave from 55 Hz), dB as `mel_db`.
    long_weight : float32 array, shape (n, long frames)
    loud_weight : float32 array, shape (n, frames)
        As `weight`, for frames within 25 dB of the loudest.
    used : int64 array, shape (n,)
        Short frames that begin before the segment's end.
    """

    power: Float32Array
    mel_db: Float32Array
    weight: Float32Array
    log_db: Float32Array
    long_weight: Float32Array
    loud_weight: Float32Array
    used: Int64Array


def analyse(samples: Float32Array, lengths: Int64Array) -> Spectra:
    """Compute the shared material.

    Parameters
    ----------
    samples : float32 array, shape (n, m)
        Segments at SAMPLE_RATE, zeros after their length; m at least 1.
    lengths : int64 array, shape (n,)
        Valid samples of each, at least 1.
    """
    power = _power(samples, SHORT, SHORT_HOP)
    mel_db = to_db(power @ mel_filters())
    level_db = _levels_db(power, lengths, SHORT_HOP)
    long_power = _power(samples, LONG, LONG_HOP)
    log_db = to_db(long_power @ log_filters())
    return Spectra(
        power,
        mel_db,
        _weights(level_db, _WEIGHT_FLOOR_DB, _WEIGHT_SPAN_DB),
        log_db,
        _weights(_levels_db(long_power, lengths, LONG_HOP), _WEIGHT_FLOOR_DB, _WEIGHT_SPAN_DB),
        _weights(level_db, _LOUD_FLOOR_DB, _LOUD_SPAN_DB),
        np.maximum(1, -(-lengths // SHORT_HOP)),
    )


def to_db(power: Float32Array) -> Float32Array:
    """Decibels relative to each segment's largest value, from FLOOR_DB to 0, shape kept."""
    top = power.max(axis=(1, 2), keepdims=True)
    scaled = power / np.maximum(top, _TINY)
    out: Float32Array = np.maximum(scaled, np.float32(10 ** (FLOOR_DB / 10)))
    np.log10(out, out=out)
    out *= 10
    return out


def weighted_stats(values: Float32Array, weight: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Weighted mean and standard deviation over frames.

    Parameters
    ----------
    values : float32 array, shape (n, frames, d)
    weight : float32 array, shape (n, frames)

    Returns
    -------
    mean, deviation : float32 arrays, shape (n, d)
    """
    mean = np.matmul(weight[:, None, :], values)
    centred = values - mean
    variance = np.matmul(weight[:, None, :], centred * centred)[:, 0]
    return mean[:, 0], np.sqrt(np.maximum(variance, 0))


def _power(samples: Float32Array, length: int, hop: int) -> Float32Array:
    frames = max(1, -(-samples.shape[1] // hop))
    padded = np.pad(samples, ((0, 0), (0, (frames - 1) * hop + length - samples.shape[1])))
    windows = sliding_window_view(padded, length, axis=1)[:, ::hop]
    spectrum = np.fft.rfft(windows * vorbis_window(length), axis=-1)
    power: Float32Array = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    return power


def _levels_db(power: Float32Array, lengths: Int64Array, hop: int) -> Float32Array:
    """Level of each frame relative to the loudest, dB; -90 or less for those past the end."""
    level = power.sum(axis=2)
    starts = hop * np.arange(power.shape[1])
    valid = (starts[None] + hop <= lengths[:, None]) | (starts[None] == 0)
    level = np.where(valid, level, 0)
    top = np.maximum(level.max(axis=1, keepdims=True), _TINY)
    return np.asarray(10 * np.log10(np.maximum(level / top, np.float32(1e-9))), np.float32)


def _weights(level_db: Float32Array, floor_db: float, span_db: float) -> Float32Array:
    weight = np.clip((level_db - floor_db) / span_db, 0, 1)
    total = np.maximum(weight.sum(axis=1, keepdims=True), np.float32(1e-6))
    return np.asarray(weight / total, np.float32)


@lru_cache(maxsize=1)
def mel_filters() -> Float32Array:
    """Triangular mel filters of unit peak, shape (513, 64), 30 to 11,025 Hz."""
    edges = np.linspace(_hz_to_mel(30.0), _hz_to_mel(SAMPLE_RATE / 2), N_MELS + 2)
    return _triangles(700 * (10 ** (edges / 2595) - 1), SHORT)


@lru_cache(maxsize=1)
def bark_filters() -> Float32Array:
    """Triangular filters at 40 centres equally spaced in Bark, shape (513, 40)."""
    top = 6 * np.arcsinh(SAMPLE_RATE / 2 / 600)
    edges = 600 * np.sinh(np.linspace(6 * np.arcsinh(20 / 600), top, 42) / 6)
    return _triangles(edges, SHORT)


@lru_cache(maxsize=1)
def log_filters() -> Float32Array:
    """Filters at log-spaced centres, shape (2049, 168); low ones as wide as a bin allows."""
    centres = LOG_FMIN_HZ * 2 ** (
        np.arange(LOG_BINS_PER_OCTAVE * LOG_OCTAVES) / LOG_BINS_PER_OCTAVE
    )
    bins = np.arange(LONG // 2 + 1) * SAMPLE_RATE / LONG
    half = np.maximum(centres * (2 ** (1 / LOG_BINS_PER_OCTAVE) - 1), SAMPLE_RATE / LONG)
    response = np.maximum(0, 1 - np.abs(bins[:, None] - centres[None]) / half[None])
    return response.astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _triangles(edges: np.ndarray, length: int) -> Float32Array:
    bins = np.arange(length // 2 + 1) * SAMPLE_RATE / length
    half = np.maximum(np.diff(edges), 0.75 * SAMPLE_RATE / length)
    centre = edges[1:-1]
    rise = 1 - (centre[None] - bins[:, None]) / half[None, :-1]
    fall = 1 - (bins[:, None] - centre[None]) / half[None, 1:]
    return np.asarray(np.clip(np.minimum(rise, fall), 0, None), np.float32)
