"""The pitch that leads in a mixture: harmonic summation over a whitened spectrum.

Where several things sound, no lag of the waveform stands out.  Here the strength of a pitch is the
sum of the spectrum at its harmonics, less what lies between them (that speaks for a lower pitch),
the spectrum whitened first so that a bass drum does not outweigh a voice.  The peaks are candidates
like those of `earmark.melody.pitch`, and the same search lays a path through them.

Source: Klapuri, "Multiple fundamental frequency estimation by summing harmonic amplitudes" (2006);
Salamon and Gómez, "Melody extraction from polyphonic music signals using pitch contour
characteristics" (2012).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from earmark.melody.pitch import CANDIDATES, FRAME, SAMPLE_RATE, STEP, Candidates, Costs
from earmark.types import Float32Array

EVERY = 2
"""Frames of `earmark.melody.pitch` per frame here: 25 ms."""

SIZE = 1024
"""Samples of a frame, 93 ms."""

COSTS = Costs(voicing=0.3, silence=0.02, jump=0.9, change=0.2)
"""What a path through a mixture pays: it must not jump from voice to voice."""

_N_FFT = 2048
_PER_SEMITONE = 5
_LOWEST, _HIGHEST = 45.0, 88.0
"""Where melodies lie, in MIDI semitones: 110 Hz to 1.3 kHz."""

_HARMONICS = 8
_FADE = 0.82
_BETWEEN = 0.35
"""What lies between the harmonics counts against a pitch, as this part of what lies on them."""

_CENTRE, _SPREAD = 70.0, 16.0
"""Melodies lie above their accompaniment: strengths fade away from here, in semitones."""


def mixture_candidates(samples: Float32Array, frames: int) -> Candidates:
    """Find the pitches that lead in frames.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Frame i of `earmark.melody.pitch` begins at sample ``i * STEP``.
    frames : int
        How many of these frames there are; every `EVERY`-th is looked at.

    Returns
    -------
    Candidates
        Of all frames.
    """
    looked = -(-frames // EVERY)
    before = (SIZE - FRAME) // 2
    needed = (looked - 1) * EVERY * STEP + SIZE
    padded = np.pad(samples, (before, max(0, needed - len(samples))))
    framed = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[:: EVERY * STEP][:looked]
    levels = np.abs(framed).max(axis=1, initial=0.0)
    pitches, strengths = _peaks(salience(framed))
    repeat = np.repeat(np.arange(looked), EVERY)[:frames]
    return Candidates(pitches[repeat], strengths[repeat], levels[repeat].astype(np.float32))


def salience(framed: Float32Array) -> Float32Array:
    """Strength of each pitch in frames, shape (n, SIZE): (n, pitches), about 0 to 1."""
    window, weights, prior = _tables()
    magnitude = np.abs(np.fft.rfft(framed * window, _N_FFT, axis=1)).astype(np.float32)
    white = _whitened(np.sqrt(magnitude))
    values: Float32Array = np.maximum(white @ weights, 0) * prior
    return values


def _whitened(spectrum: Float32Array) -> Float32Array:
    """Divide a spectrum, shape (n, bins), by its mean over about a third of its octave."""
    sums = np.concatenate(
        [np.zeros((len(spectrum), 1), np.float32), np.cumsum(spectrum, axis=1)], axis=1
    )
    bins = np.arange(spectrum.shape[1])
    half = np.maximum(12, (0.25 * bins).astype(np.int64))
    low, high = np.maximum(bins - half, 0), np.minimum(bins + half + 1, len(bins))
    mean = (sums[:, high] - sums[:, low]) / (high - low)
    floor = 0.1 * spectrum.max(axis=1, keepdims=True) + 1e-6
    white: Float32Array = np.maximum(spectrum / (mean + floor) - 1.0, 0).astype(np.float32)
    return white


@lru_cache(maxsize=1)
def _tables() -> tuple[Float32Array, Float32Array, Float32Array]:
    """The window, the sum over harmonics as a matrix (bins, pitches), and the prior of pitches."""
    count = round((_HIGHEST - _LOWEST) * _PER_SEMITONE) + 1
    pitches = _LOWEST + np.arange(count) / _PER_SEMITONE
    hz = 440.0 * 2.0 ** ((pitches - 69) / 12)
    weights = np.zeros((_N_FFT // 2 + 1, count))
    for h in range(1, _HARMONICS + 1):
        fade = _FADE ** (h - 1)
        _add(weights, hz * h, fade)
        _add(weights, hz * (h - 0.5), -_BETWEEN * fade)
    weights /= sum(_FADE ** (h - 1) for h in range(1, _HARMONICS + 1))
    prior = np.exp(-0.5 * ((pitches - _CENTRE) / _SPREAD) ** 2)
    window = np.hanning(SIZE + 2)[1:-1]
    return window.astype(np.float32), weights.astype(np.float32), prior.astype(np.float32)


def _add(
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]], hz: object, gain: float
) -> None:
    """Add a gain at frequencies in Hz, one a column, between the two nearest bins."""
    place = np.asarray(hz, np.float64) * _N_FFT / SAMPLE_RATE
    low = np.floor(place).astype(np.int64)
    columns = np.flatnonzero(low + 1 < len(weights))
    part = place - low
    weights[low[columns], columns] += gain * (1 - part[columns])
    weights[low[columns] + 1, columns] += gain * part[columns]


def _peaks(values: Float32Array) -> tuple[Float32Array, Float32Array]:
    """The strongest local maxima of each row: pitch and strength, shape (n, CANDIDATES)."""
    edged = np.pad(values, ((0, 0), (1, 1)))
    top = (edged[:, 1:-1] > edged[:, :-2]) & (edged[:, 1:-1] >= edged[:, 2:])
    score = np.where(top, values, 0.0).astype(np.float32)
    best = np.argpartition(-score, CANDIDATES - 1, axis=1)[:, :CANDIDATES]
    strengths = np.take_along_axis(score, best, axis=1)
    scale = np.maximum(np.percentile(strengths.max(axis=1, initial=0), 90), 1e-6)
    pitches = np.where(strengths > 0, _LOWEST + best / _PER_SEMITONE, 0)
    return pitches.astype(np.float32), np.minimum(strengths / scale, 1.0).astype(np.float32)
