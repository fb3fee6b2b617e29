"""How fast a library is filled, and in how much memory, against librosa in the same run.

    python benchmarks/ingest.py [--data ../shared/data] [--workers 2] [--long-minutes 60]

Prints the machine's state, then

- the first index run over the folder as a whole process (target: 250 times real time on 2 cores),
  and the largest resident memory of a worker (400 MB) and of all processes together (600 MB);
- the second run, which has nothing to do (3 s);
- one long mp3 with one worker (450 times real time per core);
- for comparison what people write by hand: one process that calls ``librosa.load`` and
  ``librosa.feature.mfcc`` file by file, on a sample of the same files.

Every run is a new interpreter; the folder is read once before, so that the disk is not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_INDEX = """
import json, sys
from earmark import ingest
from earmark.executors import ProcessExecutor
from earmark.stores import open_store
library, place, workers = sys.argv[1:]
store = open_store(library, create=True)
with ProcessExecutor(workers=int(workers)) as executor:
    plan = ingest.plan(store, [place], encoders=["timbre"])
    report = ingest.run(store, plan, executor)
print(json.dumps(report.to_json()))
"""

_LIBROSA = """
import sys, time
import librosa, numpy
librosa.feature.mfcc(y=numpy.zeros(22050, numpy.float32), sr=22050)  # compiles
began, seconds = time.perf_counter(), 0.0
for path in sys.argv[1:]:
    samples, rate = librosa.load(path, sr=22050, mono=True)
    librosa.feature.mfcc(y=samples, sr=rate, n_fft=1024, hop_length=512)
    seconds += len(samples) / rate
print(seconds, time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Run:
    """One child process: what it printed, seconds of wall time and of all processors, bytes."""

    output: str
    seconds: float
    cpu_seconds: float
    worker_bytes: int
    tree_bytes: int


def machine() -> str:
    """Say what else the machine is doing."""
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, load {load}, Python {platform.python_version()}"


def measure(script: str, *arguments: str) -> Run:
    """Run a script in a new interpreter and watch its memory."""
    before = os.times()
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    worker = tree = 0
    while child.poll() is None:
        workers = [resident(pid) for pid in children(child.pid)]
        worker = max([worker, *workers])
        tree = max(tree, resident(child.pid) + sum(workers))
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    output = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise SystemExit(f"the measured process failed with status {child.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Run(output, seconds, cpu, worker, tree)


def resident(pid: int) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def write_long_mp3(path: Path, minutes: float) -> None:
    """Write an mp3 of changing notes and noise."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=44100, layout="stereo")
        stream.bit_rate = 192_000
        for second in range(round(minutes * 60)):
            phase = 2 * np.pi * 110 * 2 ** (second % 37 / 12) * np.arange(44100) / 44100
            wave = 0.3 * np.sin(phase) + 0.1 * np.sin(3 * phase)
            block = np.stack([wave, wave]) + 0.02 * rng.standard_normal((2, 44100))
            frame = av.AudioFrame.from_ndarray(block.astype(np.float32), "fltp", "stereo")
            frame.rate = 44100
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def index(name: str, library: Path, place: Path, workers: int) -> Run:
    """Index a place and print how it went."""
    run = measure(_INDEX, str(library), str(place), str(workers))
    report = json.loads(run.output)
    audio = report["audio_seconds"]
    speed = f"{audio / run.seconds:.0f} x real time, " if audio else ""
    print(
        f"{name}: {run.seconds:.2f} s wall, {run.cpu_seconds:.2f} s of processors; "
        f"{report['added']} added, {report['unchanged']} unchanged, "
        f"{len(report['failed'])} failed, {audio / 3600:.2f} h; {speed}"
        f"worker {run.worker_bytes / 1e6:.0f} MB, all {run.tree_bytes / 1e6:.0f} MB"
    )
    return run


def against_librosa(data: Path, files: int, ours: float) -> None:
    """Print the speed of librosa on a sample of the files, and the ratio per core."""
    try:
        import librosa  # noqa: F401
    except ImportError:
        print("librosa: not installed, left out")
        return
    paths = sorted(str(p) for s in ("ogg", "flac", "wav", "mp3") for p in data.rglob(f"*.{s}"))
    chosen = random.Random(0).sample(paths, min(files, len(paths)))
    seconds, wall = map(float, measure(_LIBROSA, *chosen).output.split())
    speed = seconds / wall
    print(f"librosa load + mfcc, {len(chosen)} files, one process: {speed:.0f} x real time")
    print(f"ratio per core second: {ours / speed:.1f}")


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--long-minutes", type=float, default=60.0)
    parser.add_argument("--librosa-files", type=int, default=100)
    options = parser.parse_args()
    print(machine())
    for path in options.data.rglob("*"):
        if path.is_file():
            path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        first = index("first run", place / "library", options.data, options.workers)
        index("second run", place / "library", options.data, options.workers)
        write_long_mp3(place / "long.mp3", options.long_minutes)
        index("long mp3, one worker", place / "long", place / "long.mp3", 1)
    audio = json.loads(first.output)["audio_seconds"]
    against_librosa(options.data, options.librosa_files, audio / first.cpu_seconds)
    print(machine())


if __name__ == "__main__":
    main()
