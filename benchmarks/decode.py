"""How fast we decode to mono at 22,050 Hz, against `librosa.load`, on one core.

Both decode the same files in one run, by turns; figures are times real time of processor time
(best of the repeats) and their ratio.  The files are made on the spot: tones and noise in stereo
at 44.1 kHz (Opus: 48 kHz), so no recording is needed.

    python benchmarks/decode.py [--seconds 120] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

# Only now: the variables and the path must be set first.
import numpy as np  # noqa: E402

import audio_factory as factory  # noqa: E402
from earmark import audio  # noqa: E402

SUFFIXES = ("mp3", "flac", "ogg", "wav", "m4a", "opus")
TARGET_RATE = 22050
WANTED_RATIO = 1.2


def machine() -> str:
    """The state of the machine, without which no figure means anything."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load}, Python " + (
        platform.python_version()
    )


def signal(seconds: float, rate: int) -> np.ndarray:
    """Stereo that a codec has work with, shape (2, n)."""
    music = sum(
        factory.tone(f, seconds=seconds, sample_rate=rate, harmonics=8, amplitude=0.2)
        for f in (110.0, 220.5, 331.7)
    )
    noise = factory.noise(seconds=seconds, sample_rate=rate, amplitude=0.1)
    return np.stack([music + noise, music - noise]).astype(np.float32)


def made(folder: Path, seconds: float) -> Iterator[tuple[str, Path]]:
    """Encode one file of each kind."""
    for suffix in SUFFIXES:
        rate = 48000 if suffix == "opus" else 44100
        yield suffix, factory.encode(folder / f"a.{suffix}", signal(seconds, rate), rate)


def ours(path: Path) -> None:
    """Stream the whole file."""
    with audio.decode(str(path), sample_rates=[TARGET_RATE]) as blocks:
        for _ in blocks:
            pass


def theirs(path: Path) -> None:
    """What most programs do."""
    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        librosa.load(path, sr=TARGET_RATE, mono=True)


def compare(path: Path, repeats: int) -> tuple[float, float]:
    """Best processor seconds of us and of them, taken by turns.

    Children count: librosa decodes MP4 by starting the ffmpeg program.
    """
    best = {ours: float("inf"), theirs: float("inf")}
    for _ in range(repeats):
        for decoder in (ours, theirs):
            best[decoder] = min(best[decoder], processor_seconds(decoder, path))
    return best[ours], best[theirs]


def processor_seconds(decoder: Callable[[Path], None], path: Path) -> float:
    """Processor time of one call, that of finished child processes included."""
    children = os.times()
    started = time.process_time()
    decoder(path)
    own, after = time.process_time() - started, os.times()
    return own + sum(after[2:4]) - sum(children[2:4])


def main() -> int:
    """Print the table; exit 1 if a format misses its ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="length of each file")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    print(f"{'format':8}{'earmark':>10}{'librosa':>10}{'ratio':>8}   (times real time)")
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, path in made(Path(folder), options.seconds):
            ours(path), theirs(path)
            mine, other = compare(path, options.repeats)
            length = options.seconds
            print(f"{suffix:8}{length / mine:10.0f}{length / other:10.0f}{other / mine:8.2f}")
            if other / mine < WANTED_RATIO:
                missed.append(suffix)
    print(machine())
    if missed:
        print(f"below {WANTED_RATIO} times librosa: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
