"""Descriptors of the spectrum's form: cepstra, spectral shape, and the drum patch.

All take the shared `Spectra` and give float32, shape (n, d).  Sources: Davis & Mermelstein 1980
(MFCC); Jiang et al. 2002 (spectral contrast); Peeters 2004 (shape statistics).
"""

from __future__ import annotations

import itertools

import numpy as np

from earmark.features.cepstral import dct_matrix
from earmark.features.timbre.spectra import (
    FLOOR_DB,
    N_MELS,
    SAMPLE_RATE,
    SHORT,
    Spectra,
    bark_filters,
    to_db,
    weighted_stats,
)
from earmark.types import Float32Array

N_MFCC, N_BFCC = 24, 16
LOUD_DB = -35.0
PATCH_BANDS = 16
PATCH_EDGES = (0, 1, 2, 3, 4, 6, 8, 12, 18, 26, 38, 60)
_OCTAVES_HZ = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, SAMPLE_RATE / 2)
_TINY = np.float32(1e-20)


def mfcc_stats(s: Spectra) -> Float32Array:
    """Mean and deviation of 24 MFCCs, deviation of their differences, their first 60 ms."""
    coefficients = s.mel_db @ dct_matrix(N_MELS, 0, N_MFCC)
    mean, deviation = weighted_stats(coefficients, s.weight)
    delta = np.diff(coefficients, axis=1, prepend=coefficients[:, :1])
    _, delta_deviation = weighted_stats(delta, s.weight)
    attack = _beginning(coefficients, s) - mean
    return np.concatenate([mean[:, 1:], deviation, delta_deviation, attack[:, 1:]], axis=1)


def loud_stats(s: Spectra) -> Float32Array:
    """Mean and deviation of 24 MFCCs and the mean spectrum of what is within 35 dB of the loudest
    band: what noise and rooms leave."""
    loud = np.maximum(s.mel_db, np.float32(LOUD_DB))
    coefficients = loud @ dct_matrix(N_MELS, 0, N_MFCC)
    pairs = loud.reshape(*loud.shape[:2], 32, 2).mean(axis=3)
    mean, deviation = weighted_stats(coefficients, s.loud_weight)
    course, spread = weighted_stats(pairs, s.loud_weight)
    return np.concatenate([mean[:, 1:], deviation, course, spread[:, ::2]], axis=1)


def bfcc_stats(s: Spectra) -> Float32Array:
    """Mean and deviation of 16 cepstral coefficients over Bark bands (0 left out)."""
    filters = bark_filters()
    coefficients = to_db(s.power @ filters) @ dct_matrix(filters.shape[1], 1, N_BFCC)
    return np.concatenate(weighted_stats(coefficients, s.weight), axis=1)


