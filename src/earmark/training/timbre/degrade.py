"""Copies of sounds as a bad microphone, a room, a codec or a noisy place would give them.

Everything is drawn from the generator handed in, one draw per sound.  `Conditions` says how bad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array


@dataclass(frozen=True)
class Conditions:
    """Ranges of what may happen, and how likely each of it is.

    `snr_db` range of the signal-to-noise ratio; `room_seconds` range of the reverberation time
    (60 dB); `low_pass_hz` range of the cut-off; `chance` of each of noise, room, low-pass;
    `other` chance of each of high-pass, tilt, codec, clipping.
    """

    snr_db: tuple[float, float] = (5.0, 40.0)
    room_seconds: tuple[float, float] = (0.15, 1.2)
    low_pass_hz: tuple[float, float] = (2000.0, 9000.0)
    chance: float = 0.6
    other: float = 0.25


MILD = Conditions(
    snr_db=(12.0, 40.0), room_seconds=(0.1, 0.7), low_pass_hz=(3000.0, 10_000.0), other=0.2
)
"""A fair microphone in a fair room: what most queries are like."""

MEASURED = Conditions(
    snr_db=(12.0, 25.0),
    room_seconds=(0.3, 0.8),
    low_pass_hz=(3000.0, 6000.0),
    chance=1.0,
    other=0.0,
)
"""What a 'degraded query' of the evaluation is: room, noise and low-pass, each of them always."""


def degrade(
    sounds: Float32Array,
    sample_rate: int,
    rng: np.random.Generator,
    conditions: Conditions = Conditions(),
) -> Float32Array:
    """Degrade each sound, shape (n, m), its own way; same shape, peak 0.1 to 0.9."""
    out = np.empty_like(sounds)
    for i, sound in enumerate(sounds):
        out[i] = _degrade_one(sound, sample_rate, rng, conditions)
    return out


def _degrade_one(
    sound: Float32Array, sample_rate: int, rng: np.random.Generator, c: Conditions
) -> Float32Array:
    x = sound / max(float(np.abs(sound).max()), 1e-9)
    if rng.random() < c.chance:
        x = _room(x, sample_rate, rng, c)
    x = _filter(x, sample_rate, rng, c)
    if rng.random() < c.chance:
        x = x + _noise(x, rng, rng.uniform(*c.snr_db))
    if rng.random() < c.other:
        x = _codec(x, rng)
    if rng.random() < c.other:
        x = np.clip(x, -1, 1) if rng.random() < 0.5 else np.tanh(x * rng.uniform(1, 3))
    return (x / max(float(np.abs(x).max()), 1e-9) * rng.uniform(0.1, 0.9)).astype(np.float32)


def _room(
    x: Float32Array, sample_rate: int, rng: np.random.Generator, c: Conditions
) -> Float32Array:
    """Convolve with early reflections and a tail of decaying noise that darkens."""
    length = rng.uniform(*c.room_seconds)
    t = np.arange(int(min(length, 1.0) * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(t)) * np.exp(-6.9 * t / length)
    tail[: int(rng.uniform(0.002, 0.02) * sample_rate)] = 0
    damp = rng.uniform(0.2, 0.8)
    spectrum = np.fft.rfft(tail)
    spectrum *= 1 / (1 + (np.arange(len(spectrum)) / len(spectrum) * 4 * damp) ** 2)
    tail = np.fft.irfft(spectrum, len(t))
    tail *= rng.uniform(0.3, 1.2) / max(float(np.sqrt((tail**2).sum())), 1e-9)
    response = tail
    response[0] += 1
    for _ in range(5):
        response[int(rng.uniform(0.001, 0.03) * sample_rate)] += rng.uniform(-0.4, 0.4)
    size = 1 << (len(x) + len(response) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]
    return (wet / max(float(np.abs(wet).max()), 1e-9)).astype(np.float32)


def _filter(
    x: Float32Array, sample_rate: int, rng: np.random.Generator, c: Conditions
) -> Float32Array:
    size = 1 << (len(x) - 1).bit_length()
    hz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1)
    gain = np.ones_like(hz)
    if rng.random() < c.chance:
        gain /= np.sqrt(1 + (hz / rng.uniform(*c.low_pass_hz)) ** (2 * rng.integers(2, 7)))
    if rng.random() < c.other:
        gain /= np.sqrt(1 + (rng.uniform(60, 500) / hz) ** (2 * rng.integers(1, 4)))
    if rng.random() < c.other:
        gain *= (hz / 1000) ** rng.uniform(-0.4, 0.4)
        bump = rng.uniform(-9, 9) * np.exp(-((np.log2(hz / rng.uniform(200, 5000))) ** 2))
        gain *= 10 ** (bump / 20)
    return np.fft.irfft(np.fft.rfft(x, size) * gain, size)[: len(x)].astype(np.float32)


def _noise(x: Float32Array, rng: np.random.Generator, snr_db: float) -> Float32Array:
    """Noise with a power law between white and brown, at an SNR over the sound's loud part."""
    size = 1 << (len(x) - 1).bit_length()
    color = rng.uniform(0, 1.0)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20) ** -color
    noise = np.fft.irfft(spectrum, size)[: len(x)]
    loud = np.sort(x**2)[-len(x) // 3 :].mean()
    scale = np.sqrt(loud / max(float((noise**2).mean()), 1e-20)) * 10 ** (-snr_db / 20)
    return np.asarray(noise * scale, np.float32)


def _codec(x: Float32Array, rng: np.random.Generator) -> Float32Array:
    """What a low bit rate leaves: weak bins of each frame dropped, the others made coarse."""
    size, hop = 1024, 512
    window = np.sqrt(np.hanning(size + 1)[:-1])
    padded = np.pad(x, (size, 2 * size))
    n = (len(padded) - size) // hop
    index = hop * np.arange(n)[:, None] + np.arange(size)[None]
    spectrum = np.fft.rfft(padded[index] * window)
    magnitude = np.abs(spectrum)
    floor = magnitude.max(axis=1, keepdims=True) * 10 ** (-rng.uniform(30, 55) / 20)
    step = floor * rng.uniform(0.5, 1.5)
    coarse = np.round(magnitude / np.maximum(step, 1e-12)) * step
    spectrum *= np.where(magnitude > floor, coarse / np.maximum(magnitude, 1e-12), 0)
    spectrum[:, int(rng.uniform(0.5, 1) * size / 2) :] = 0
    out = np.zeros(len(padded))
    np.add.at(out, index, np.fft.irfft(spectrum) * window)
    return out[size : size + len(x)].astype(np.float32)
