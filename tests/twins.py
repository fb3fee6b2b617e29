"""Slow twins of the signal layer: each formula as it is written, in float64 and loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def vorbis_window(length: int) -> Array:
    return np.array(
        [math.sin(math.pi / 2 * math.sin(math.pi * (n + 0.5) / length) ** 2) for n in range(length)]
    )


def dft_magnitude(frame: npt.ArrayLike) -> Array:
    """Magnitudes of the orthonormal DFT of one windowed frame."""
    x = np.asarray(frame, np.float64)
    n = len(x)
    x = x * vorbis_window(n)
    k = np.arange(n // 2 + 1)[:, None]
    return np.abs((x * np.exp(-2j * np.pi * k * np.arange(n) / n)).sum(axis=1)) / math.sqrt(n)


def stft(samples: npt.ArrayLike, length: int = 1024, hop: int = 512) -> Array:
    x = list(np.asarray(samples, np.float64))
    rows, start = [], 0
    while x:
        piece = x[start : start + length]
        rows.append(dft_magnitude(piece + [0.0] * (length - len(piece))))
        if start + length >= len(x):
            break
        start += hop
    return np.array(rows)


def bark_bands(spectrum: Array, sample_rate: int = 22_050, bands: int = 100) -> Array:
    low, high = 6 * math.asinh(20 / 600), 6 * math.asinh(sample_rate / 2 / 600)
    result = []
    for b in range(bands):
        centre = 600 * math.sinh((low + (high - low) * b / (bands - 1)) / 6)
        width = 24.7 + 0.108 * centre
        total = weight_sum = 0.0
        for i, magnitude in enumerate(spectrum):
            away = (i * sample_rate / 2 / (len(spectrum) - 1) - centre) / width
            if abs(away) < 0.5:
                weight = 0.5 * (1 + math.cos(2 * math.pi * away))
                total += weight * magnitude
                weight_sum += weight
        result.append(total / weight_sum)
    return np.array(result)


def dct2(values: Array, k: int) -> float:
    n = len(values)
    total = sum(v * math.cos(math.pi * (i + 0.5) * k / n) for i, v in enumerate(values))
    return total * math.sqrt((1 if k == 0 else 2) / n)


def bfcc(bark: Array, count: int = 13) -> Array:
    if bark.max() == 0:
        return np.zeros(count)
    logs = np.array([math.log(max(b, 1e-5 * bark.max())) for b in bark])
    return np.array([dct2(logs, k) for k in range(1, count + 1)])


def zounds_bits(window: npt.ArrayLike, codebook: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """The 128 bits of one window of 30 frames, without the rule for faint frames."""
    x = np.asarray(window, np.float64)
    bits = np.zeros(len(np.asarray(codebook)), np.bool_)
    for start in range(0, len(x) - 1023, 512):
        bark = bark_bands(dft_magnitude(x[start : start + 1024]))
        if bark.max() > 0:
            colour = bfcc(bark)
            colour = colour / math.sqrt(sum(c * c for c in colour))
            bits[np.argmin([((colour - c) ** 2).sum() for c in np.asarray(codebook)])] = True
    return bits


def spectral_contrast(spectrum: Array, sample_rate: int = 22_050) -> Array:
    edges = [0, 200, 400, 800, 1600, 3200, 6400, math.inf]
    frequencies = [i * sample_rate / 2 / (len(spectrum) - 1) for i in range(len(spectrum))]
    result = []
    for low, high in itertools.pairwise(edges):
        band = sorted(m for m, f in zip(spectrum, frequencies, strict=True) if low <= f < high)
        count = max(1, round(0.02 * len(band)))
        peak = max(sum(band[-count:]) / count, 1e-5)
        valley = max(sum(band[:count]) / count, 1e-5)
        result.append(20 * math.log10(peak / valley))
    return np.array(result)


def window_starts(n: int, window: int, hop: int) -> list[int]:
    starts, at = [], 0
    while at + window <= n:
        starts.append(at)
        at += hop
    last = max(0, n - window)
    return starts if n == 0 or last in starts else [*starts, last]