def shape_stats(s: Spectra) -> Float32Array:
    """Mean and deviation of centroid, bandwidth, skewness, roll-off, flatness, slope and flux.

    Frequencies count on a log2 axis, so that a transposition shifts and does not scale.
    """
    total = np.maximum(s.power.sum(axis=2), _TINY)
    axis = np.log2(np.maximum(np.arange(SHORT // 2 + 1), 0.5)).astype(np.float32)
    p = s.power / total[..., None]
    centroid = p @ axis
    second, third = p @ axis**2, p @ axis**3
    variance = np.maximum(second - centroid**2, np.float32(1e-6))
    skew = (third - 3 * centroid * variance - centroid**3) / variance**1.5
    running = np.cumsum(p, axis=2)
    rolls = [np.log2((running < q).sum(axis=2) + np.float32(0.5)) for q in (0.5, 0.85, 0.95)]
    bands = s.mel_db
    flat = np.stack([_flatness(bands[..., a : a + 16]) for a in range(0, N_MELS, 16)], axis=-1)
    flux = np.abs(np.diff(bands, axis=1, prepend=bands[:, :1])).mean(axis=2)
    parts = [centroid, np.sqrt(variance), np.clip(skew, -8, 8), *rolls, flux]
    table = np.concatenate([np.stack(parts, axis=-1), flat], axis=2).astype(np.float32)
    mean, deviation = weighted_stats(table, s.weight)
    return np.concatenate([mean, deviation, _beginning(table, s) - mean], axis=1)


def contrast_stats(s: Spectra) -> Float32Array:
    """Mean and deviation of peak minus valley, and of the valley, in 7 octave bands, in dB."""
    db = to_db(s.power)
    edges = [round(f * SHORT / SAMPLE_RATE) for f in _OCTAVES_HZ]
    parts = []
    for low, high in itertools.pairwise(edges):
        band = db[..., low : high + 1]
        count = max(1, band.shape[-1] // 5)
        ordered = np.sort(band, axis=-1)  # several times as fast as a partition
        valley = ordered[..., :count].mean(axis=-1)
        parts += [ordered[..., -count:].mean(axis=-1) - valley, valley]
    return np.concatenate(weighted_stats(np.stack(parts, axis=-1), s.weight), axis=1)


def mel_patch(s: Spectra) -> Float32Array:
    """Level in 16 mel bands x 11 steps of time after the onset (finer at first), dB."""
    n, frames, _ = s.mel_db.shape
    bands = s.mel_db.reshape(n, frames, PATCH_BANDS, -1).mean(axis=3)
    need = PATCH_EDGES[-1] - frames
    if need > 0:
        bands = np.pad(bands, ((0, 0), (0, need), (0, 0)), constant_values=FLOOR_DB)
    steps = [bands[:, a:b].mean(axis=1) for a, b in itertools.pairwise(PATCH_EDGES)]
    return np.concatenate(steps, axis=1)


def mean_spectrum(s: Spectra) -> Float32Array:
    """Weighted mean level and largest level of 32 mel bands, dB."""
    pairs = s.mel_db.reshape(*s.mel_db.shape[:2], 32, 2).mean(axis=3)
    mean, _ = weighted_stats(pairs, s.weight)
    return np.concatenate([mean, pairs.max(axis=1)], axis=1)


def modulation(s: Spectra) -> Float32Array:
    """Magnitude of the 2-D Fourier transform of the mel spectrum, free of pitch and place.

    Patches of 64 frames (1.5 s) every 32, weighted by how much sounds in each; 12 rates along
    frequency x 10 along time (both directions), log-compressed.
    """
    size, step = 64, 32
    db = s.mel_db - np.float32(FLOOR_DB)
    frames = db.shape[1]
    n_patches = 1 + max(0, -(-(frames - size) // step))
    pad = size + step * (n_patches - 1) - frames
    db = np.pad(db, ((0, 0), (0, max(0, pad)), (0, 0)))
    weight = np.pad(s.weight, ((0, 0), (0, max(0, pad))))
    total = np.zeros((len(db), 120), np.float32)
    taper = np.hanning(size + 2)[1:-1].astype(np.float32)[:, None]
    taper = np.maximum(taper, np.where(np.arange(size)[:, None] < size // 2, 1, 0)).astype(
        np.float32
    )
    for at in range(0, n_patches * step, step):
        patch = db[:, at : at + size] * taper
        along = np.fft.rfft(patch, axis=2)[..., :12]
        both = np.abs(np.fft.fft(along, axis=1))
        folded = [both[:, 0], both[:, 1], both[:, -1], both[:, 2], both[:, -2]]
        folded += [both[:, 3:6].mean(axis=1), both[:, -5:-2].mean(axis=1)]
        folded += [both[:, 6:12].mean(axis=1), both[:, -11:-5].mean(axis=1)]
        folded += [both[:, 12:30].mean(axis=1)]
        share = weight[:, at : at + size].sum(axis=1, keepdims=True)
        if at:  # a patch counts if it adds to the one before it
            share = share * (at + size - step < s.used[:, None])
        total += share * np.stack(folded, axis=1).reshape(len(db), -1)
    return np.log1p(total / 50)


def peakedness(s: Spectra) -> Float32Array:
    """0 for a spectrum of lines to 1 for a flat one, shape (n,): the weighted mean over frames of
    geometric over arithmetic mean of power, in the octave around each frame's loudest bin."""
    _n, _frames, bins = s.power.shape
    centre = np.clip(s.power.argmax(axis=2), 8, bins - 1)
    ratio = 2 ** np.linspace(-0.5, 0.5, 24)
    index = np.clip(np.round(centre[..., None] * ratio), 0, bins - 1).astype(np.int64)
    near = np.take_along_axis(s.power, index, axis=2) + np.float32(1e-12)
    flat = np.exp(np.log(near).mean(axis=2)) / near.mean(axis=2)
    return np.asarray((flat * s.loud_weight).sum(axis=1), np.float32)


def _beginning(values: Float32Array, s: Spectra) -> Float32Array:
    """Mean over the first three frames, or over those that a shorter segment has."""
    counts = np.arange(min(3, values.shape[1]))[None] < s.used[:, None]
    share = (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(np.matmul(share[:, None, :], values[:, : counts.shape[1]])[:, 0], np.float32)


def _flatness(db: Float32Array) -> Float32Array:
    """Geometric over arithmetic mean, in dB, of levels in dB along the last axis."""
    arithmetic = 10 * np.log10(np.mean(10 ** (db / 10), axis=-1))
    return np.asarray(db.mean(axis=-1) - arithmetic, np.float32)
