"""Make a radio log to try `earmark identify --all` on: `python make_radio.py FOLDER [--minutes 4]`.

`FOLDER/station` gets eight tunes and three jingles, `FOLDER/log.wav` what a listener recorded:
tunes (some in part, some a little too fast), jingles and talk, with noise behind all of it, and
`FOLDER/truth.csv` when what was on.  All of it is synthetic, from one seed.
"""

from __future__ import annotations

import argparse
import csv
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 22050
Samples = npt.NDArray[np.float32]
SCALE = (0, 2, 3, 5, 7, 8, 10)


def tune(seconds: float, seed: int) -> Samples:
    """A melody over chords and drums that no other seed has."""
    rng = np.random.default_rng(seed)
    beat = int(RATE * rng.uniform(0.16, 0.3))
    root, voices = int(rng.integers(45, 57)), rng.uniform(0.2, 1.0, 6)
    out = np.zeros(int(seconds * RATE), np.float32)
    for number, at in enumerate(range(0, len(out), beat)):
        t = np.arange(min(3 * beat, len(out) - at)) / RATE
        for octave, level in ((0, 0.4), (12, 0.3), (24, 0.3)):
            if rng.random() < (1.0 if number % 4 == 0 else 0.55):
                midi = root + octave + SCALE[int(rng.integers(7))]
                pitch = 440.0 * 2.0 ** ((midi - 69) / 12.0)
                for h, voice in enumerate(voices, start=1):
                    wave_ = np.sin(2 * np.pi * pitch * h * t) * voice / h
                    out[at : at + len(t)] += (level * wave_ * np.exp(-4.0 * t)).astype(np.float32)
        hit = rng.normal(0.0, 0.25, len(t)) * np.exp(-rng.uniform(30.0, 90.0) * t)
        out[at : at + len(t)] += hit.astype(np.float32)
    return out / np.float32(1.5 * np.abs(out).max())


def talk(seconds: float, rng: np.random.Generator) -> Samples:
    """What sounds like speech from the next room: voiced syllables with moving formants."""
    out = np.zeros(int(seconds * RATE), np.float32)
    at = 0
    while at < len(out):
        n = min(int(RATE * rng.uniform(0.09, 0.28)), len(out) - at)
        t = np.arange(n) / RATE
        pitch = rng.uniform(95.0, 140.0) * (1.0 - 0.3 * t)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        formants = rng.uniform([300.0, 900.0, 2200.0], [800.0, 2000.0, 3000.0])
        for h in range(1, 26):
            level = sum(np.exp(-(((h * 118.0 - f) / 150.0) ** 2)) for f in formants)
            syllable = 0.1 * level * np.sin(h * phase) * np.sin(np.pi * np.arange(n) / n)
            out[at : at + n] += syllable.astype(np.float32)
        at += n + int(RATE * rng.choice([0.02, 0.05, 0.4], p=[0.5, 0.35, 0.15]))
    return out


def faster(x: Samples, speed: float) -> Samples:
    """Play at another speed, by linear interpolation."""
    at = np.arange(int(len(x) / speed)) * speed
    return np.interp(at, np.arange(len(x)), x).astype(np.float32)


def write(path: Path, x: Samples) -> None:
    """Write 16-bit WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(x, -1.0, 1.0) * 32767).astype("<i2").tobytes())


def main() -> None:
    """Make the station's archive, the log, and the truth."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    archive = {f"tune_{i}": tune(70.0, i) for i in range(8)}
    archive |= {f"jingle_{i}": tune(5.0, 100 + i) for i in range(3)}
    for name, samples in archive.items():
        write(args.folder / "station" / f"{name}.wav", samples)
    parts: list[Samples] = []
    truth = [("start", "end", "what", "from", "speed")]
    at = 0.0
    while at < args.minutes * 60.0:
        jingle, name = (f"{k}_{int(rng.integers(n))}" for k, n in (("jingle", 3), ("tune", 8)))
        speed = float(rng.choice([1.0, 1.0, 1.02]))
        begin, end = rng.uniform(0.0, 15.0), rng.uniform(45.0, 70.0)
        piece = faster(archive[name][int(begin * RATE) : int(end * RATE)], speed)
        for what, x, start in (
            ("", talk(float(rng.uniform(8.0, 20.0)), rng), 0.0),
            (jingle, archive[jingle], 0.0),
            (name, piece, begin),
        ):
            seconds = len(x) / RATE
            if what:
                used = str(speed if what == name else 1.0)
                times = (f"{at:.2f}", f"{at + seconds:.2f}")
                truth.append((*times, what, f"{start:.2f}", used))
            parts.append(x)
            at += seconds
    log = np.concatenate(parts)
    log += rng.normal(0.0, 0.01, len(log)).astype(np.float32)
    write(args.folder / "log.wav", log)
    with (args.folder / "truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows(truth)


if __name__ == "__main__":
    main()
