"""Generated sounds that networks are tried on when they are converted.

Two sets of different kinds: by the first the scales of an 8-bit graph are found, by the second it
is compared with the exact one, so that it must do well on what it was not made for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earmark.types import AnyArray, Float32Array, Float64Array

_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (660, 1720, 2410))
"""Formants of four vowels in Hz (Peterson and Barney, 1952)."""


def featured(
    name: str,
    features: Callable[[Float32Array], Float32Array],
    *,
    sample_rate: int,
    seconds: float,
) -> Callable[[bool], list[dict[str, AnyArray]]]:
    """Return what `earmark.encoders.converting.Recipe` calls ``sounds``.

    Parameters
    ----------
    name : str
        Of the graph's input.
    features : callable
        Makes it of windows, shape (n, samples).
    sample_rate : int
    seconds : float
        Of a window.
    """

    def sounds(calibrate: bool) -> list[dict[str, AnyArray]]:
        make = to_calibrate if calibrate else to_compare
        return [{name: features(sound[None])} for sound in make(sample_rate, seconds)]

    return sounds


def to_calibrate(sample_rate: int, seconds: float, *, seed: int = 0) -> Float32Array:
    """Sounds by which scales are found.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    seconds : float
        Of each sound.
    seed : int

    Returns
    -------
    float32 array, shape (12, samples)
        Noises of several colours and levels, chords, plucked notes, clicks, a sweep, vowels.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    beat = np.exp(-6 * (t % 0.5))
    made = [_noise(len(t), colour, rng) for colour in (0.0, 1.0, 2.0)]
    made += [1e-2 * made[0], made[0] * beat, made[1] * (np.sin(np.pi * t / t[-1]) ** 2)]
    made += [_tone(t, 110, 12) + _tone(t, 165, 9), _tone(t, 523, 6) * beat]
    made += [(t % 0.25 < 1.5 / sample_rate).astype(float)]
    made += [np.sin(2 * np.pi * (60 * t + (0.3 * sample_rate / t[-1]) * t**2 / 2))]
    made += [_voice(t, 120, 0.4), made[2] + 0.3 * _voice(t, 220, 0.25)]
    return _levelled(made, rng)


def to_compare(sample_rate: int, seconds: float, *, seed: int = 1) -> Float32Array:
    """Sounds of other kinds, on which an 8-bit graph must agree with the exact one.

    Parameters and returns are those of `to_calibrate`, with 6 sounds: a melody, a voice in noise,
    drums, a siren, gusts, and something short and faint.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    notes = 220 * 2 ** (rng.integers(0, 24, 64)[np.minimum((t * 4).astype(int), 63)] / 12)
    melody = sum(np.sin(2 * np.pi * h * np.cumsum(notes) / sample_rate) / h for h in (1, 2, 3, 5))
    drums = _noise(len(t), 0.5, rng) * np.exp(-25 * (t % 0.4)) + np.sin(
        400 * np.exp(-20 * (t % 0.8))
    ) * np.exp(-8 * (t % 0.8))
    siren = np.sin(2 * np.pi * np.cumsum(900 + 400 * np.sin(2 * np.pi * 0.7 * t)) / sample_rate)
    gusts = _noise(len(t), 1.5, rng) * (1 + np.sin(2 * np.pi * 0.3 * t)) ** 2
    faint = 3e-2 * _noise(len(t), 0.2, rng) * (np.abs(t - t[-1] / 3) < 0.3)
    made = [melody * np.exp(-3 * (t % 0.25)), _voice(t, 160, 0.3) + 0.3 * _noise(len(t), 1.0, rng)]
    return _levelled([*made, drums, siren, gusts, faint + 1e-4 * rng.normal(size=len(t))], rng)


def _noise(n: int, colour: float, rng: np.random.Generator) -> Float64Array:
    """Noise whose power falls with frequency to the power of `colour`; peak 1."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** (colour / 2)
    sound = np.fft.irfft(spectrum, n)
    return np.asarray(sound / np.abs(sound).max(), np.float64)


def _tone(t: Float64Array, hz: float, partials: int) -> Float64Array:
    """A steady tone with its first partials."""
    parts = [np.sin(2 * np.pi * h * hz * t) / h for h in range(1, partials + 1)]
    return np.asarray(np.sum(parts, axis=0), np.float64)


def _voice(t: Float64Array, hz: float, syllable: float) -> Float64Array:
    """Something like a voice: partials under the formants of changing vowels, with pauses."""
    vowel = (t / syllable).astype(int) % len(_VOWELS)
    pitch = hz * (1 + 0.1 * np.sin(2 * np.pi * 0.5 * t))
    phase = 2 * np.pi * np.cumsum(pitch) * (t[1] - t[0])
    sound: Float64Array = np.zeros(len(t))
    for h in range(1, 25):
        near = np.array([sum(np.exp(-(((h * hz - f) / 180) ** 2)) for f in v) for v in _VOWELS])
        sound += (0.02 + near)[vowel] * np.sin(h * phase)
    return np.asarray(sound * (np.sin(np.pi * (t % syllable) / syllable) ** 0.5), np.float64)


def _levelled(sounds: list[Float64Array], rng: np.random.Generator) -> Float32Array:
    """Peaks between a tenth and nearly full scale, drawn; what is faint stays so."""
    peaks = [min(1.0, float(np.abs(sound).max())) for sound in sounds]
    drawn = rng.uniform(0.1, 0.95, len(sounds))
    rows = [s * (p * d / np.abs(s).max()) for s, p, d in zip(sounds, peaks, drawn, strict=True)]
    return np.stack(rows).astype(np.float32)
