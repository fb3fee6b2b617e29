"""Rooms and noise, for training and for tests: NumPy alone, seeded by the caller's generator.

Conventions: mono float32; a noise or a room has energy 1 unless said, and is scaled where it is
used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array

Generator = np.random.Generator


@dataclass(frozen=True)
class NoiseBank:
    """Long mono float32 recordings at the front-end's rate, cut at random places.

    `speech` is single voices, mixed here into babble; `scenes` everything else.
    """

    speech: Float32Array
    scenes: Float32Array

    def draw(self, n: int, length: int, rng: Generator) -> Float32Array:
        """Return (n, length) of noise at root mean square 1 over each row."""
        out = np.empty((n, length), np.float32)
        for row, kind in zip(out, rng.random(n), strict=True):
            row[:] = 0.0
            if kind < 0.6:
                row += _unit(self._babble(length, rng))
            if kind > 0.5:
                level = 1.0 if kind >= 0.6 else rng.uniform(0.2, 1.5)
                other = self._scene(length, rng) if rng.random() < 0.6 else coloured(length, rng)
                row += np.float32(level) * _unit(other)
            row[:] = _unit(row)
        return out

    def _babble(self, length: int, rng: Generator) -> Float32Array:
        voices = int(2.0 ** rng.uniform(0.0, 4.2))
        starts = rng.integers(0, len(self.speech) - length, voices)
        levels = 10.0 ** rng.uniform(-0.35, 0.0, voices)
        parts = [
            np.float32(g) * self.speech[s : s + length] for g, s in zip(levels, starts, strict=True)
        ]
        mixed: Float32Array = np.sum(parts, axis=0, dtype=np.float32)
        return mixed

    def _scene(self, length: int, rng: Generator) -> Float32Array:
        start = int(rng.integers(0, len(self.scenes) - length))
        return self.scenes[start : start + length]


def _unit(row: Float32Array) -> Float32Array:
    return row / np.float32(np.sqrt(np.mean(np.square(row))) + 1e-9)


def coloured(length: int, rng: Generator) -> Float32Array:
    """Noise whose power falls with frequency to a random exponent (0 white, 1 pink, 2 brown)."""
    spectrum = rng.standard_normal((2, length // 2 + 1)).astype(np.float32)
    slope = np.arange(1, length // 2 + 2, dtype=np.float32) ** np.float32(-rng.uniform(0.0, 1.0))
    return np.fft.irfft((spectrum[0] + 1j * spectrum[1]) * slope, length).astype(np.float32)


def synthetic_room(length: int, sample_rate: int, rng: Generator) -> Float32Array:
    """Return an impulse response: a direct sound, early echoes and an exponential tail.

    The tail's high frequencies die faster, as in furnished rooms.  Shape (length,), direct sound
    at sample 0, energy 1.
    """
    time = np.arange(length) / sample_rate
    rt60 = 10.0 ** rng.uniform(np.log10(0.15), np.log10(1.4))
    tail = rng.standard_normal(length) * 10.0 ** (-3.0 * time / rt60)
    bright = np.fft.rfft(rng.standard_normal(length) * 10.0 ** (-3.0 * time / (rt60 * 0.5)))
    corner = rng.uniform(800.0, 3500.0) * length / sample_rate
    keep = 1.0 / (1.0 + (np.arange(len(bright)) / corner) ** 4)
    tail = np.fft.irfft(np.fft.rfft(tail) * keep + bright * (1.0 - keep), length)
    tail[: int(rng.uniform(0.002, 0.02) * sample_rate)] = 0.0
    room = tail / np.sqrt(np.sum(tail**2)) * 10.0 ** (-rng.uniform(-6.0, 10.0) / 20.0)
    room[0] += 1.0
    for _ in range(rng.integers(2, 9)):
        at = int(rng.uniform(0.001, 0.05) * sample_rate)
        room[at] += rng.choice((-1.0, 1.0)) * rng.uniform(0.1, 0.7)
    scaled: Float32Array = (room / np.sqrt(np.sum(room**2))).astype(np.float32)
    return scaled


def measured_room(response: Float32Array, length: int) -> Float32Array:
    """Cut a measured impulse response to its loudest sample and `length`, fade, scale to 1."""
    at = int(np.argmax(np.abs(response)))
    room = np.zeros(length, np.float32)
    body = response[at : at + length]
    room[: len(body)] = body
    fade = min(800, length)
    room[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return room / np.float32(np.sqrt(np.sum(np.square(room))) + 1e-9)


def convolve(clip: Float32Array, room: Float32Array) -> Float32Array:
    """Put a clip into a room: linear convolution, cut to the clip's length."""
    n = len(clip) + len(room)
    wet = np.fft.irfft(np.fft.rfft(clip, n) * np.fft.rfft(room, n), n)[: len(clip)]
    return wet.astype(np.float32)


def add_noise(clip: Float32Array, noise: Float32Array, *, snr_db: float) -> Float32Array:
    """Add noise of root mean square 1 at a level against the whole clip's, in dB."""
    level = np.sqrt(np.mean(np.square(clip))) * 10.0 ** (-snr_db / 20.0)
    return clip + np.float32(level) * noise
