"""Make a small folder of sounds to try earmark on: `python make_samples.py FOLDER`.

Five instruments at eight pitches each, four kinds of drum, two kinds of noise and one longer
piece; all synthetic, all from one seed, about 60 files and two minutes of audio.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 22050
Samples = npt.NDArray[np.float64]

# Relative strengths of the harmonics 1, 2, 3, ...
INSTRUMENTS: dict[str, list[float]] = {
    "flute": [1, 0.15, 0.05],
    "clarinet": [1, 0, 0.75, 0, 0.5, 0, 0.14, 0, 0.5],
    "strings": [1, 0.7, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.18, 0.15, 0.12, 0.1],
    "brass": [0.4, 0.7, 1, 0.9, 0.7, 0.5, 0.35, 0.2, 0.1],
    "bell": [1, 0, 0, 0.6, 0, 0, 0, 0.5, 0, 0, 0.3],
}


def note(harmonics: list[float], pitch: float, rng: np.random.Generator) -> Samples:
    """One second of a tone at `pitch` Hz that decays, with a little noise."""
    t = np.arange(RATE) / RATE
    tone = sum(
        (a * np.sin(2 * np.pi * pitch * (h + 1) * t + rng.uniform(0, 2 * np.pi)))
        for h, a in enumerate(harmonics)
        if pitch * (h + 1) < RATE / 2
    )
    envelope = np.minimum(t / 0.02, 1) * np.exp(-2 * t)
    return np.asarray(tone * envelope + rng.normal(0, 1e-3, RATE))


def drum(kind: str, rng: np.random.Generator) -> Samples:
    """Half a second of a drum."""
    t = np.arange(RATE // 2) / RATE
    noise = rng.normal(0, 1, len(t))
    tune = rng.uniform(0.9, 1.1)
    if kind == "kick":
        return np.asarray(
            np.sin(2 * np.pi * (60 * tune * t + 8 * (1 - np.exp(-30 * t)))) * np.exp(-12 * t)
        )
    if kind == "snare":
        return np.asarray((noise * 0.6 + np.sin(2 * np.pi * 190 * tune * t)) * np.exp(-18 * t))
    if kind == "hat":
        return np.asarray(np.diff(noise, 2, append=[0, 0]) * np.exp(-45 * t))
    return np.asarray(np.sin(2 * np.pi * 140 * tune * t * (1 - 0.3 * t)) * np.exp(-8 * t))


def texture(kind: str, rng: np.random.Generator) -> Samples:
    """Three seconds of noise: soft wind, or rain of single drops."""
    n = 3 * RATE
    if kind == "wind":
        return np.convolve(rng.normal(0, 1, n), np.hanning(200), mode="same")
    drops = np.where(rng.random(n) < 0.003, rng.normal(0, 1, n), 0)
    return np.convolve(drops, np.exp(-np.arange(400) / 60) * np.sin(np.arange(400)), mode="same")


def save(path: Path, samples: Samples) -> None:
    """Write 16-bit mono WAV at half of full scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = samples / np.abs(samples).max() * 0.5 * 32767
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(scaled.astype("<i2").tobytes())


def main(folder: Path) -> None:
    """Write all sounds below `folder`."""
    rng = np.random.default_rng(1)
    piece = []
    for name, harmonics in INSTRUMENTS.items():
        for midi in range(52, 76, 3):
            samples = note(harmonics, 440 * 2 ** ((midi - 69) / 12), rng)
            save(folder / "notes" / f"{name}_{midi}.wav", samples)
            piece.append(samples[: RATE // 2])
    for kind in ("kick", "snare", "hat", "tom"):
        for i in range(1, 4):
            save(folder / "drums" / f"{kind}_{i}.wav", drum(kind, rng))
    for kind in ("wind", "rain"):
        for i in range(1, 3):
            save(folder / "textures" / f"{kind}_{i}.wav", texture(kind, rng))
    save(folder / "piece.wav", np.concatenate(piece))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "samples"))
