"""Make a small copy of the published data set's layout.

    python make_nafp_dataset.py FOLDER [--music FOLDER] [--tracks 12] [--seconds 30]

`FOLDER` becomes ``neural-audio-fp-dataset`` as training, generating and evaluating take it:
``music/{train-10k-30s,val-query-db-500-30s,test-query-db-500-30s,test-dummy-db-100k-full}`` and
``aug/{bg,ir,speech}``, mono 16-bit wave files at 8 kHz.  Without `--music` all is synthetic, from
one seed; with it, its recordings are cut into tracks (`pip install earmark` is then needed).
"""

from __future__ import annotations

import argparse
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 8000
Samples = npt.NDArray[np.float64]


def tune(seconds: float, rng: np.random.Generator) -> Samples:
    """Music of a kind: three voices, each with a timbre and a rhythm of its own, and a drum."""
    out = np.zeros(int(seconds * RATE))
    for _ in range(3):
        partials = rng.uniform(0.1, 1.0, 6) / np.arange(1, 7)
        scale = 110.0 * 2.0 ** (rng.integers(0, 24) / 12)
        at = 0
        while at < len(out):
            length = int(rng.choice((0.125, 0.25, 0.5, 0.75)) * RATE)
            t = np.arange(min(2 * length, len(out) - at)) / RATE
            pitch = scale * 2.0 ** (rng.choice((0, 2, 3, 5, 7, 8, 10, 12)) / 12)
            for h, strength in enumerate(partials, start=1):
                if pitch * h < RATE / 2:
                    phase = rng.uniform(0, 2 * np.pi)
                    tone = np.sin(2 * np.pi * pitch * h * t + phase)
                    out[at : at + len(t)] += strength * tone * np.exp(-rng.uniform(2, 6) * t)
            at += length
    for at in range(0, len(out), int(rng.choice((0.25, 0.5)) * RATE)):
        t = np.arange(min(1000, len(out) - at)) / RATE
        out[at : at + len(t)] += rng.normal(0, 0.6, len(t)) * np.exp(-40 * t)
    return out


def background(seconds: float, rng: np.random.Generator) -> Samples:
    """Noise that swells, its power falling with frequency."""
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(0, 1, n))
    spectrum /= np.arange(1, len(spectrum) + 1) ** rng.uniform(0.2, 0.9)
    swell = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 1.0) * np.arange(n) / RATE)
    return np.fft.irfft(spectrum, n) * swell


def voice(seconds: float, rng: np.random.Generator) -> Samples:
    """Syllables of a kind: a buzz through two formants, with pauses."""
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE))
    formants = sum(np.cos(2 * np.pi * f * np.arange(60) / RATE) for f in rng.uniform(300, 2500, 2))
    spoken = np.convolve(buzz, formants * np.hanning(60), mode="same")
    return spoken * (np.sin(2 * np.pi * 3.1 * t + rng.uniform(0, 6)) > -0.3)


def room(rng: np.random.Generator) -> Samples:
    """An impulse response of 0.2 to 0.6 seconds."""
    n = int(rng.uniform(0.2, 0.6) * RATE)
    tail = rng.normal(0, 0.2, n) * np.exp(-6.9 * np.arange(n) / n)
    tail[0] = 1.0
    return tail


def save(path: Path, samples: Samples) -> None:
    """Write a mono 16-bit wave file at half of full scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = samples / max(float(np.abs(samples).max()), 1e-9) * 0.5 * 32767
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(scaled.astype("<i2").tobytes())


def degraded(clip: Samples, rng: np.random.Generator) -> Samples:
    """A clip in a room, noise over it at 0 to 10 dB."""
    wet = np.convolve(clip, room(rng))[: len(clip)]
    noise = background(len(clip) / RATE, rng)
    snr = rng.uniform(0, 10)
    return wet + noise * wet.std() / noise.std() * 10 ** (-snr / 20)


def generated(seconds: float, rng: np.random.Generator) -> Iterator[Samples]:
    """Synthetic tracks without end."""
    while True:
        yield tune(seconds, rng)


def given(folder: Path, seconds: float) -> Iterator[Samples]:
    """Stretches of all recordings of a folder, one after the other."""
    from earmark import audio

    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in audio.AUDIO_SUFFIXES:
            samples = audio.read(str(path), sample_rate=RATE).samples.astype(np.float64)
            for at in range(0, len(samples) - int(seconds * RATE) + 1, int(seconds * RATE)):
                yield samples[at : at + int(seconds * RATE)]


def main(
    folder: Path,
    *,
    music: Path | None = None,
    tracks: int = 12,
    seconds: float = 30.0,
    seed: int = 1,
) -> None:
    """Write the data set: `tracks` to train on, and as many others to be searched among."""
    rng = np.random.default_rng(seed)
    source = generated(seconds, rng) if music is None else given(music, seconds)
    few = max(2, tracks // 3)
    for i in range(tracks):
        save(folder / f"music/train-10k-30s/fma_{i // 100:03d}/{i:06d}.wav", next(source))
    for part in ("val-query-db-500-30s", "test-query-db-500-30s"):
        for i in range(few):
            clip = next(source)
            save(folder / f"music/{part}/db/{i:06d}.wav", clip)
            save(folder / f"music/{part}/query/{i:06d}.wav", degraded(clip, rng))
    for i in range(few):
        save(folder / f"music/test-dummy-db-100k-full/fma_full/{i:06d}.wav", next(source))
    for part in ("tr", "ts"):
        for i in range(2):
            save(folder / f"aug/bg/{part}/{i}.wav", background(10, rng))
            save(folder / f"aug/ir/{part}/{i}.wav", room(rng))
            save(folder / f"aug/speech/{part}/{i}.wav", voice(10, rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--music", type=Path, help="recordings to cut, in place of synthetic ones")
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    main(
        arguments.folder,
        music=arguments.music,
        tracks=arguments.tracks,
        seconds=arguments.seconds,
    )
