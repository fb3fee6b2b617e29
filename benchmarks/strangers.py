"""Sounds that are in no library of music: noises, tones, talk, for false accepts."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE = 44_100
SECONDS = 40


def make(folder: Path, *, seed: int = 0) -> list[Path]:
    """Write a dozen WAV files of forty seconds (unless they are there) and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    sounds = _sounds(np.random.default_rng(seed))
    return [_write(folder / f"{name}.wav", samples) for name, samples in sounds.items()]


def talk(speech: Path, folder: Path, *, seed: int = 0) -> list[Path]:
    """Join the clips of a folder of speech to eight minutes of talk with pauses, in four files."""
    from earmark import audio

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    clips = [
        audio.read(str(p), sample_rate=RATE).samples
        for p in sorted(speech.rglob("*"))
        if p.suffix in audio.AUDIO_SUFFIXES
    ]
    paths = []
    for number in range(4):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < 120 * RATE:
            pause = np.zeros(int(rng.uniform(0.05, 0.6) * RATE), np.float32)
            parts += [clips[int(rng.integers(len(clips)))], pause]
        paths.append(_write(folder / f"talk-{number}.wav", np.concatenate(parts)))
    return paths


def _write(path: Path, samples: np.ndarray) -> Path:
    scaled = samples / np.abs(samples).max() * 0.5
    if not path.exists():
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((scaled * 32767).astype("<i2").tobytes())
    return path


def _sounds(rng: np.random.Generator) -> dict[str, np.ndarray]:
    n = RATE * SECONDS
    t = np.arange(n) / RATE
    white = rng.standard_normal(n)

    def coloured(power: float) -> np.ndarray:
        spectrum = np.fft.rfft(white)
        return np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** power, n)

    def notes(seconds: float, low: int, high: int) -> np.ndarray:
        """Random notes, each with five harmonics and a fall in level."""
        out = np.zeros(n)
        size = int(seconds * RATE)
        for start in range(0, n - size, size):
            pitch = 440.0 * 2.0 ** ((int(rng.integers(low, high)) - 69) / 12.0)
            part = t[:size]
            tone = sum(np.sin(2 * np.pi * pitch * h * part) / h for h in range(1, 6))
            out[start : start + size] += tone * np.exp(-3.0 * part / seconds)
        return out

    hum = sum(np.sin(2 * np.pi * 50.0 * h * t) / h for h in range(1, 12))
    clicks = (rng.random(n) < 4.0 / RATE).astype(float)
    return {
        "white": white,
        "pink": coloured(0.5),
        "brown": coloured(1.0),
        "gusts": coloured(0.5) * (1.2 + np.sin(2 * np.pi * 0.3 * t)),
        "tone": np.sin(2 * np.pi * 440.0 * t),
        "chord": sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)),
        "sweep": np.sin(2 * np.pi * (200.0 * t + 40.0 * t**2)),
        "hum": hum + 0.05 * white,
        "clicks": np.convolve(clicks, np.exp(-np.arange(400) / 60.0))[:n],
        "beats": white * np.exp(-((t % 0.5) * 12.0)),
        "slow_notes": notes(0.6, 48, 72),
        "fast_notes": notes(0.15, 60, 84),
    }
