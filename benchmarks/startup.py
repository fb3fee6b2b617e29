"""Start-up: `earmark --help` and one search in a fresh process, against a bare interpreter.

    python benchmarks/startup.py [LIBRARY AUDIO]

Prints the best and the median of several runs in seconds, their ratio to starting Python with
numpy (what anything in this field must load), and the machine's state.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

RUNS = 7
RATE = 22_050


def measure(command: list[str]) -> tuple[float, float]:
    """Best and median wall time of a command, in seconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times), statistics.median(times)


def make_library(folder: Path) -> tuple[str, str]:
    """A library of a hundred short sounds, and one of them."""
    rng = np.random.default_rng(0)
    sounds = folder / "sounds"
    sounds.mkdir()
    for number in range(100):
        with wave.open(str(sounds / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((rng.normal(0, 3000, 2 * RATE)).astype("<i2").tobytes())
    library = str(folder / "library")
    command = [sys.executable, "-m", "earmark", "index", str(sounds), "-l", library]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return library, str(sounds / "0.wav")


def main() -> None:
    """Measure and print."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, ")
    print(f"load {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    with tempfile.TemporaryDirectory() as folder:
        library, audio = sys.argv[1:3] if len(sys.argv) > 2 else make_library(Path(folder))
        earmark = [sys.executable, "-m", "earmark"]
        commands = {
            "python + numpy": [sys.executable, "-c", "import numpy"],
            "earmark --help": [*earmark, "--help"],
            "search --audio": [*earmark, "search", "-l", library, "--audio", audio],
            "search TEXT": [*earmark, "search", "-l", library, "wav"],
        }
        base = 0.0
        for name, command in commands.items():
            best, median = measure(command)
            base = base or best
            print(f"{name:<16}{best:7.3f} best {median:7.3f} median {best / base:6.2f} x")


if __name__ == "__main__":
    main()
