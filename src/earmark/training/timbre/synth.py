"""Sounds from a small synthesiser: instruments, hits and textures that no font has.

A class is a set of drawn parameters; its sounds vary in pitch, strength and small jitter.  They
widen what the projection has heard: noises and textures above all, which fonts lack.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earmark.types import Float32Array

Maker = Callable[[np.random.Generator, int, float], Callable[..., Float32Array]]


def instrument(
    rng: np.random.Generator, sample_rate: int, seconds: float
) -> Callable[..., Float32Array]:
    """Draw an instrument; return ``play(key, strength, rng) -> float32 (m,)``.

    Additive: partials with a drawn tilt, formants, odd-even balance, stretch, decay by partial,
    detuned copies, tremolo and vibrato, over filtered noise.
    """
    m = int(sample_rate * seconds)
    t = np.arange(m) / sample_rate
    tilt, odd = rng.uniform(0.2, 2.2), rng.choice([1.0, 1.0, rng.uniform(0.02, 0.7)])
    stretch = rng.choice([0.0, rng.uniform(0, 4e-4), rng.uniform(0, 3e-3)])
    ratios = rng.choice([0.0, 0.0, 1.0]) * rng.uniform(-0.3, 0.3, 40)
    formants = [
        (rng.uniform(250, 4500), rng.uniform(0.15, 0.8), rng.uniform(-6, 22)) for _ in range(3)
    ]
    attack = 10 ** rng.uniform(-3, -0.7)
    decay = rng.choice([0.0, 10 ** rng.uniform(-0.3, 1.2)])
    by_partial = rng.uniform(0, 1.2)
    sustain_end = rng.uniform(0.3, seconds * 1.1)
    vibrato, tremolo, rate = (
        rng.choice([0, rng.uniform(0, 0.008)]),
        rng.choice([0, rng.uniform(0, 0.5)]),
        rng.uniform(3, 8),
    )
    detune = rng.choice([0.0, 0.0, rng.uniform(0.001, 0.01)])
    breath, breath_hz = 10 ** rng.uniform(-4, -1), rng.uniform(500, 6000)
    brightness = rng.uniform(0, 1.0)
    fixed_cut = rng.choice([0.0, rng.uniform(500, 6000)])

    def play(key: float, strength: float, jitter: np.random.Generator) -> Float32Array:
        f0 = 440 * 2 ** ((key - 69) / 12)
        h = np.arange(1, 41)
        hz = f0 * h * np.sqrt(1 + stretch * h**2) * np.where(h > 1, 2 ** (ratios[h - 1]), 1)
        keep = hz < sample_rate * 0.45
        h, hz = h[keep], hz[keep]
        gain = h ** -(tilt + brightness * (1 - strength)) * np.where(h % 2 == 0, odd, 1)
        for centre, width, db in formants:
            gain = gain * 10 ** (db / 20 * np.exp(-((np.log2(hz / centre) / width) ** 2)))
        if fixed_cut:
            gain = gain / (1 + (hz / fixed_cut) ** 4)
        gain = gain * 10 ** (jitter.normal(0, 0.05, len(h)))
        wobble = 1 + vibrato * np.sin(2 * np.pi * rate * t + jitter.uniform(0, 6))
        phase = 2 * np.pi * np.cumsum(wobble) / sample_rate
        out = np.zeros(m)
        for i in range(len(h)):
            wave = np.sin(hz[i] * phase + jitter.uniform(0, 6.28))
            if detune:
                wave = wave + np.sin(hz[i] * (1 + detune) * phase + jitter.uniform(0, 6.28))
            if decay:
                wave *= np.exp(-t * decay * (f0 / 260) ** 0.3 * (i + 1) ** by_partial)
            out += gain[i] * wave
        out /= max(np.abs(out).max(), 1e-9)
        noise = band_noise(m, sample_rate, breath_hz, 1.0, jitter)
        out = (out + breath * noise) * (1 - np.exp(-t / attack * 3))
        out *= 1 - tremolo * 0.5 * (1 + np.sin(2 * np.pi * rate * t))
        out *= np.clip((sustain_end - t) / 0.08 + 1, 0, 1)
        return np.asarray(out, np.float32)

    return play


def hit(rng: np.random.Generator, sample_rate: int, seconds: float) -> Callable[..., Float32Array]:
    """Draw a drum-like sound: swept tones and shaped noises, each with its own decay."""
    m = int(sample_rate * seconds)
    t = np.arange(m) / sample_rate
    tones = [
        (
            10 ** rng.uniform(1.65, 3.2),
            rng.uniform(0, 3),
            10 ** rng.uniform(1, 2.3),
            10 ** rng.uniform(0.5, 1.9),
            rng.uniform(0.1, 1),
        )
        for _ in range(rng.integers(0, 4))
    ]
    noises = [
        (
            10 ** rng.uniform(2, 4),
            rng.uniform(0.2, 2),
            10 ** rng.uniform(0.6, 2.2),
            rng.uniform(0.05, 1),
        )
        for _ in range(rng.integers(0 if tones else 1, 3))
    ]
    bursts = 1 if rng.random() < 0.75 else int(rng.integers(2, 5))
    gap = rng.uniform(0.008, 0.03)

    def play(key: float, strength: float, jitter: np.random.Generator) -> Float32Array:
        shift = 2 ** (jitter.normal(0, 0.06) + (key - 60) / 400)
        out = np.zeros(m)
        for hz, sweep, fall, decay, gain in tones:
            course = hz * shift * (1 + sweep * strength * np.exp(-t * fall))
            tone = np.sin(2 * np.pi * np.cumsum(course) / sample_rate)
            out += gain * tone * np.exp(-t * decay * 2 ** jitter.normal(0, 0.15))
        for hz, width, decay, gain in noises:
            noise = band_noise(m, sample_rate, hz * shift, width, jitter)
            shape = np.exp(-t * decay * 2 ** jitter.normal(0, 0.15))
            for b in range(1, bursts):
                shape = np.maximum(shape, np.where(t > b * gap, np.exp(-(t - b * gap) * decay), 0))
            out += gain * (0.5 + 0.5 * strength) * noise * shape
        out *= np.clip(t / 0.001, 0, 1)
        return np.asarray(out / max(np.abs(out).max(), 1e-9), np.float32)

    return play


def texture(
    rng: np.random.Generator, sample_rate: int, seconds: float
) -> Callable[..., Float32Array]:
    """Draw a texture: bands of noise with their own fluctuation, crackle, chirps, or hum."""
    m = int(sample_rate * seconds)
    t = np.arange(m) / sample_rate
    bands = [
        (
            10 ** rng.uniform(1.9, 3.9),
            rng.uniform(0.2, 2.5),
            10 ** rng.uniform(-0.5, 1.6),
            rng.uniform(0, 1),
            rng.uniform(0.1, 1),
        )
        for _ in range(rng.integers(1, 4))
    ]
    crackle = rng.choice([0, 10 ** rng.uniform(0, 2.2)])
    crackle_hz, crackle_fall = 10 ** rng.uniform(2.5, 3.9), 10 ** rng.uniform(1.5, 3)
    chirps = rng.choice([0, 0, rng.uniform(1, 10)])
    chirp_hz, chirp_sweep, chirp_len = (
        10 ** rng.uniform(2.4, 3.7),
        rng.uniform(-1.5, 1.5),
        rng.uniform(0.03, 0.4),
    )
    hum_hz, hum = rng.uniform(40, 400), rng.choice([0, 0, rng.uniform(0.2, 1)])

    def play(key: float, strength: float, jitter: np.random.Generator) -> Float32Array:
        out = np.zeros(m)
        for hz, width, rate, depth, gain in bands:
            slow = band_noise(m, sample_rate, rate * 2, 1.0, jitter)
            course = np.clip(1 - depth + depth * (0.5 + slow * 1.5), 0, None)
            out += gain * course * band_noise(m, sample_rate, hz, width, jitter)
        kernel = np.sin(2 * np.pi * crackle_hz * t[:2000]) * np.exp(-crackle_fall * t[:2000])
        for at in jitter.integers(0, m, jitter.poisson(crackle * seconds)):
            piece = kernel[: m - at] * jitter.exponential(1.5)
            out[at : at + len(piece)] += piece
        for at in jitter.uniform(0, seconds, jitter.poisson(chirps * seconds)):
            u = (t - at) / chirp_len
            inside = (u > 0) & (u < 1)
            f = chirp_hz * 2 ** (chirp_sweep * u[inside] + jitter.normal(0, 0.1))
            out[inside] += (
                2 * np.sin(2 * np.pi * np.cumsum(f) / sample_rate) * np.sin(np.pi * u[inside])
            )
        if hum:
            for h in range(1, 12):
                out += (
                    hum
                    / h
                    * np.sin(
                        2 * np.pi * hum_hz * 2 ** ((key - 60) / 60) * h * t + jitter.uniform(0, 6)
                    )
                )
        return np.asarray(out / max(np.abs(out).max(), 1e-9), np.float32)

    return play


def band_noise(
    m: int, sample_rate: int, hz: float, width: float, rng: np.random.Generator
) -> Float32Array:
    """Noise around `hz`, `width` octaves wide, of deviation about a third."""
    size = 1 << (m - 1).bit_length()
    f = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 0.1)
    gain = np.exp(-0.5 * (np.log2(f / hz) / (width / 2)) ** 2)
    spectrum = np.fft.rfft(rng.standard_normal(size)) * gain
    noise = np.fft.irfft(spectrum, size)[:m]
    return np.asarray(noise / max(noise.std(), 1e-12) / 3, np.float32)
