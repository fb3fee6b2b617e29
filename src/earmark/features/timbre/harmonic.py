"""Descriptors that leave the pitch out: constant-Q harmonic coefficients, harmonic envelope.

Sources: Rafii 2022, "The Constant-Q Harmonic Coefficients" (IEEE SPM: the magnitude of the
Fourier transform of a log-frequency spectrum is free of pitch; transformed back it is an
envelope, read at the places of the harmonics); Hermes 1988 (subharmonic summation).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from earmark.features.timbre.spectra import (
    FLOOR_DB,
    LOG_BINS_PER_OCTAVE,
    LOG_FMIN_HZ,
    Spectra,
    weighted_stats,
)
from earmark.types import Float32Array, Int64Array

N_HARMONICS = 20
_FIRST_LAGS = 24
_SALIENCE_DECAY = 0.86
_LOWEST_BIN, _HIGHEST_BIN = -12, 132  # candidates of the pitch: 39 Hz to 2.5 kHz


@dataclass(frozen=True)
class Pitch:
    """The pitch of each segment as a whole.

    `bins` float32 (n,) in 24ths of an octave above 55 Hz; `confidence` float32 (n,), 0 to 1.
    """

    bins: Float32Array
    confidence: Float32Array

    @property
    def hz(self) -> Float32Array:
        """In Hz, shape (n,)."""
        return (LOG_FMIN_HZ * 2 ** (self.bins / LOG_BINS_PER_OCTAVE)).astype(np.float32)


def cqhc_stats(s: Spectra) -> Float32Array:
    """Constant-Q harmonic coefficients: mean and deviation over the long frames."""
    lifted = s.log_db / np.float32(40) + 1
    compressed = np.maximum(lifted, 0)
    size = 2 * compressed.shape[2]
    transform = np.fft.rfft(compressed, n=size, axis=2)
    magnitude = np.abs(transform)
    envelope = np.fft.irfft(magnitude, n=size, axis=2).astype(np.float32)
    places = np.concatenate([np.arange(_FIRST_LAGS), _harmonic_bins(40)])
    places = np.unique(places[places < size // 2])
    chosen = envelope[:, :, places]
    phase = np.where(magnitude > 0, transform / np.maximum(magnitude, np.float32(1e-12)), 1)
    rest = np.fft.irfft(phase, n=size, axis=2)  # pitch part
    sharp = np.abs(rest[:, :, : size // 2]).max(axis=2, keepdims=True).astype(np.float32)
    stats = weighted_stats(np.concatenate([chosen, sharp], axis=2), s.long_weight)
    return np.concatenate(stats, axis=1)


def find_pitch(s: Spectra) -> Pitch:
    """Subharmonic summation over the weighted mean log-frequency spectrum."""
    mean, _ = weighted_stats(_salient(s.log_db), s.long_weight)
    score = _score(mean)
    best = score.argmax(axis=1)
    rows = np.arange(len(best))
    low, high = np.maximum(best - 1, 0), np.minimum(best + 1, score.shape[1] - 1)
    left, centre, right = score[rows, low], score[rows, best], score[rows, high]
    bend = left - 2 * centre + right
    offset = np.where(np.abs(bend) > 1e-9, 0.5 * (left - right) / np.where(bend == 0, 1, bend), 0)
    spread = score.mean(axis=1) + 2 * score.std(axis=1)
    confidence = np.clip((centre - spread) / np.maximum(centre, 1e-6) * 1.6, 0, 1)
    bins = best + _LOWEST_BIN + np.clip(offset, -0.5, 0.5)
    return Pitch(bins.astype(np.float32), confidence.astype(np.float32))


def harmonic_stats(s: Spectra, pitch: Pitch) -> Float32Array:
    """Levels at 20 harmonics of the segment's pitch: mean relative to their mean, deviation,
    odd-even balance, level between the harmonics, and the pitch's confidence."""
    bins = np.round(pitch.bins).astype(np.int64)[:, None] + _harmonic_bins(N_HARMONICS)[None]
    between = np.round(pitch.bins).astype(np.int64)[:, None] + _between_bins()[None]
    levels = _at(s.log_db, bins)
    valleys = _at(s.log_db, between)
    mean, deviation = weighted_stats(levels, s.long_weight)
    valley, _ = weighted_stats(valleys, s.long_weight)
    centred = mean - mean[:, :10].mean(axis=1, keepdims=True)
    odd = mean[:, 2:10:2].mean(axis=1) - mean[:, 1:10:2].mean(axis=1)
    gap = mean[:, : valley.shape[1]] - valley
    parts = [centred, deviation[:, :10], odd[:, None], gap, pitch.confidence[:, None] * 10]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _salient(log_db: Float32Array) -> Float32Array:
    """Peaks over their neighbourhood (a third of an octave to either side), dB, not negative."""
    span = 17
    padded = np.pad(log_db, ((0, 0), (0, 0), (span // 2, span // 2)), mode="edge")
    running = np.cumsum(np.pad(padded, ((0, 0), (0, 0), (1, 0))), axis=2, dtype=np.float64)
    local = ((running[..., span:] - running[..., :-span]) / span).astype(np.float32)
    loud = np.clip((log_db + 55) / 55, 0, 1)
    return np.asarray(np.maximum(log_db - local, 0) * loud, np.float32)


def _score(mean: Float32Array) -> Float32Array:
    n, size = mean.shape
    padded = np.zeros((n, size - _LOWEST_BIN + 200), np.float32)
    padded[:, -_LOWEST_BIN : size - _LOWEST_BIN] = mean
    count = _HIGHEST_BIN - _LOWEST_BIN
    score = np.zeros((n, count), np.float32)
    for h, shift in enumerate(_harmonic_bins(12)):
        score += np.float32(_SALIENCE_DECAY**h) * padded[:, shift : shift + count]
    return score


def _at(log_db: Float32Array, bins: Int64Array) -> Float32Array:
    """Largest level within a bin of the given ones, shape (n, frames, bins); floor outside."""
    n, frames, size = log_db.shape
    floor = np.float32(FLOOR_DB)
    padded = np.pad(log_db, ((0, 0), (0, 0), (1, 1)), constant_values=floor)
    index = np.clip(bins + 1, 0, size + 1)
    index = np.where((bins < 0) | (bins >= size), 0, index)
    rows = np.arange(n)[:, None, None]
    time = np.arange(frames)[None, :, None]
    centre = padded[rows, time, index[:, None, :]]
    near = [padded[rows, time, np.clip(index + d, 0, size + 1)[:, None, :]] for d in (-1, 1)]
    inside = (bins >= 0) & (bins < size)
    return np.where(inside[:, None, :], np.maximum(centre, np.maximum(*near)), floor)


@lru_cache(maxsize=4)
def _harmonic_bins(count: int) -> Int64Array:
    return np.round(LOG_BINS_PER_OCTAVE * np.log2(np.arange(1, count + 1))).astype(np.int64)


@lru_cache(maxsize=1)
def _between_bins() -> Int64Array:
    places = np.round(LOG_BINS_PER_OCTAVE * np.log2(np.arange(1, 7) + 0.5))
    return np.asarray(places, np.int64)
