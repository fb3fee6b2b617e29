"""Log-mel spectrograms exactly as published networks were trained on them.

One description, `MelFront`, covers the front-ends of CLAP, PANNs, VGGish and EfficientAT; the
numbers are the models' own and must not be tuned.  Everything works on whole windows of equal
length, shape (n, samples), and gives (n, frames, bands), float32.

Sources: the feature extractors published with the models (their parameters, not their code);
Slaney, "Auditory Toolbox" (1998); O'Shaughnessy's mel formula as in Kaldi.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from earmark.features.bands import hz_to_mel, mel_to_hz
from earmark.features.spectral import constant
from earmark.types import Float32Array, Float64Array

_BLOCK = 256
"""Frames transformed at once: their spectra stay in the cache of a core."""


@dataclass(frozen=True)
class MelFront:
    """What a log-mel spectrogram is.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    length : int
        Samples of the Hann window.
    hop : int
        Samples between frames.
    n_fft : int
        Samples of the transform, at least `length`.
    bands : int
        Mel bands.
    fmin_hz, fmax_hz : float
        Edges of the lowest and the highest band.
    scale : {'slaney', 'mel'}
        'slaney': Slaney's mel, triangles drawn in Hz.  'mel': ``1127 ln(1 + f / 700)``, triangles
        drawn in mel, nothing at 0 Hz and at half the rate (as VGGish and Kaldi do it).
    area : bool
        Triangles of equal area (Slaney's norm), else of equal height.
    power : {1, 2}
        Of the magnitude.
    centred : bool
        Frame t is centred on sample ``t * hop``, the ends reflected; else it begins there.
    periodic : bool
        Of the window.
    preemphasis : float
        The part of the previous sample that is taken off each; one sample is lost.
    log : {'db', 'ln'}
        ``10 log10(max(x, floor))`` or ``ln(x + floor)``.
    floor : float
    """

    sample_rate: int
    length: int
    hop: int
    n_fft: int
    bands: int
    fmin_hz: float
    fmax_hz: float
    scale: Literal["slaney", "mel"] = "slaney"
    area: bool = True
    power: Literal[1, 2] = 2
    centred: bool = True
    periodic: bool = True
    preemphasis: float = 0.0
    log: Literal["db", "ln"] = "db"
    floor: float = 1e-10

    def frames(self, samples: int) -> int:
        """Return how many frames a window of so many samples has."""
        samples -= 1 if self.preemphasis else 0
        if self.centred:
            return 1 + samples // self.hop
        return max(0, 1 + (samples - self.length) // self.hop)


def _mel(hz: Float64Array | float) -> Float64Array:
    return np.asarray(1127 * np.log1p(np.asarray(hz, np.float64) / 700))


@lru_cache(maxsize=16)
def filters(front: MelFront) -> Float32Array:
    """Weights of the bands, shape (n_fft // 2 + 1, bands), read-only."""
    bins = np.arange(front.n_fft // 2 + 1) * front.sample_rate / front.n_fft
    to_mel = hz_to_mel if front.scale == "slaney" else _mel
    points = np.linspace(to_mel(front.fmin_hz), to_mel(front.fmax_hz), front.bands + 2)
    if front.scale == "slaney":
        edges = mel_to_hz(points)
    else:
        edges, bins = points, _mel(bins)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    if front.scale == "mel":
        weights[[0, -1]] = 0
    if front.area:
        weights = weights * 2 / (edges[2:] - edges[:-2])
    return constant(weights)


@lru_cache(maxsize=16)
def window(front: MelFront) -> Float32Array:
    """The Hann window of a frame, shape (n_fft,): in its middle if centred, else at its start."""
    period = front.length if front.periodic else front.length - 1
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front.length) / period)
    before = (front.n_fft - front.length) // 2 if front.centred else 0
    return constant(np.pad(hann, (before, front.n_fft - front.length - before)))


def log_mel(windows: Float32Array, front: MelFront) -> Float32Array:
    """Log-mel spectrograms of windows.

    Parameters
    ----------
    windows : float32 array, shape (n, samples)
        More samples than half a transform.
    front : MelFront

    Returns
    -------
    float32 array, shape (n, front.frames(samples), bands)
    """
    count = front.frames(windows.shape[1])
    out = np.empty((len(windows), count, front.bands), np.float32)
    for samples, spectrogram in zip(windows, out, strict=True):
        _fill(spectrogram, _framed(samples, front)[:count], front)
    return out


def _framed(samples: Float32Array, front: MelFront) -> Float32Array:
    """All frames of one window as a view, shape (frames, n_fft)."""
    if front.preemphasis:
        samples = samples[1:] - np.float32(front.preemphasis) * samples[:-1]
    half = front.n_fft // 2
    after = half if front.centred else front.n_fft - front.length
    padded = np.pad(samples, half, mode="reflect") if front.centred else np.pad(samples, (0, after))
    return np.lib.stride_tricks.sliding_window_view(padded, front.n_fft)[:: front.hop]


def _fill(out: Float32Array, frames: Float32Array, front: MelFront) -> None:
    """Compute one spectrogram into `out`, a block of frames at a time."""
    weights, hann = filters(front), window(front)
    for i in range(0, len(frames), _BLOCK):
        spectra = np.fft.rfft(frames[i : i + _BLOCK] * hann, axis=1)
        parts = spectra.view(np.float32)
        np.multiply(parts, parts, out=parts)
        levels = parts[:, ::2] + parts[:, 1::2]
        if front.power == 1:
            np.sqrt(levels, out=levels)
        np.matmul(levels, weights, out=out[i : i + _BLOCK])
    floor = np.float32(front.floor)
    if front.log == "db":
        np.log10(np.maximum(out, floor, out=out), out=out)
        out *= np.float32(10)
    else:
        np.log(np.add(out, floor, out=out), out=out)
