"""Many clients at once: a served library of 200,000 segments, asked mixed questions over loopback.

    python benchmarks/server.py [--segments 200000] [--clients 50] [--seconds 20] [--workers 2]
                                [--only cost,pause,closed,memory,indexing,killed] [--folder FOLDER]

Sections, all with one server of `--workers` processes:

- `cost`: processor time of a question of each kind, one client, all processes of the server;
- `pause`: clients that wait a second (mean, exponential) between an answer and the next question,
  as people do;
- `closed`: clients that never pause: the server is always full, and the times say how long the
  queue is (clients / questions a second), not how long an answer takes;
- `memory`: private memory of all processes over 10,000 questions;
- `indexing`: clients that pause, without and with a job that indexes 300 files;
- `killed`: a decoder, then a server process killed under clients that never pause.

The clients run on the same cores; what they take is printed.  The library is made of rendered
tones: real `timbre` rows of 200 short sounds, and rows near to them under other names until there
are enough segments; the 200 have `fingerprint` rows besides.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

import earmark
from earmark.library import probes
from earmark.library.notebook import wav_bytes
from earmark.types import Clip, Encoded, Track, TrackRecord
from server_load import Kind, Load, kinds, post, word

RATE = 22_050
SOUNDS = 200
DECODER, SERVER = b"executors.worker", b"spawn_main"


def sound(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Notes of random pitch, colour and decay."""
    time_ = np.arange(int(0.25 * RATE)) / RATE
    notes = []
    for _ in range(int(seconds / 0.25)):
        pitch, decay = rng.uniform(80, 900), rng.uniform(1, 12)
        weights = rng.uniform(0, 1, 8) / np.arange(1, 9)
        wave = sum(w * np.sin(6.2832 * pitch * (i + 1) * time_) for i, w in enumerate(weights))
        notes.append(0.2 * np.exp(-decay * time_) * (wave + 0.02 * rng.normal(size=len(time_))))
    return np.concatenate(notes).astype(np.float32)


def make_library(folder: Path, segments: int) -> int:
    """Index some sounds, then copy their rows under other names; the number of tracks."""
    rng = np.random.default_rng(0)
    sounds = folder / "sounds"
    sounds.mkdir()
    for number in range(SOUNDS):
        clip = Clip(sound(rng, 8.0), RATE)
        (sounds / f"{number:04}.wav").write_bytes(wav_bytes(clip))
    with earmark.open(folder / "library") as lib:
        lib.add(sounds, encoders=["timbre", "fingerprint"])
        store = lib.store
        tracks = store.tracks(store.track_ids().tolist())
        known = {track.id: probes.stored_rows(store, "timbre", track.id) for track in tracks}
        have = sum(len(rows.rows) for rows in known.values() if rows is not None)
        number = 0
        while have < segments:
            with store.writer() as writer:
                for track in tracks:
                    record, rows = take(track, known[track.id], number, rng)
                    writer.put_track(record, {"timbre": rows})
                    have += len(rows.rows)
                writer.commit()
            number += 1
        store.rebuild(encoder="timbre")
        return len(lib)


def take(
    track: Track, rows: Encoded | None, number: int, rng: np.random.Generator
) -> tuple[TrackRecord, Encoded]:
    """A track under another name, with rows near to its own."""
    assert rows is not None
    assert rows.refine is not None
    bits = rows.rows.copy()
    for _ in range(8):
        places = rng.integers(0, bits.shape[1], len(bits))
        bits[np.arange(len(bits)), places] ^= (1 << rng.integers(0, 8, len(bits))).astype(np.uint8)
    vectors = rows.refine + 0.02 * rng.standard_normal(rows.refine.shape)
    record = TrackRecord(
        path=f"{track.path}.{number}",
        content_hash=f"{track.id:08x}{number:032x}",
        size=track.size,
        mtime_ns=track.mtime_ns,
        info=replace(track.info),
        title=" ".join(word(rng) for _ in range(3)),
        tags={"genre": f"g{track.id % 7}"},
    )
    return record, Encoded(bits, rows.segments, vectors.astype(np.float32))


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def memory(pid: int) -> dict[int, float]:
    """MB of their own of a process and those below it, without pages of files that are mapped:
    those are the system's cache, and are counted as private where one process alone reads them."""
    sizes = {}
    for one in [pid, *children(pid)]:
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        lines = [line.split() for line in text.splitlines()[1:]]
        sizes[one] = sum(int(x[1]) for x in lines if x[0] == "Anonymous:") / 1024
    return sizes


def cpu_seconds(pid: int) -> float:
    """Processor seconds of a process and those below it."""
    return sum(own_cpu_seconds(one) for one in [pid, *children(pid)])


def own_cpu_seconds(pid: int) -> float:
    """Processor seconds of a process; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def start(folder: Path, workers: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server and wait until it answers."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "earmark", "-l", str(folder / "library"), "serve"),
            *("--port", str(port), "--workers", str(workers)),
            *("--root", f"more={folder / 'more'}"),
        ],
        env={**os.environ, "EARMARK_CACHE": str(folder / "cache")},
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            link = HTTPConnection("127.0.0.1", port, timeout=60)
            link.request("GET", "/api/v1/search?like=1&k=1")
            if link.getresponse().status == 200:
                return process, port
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def ask_json(port: int, method: str, path: str, document: object = None) -> dict[str, Any]:
    link = HTTPConnection("127.0.0.1", port, timeout=60)
    body = None if document is None else json.dumps(document)
    link.request(method, path, body, {"Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(link.getresponse().read())
    return answer


def kill_some(process: subprocess.Popen[bytes], what: bytes, times: int) -> None:
    """Kill processes of the server whose command line has these words, one every half second:
    each time the one that has worked most."""
    time.sleep(2.0)
    for _ in range(times):
        below = [p for p in children(process.pid) if what in cmdline(p)]
        if below:
            os.kill(max(below, key=own_cpu_seconds), signal.SIGKILL)
        time.sleep(0.5)


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


SECTIONS = ("cost", "pause", "closed", "memory", "indexing", "killed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--segments", type=int, default=200_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--folder", help="keep the library here, and use it if it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        if not (folder / "library").exists():
            folder.mkdir(exist_ok=True)
            make_library(folder, given.segments)
        with earmark.open(folder / "library") as lib:
            tracks = len(lib)
            rows = sum(e["rows"] for e in lib.info()["encoders"] if e["name"] == "timbre")
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"{tracks} tracks, {rows} segments, {given.workers} server processes", flush=True)
        make_more(folder)
        process, port = start(folder, given.workers)
        try:
            bench = Bench(process, port, tracks, given)
            warm = bench.load()
            warm.run(8, 60.0, most=400)  # outlines and times are at hand from here on
            for name in given.only.split(","):
                getattr(bench, name)()
                sys.stdout.flush()
        finally:
            process.terminate()
            process.wait(20)


def make_more(folder: Path) -> None:
    """Files for a job to index: new ones each time."""
    (folder / "more").mkdir(exist_ok=True)
    for old in (folder / "more").glob("*.wav"):
        old.unlink()
    rng = np.random.default_rng(time.time_ns())
    for number in range(300):
        path = folder / "more" / f"{time.time_ns()}-{number}.wav"
        path.write_bytes(wav_bytes(Clip(sound(rng, 8.0), RATE)))


@dataclass
class Bench:
    """A server, and what is measured of it."""

    process: subprocess.Popen[bytes]
    port: int
    tracks: int
    given: argparse.Namespace

    def __post_init__(self) -> None:
        self.clip = wav_bytes(Clip(sound(np.random.default_rng(1), 5.0), RATE))

    def load(self, pause: float = 0.0) -> Load:
        return Load(self.port, kinds(self.clip, self.tracks, SOUNDS), pause)

    def cost(self) -> None:
        """Processor time of one question of each kind."""
        asked = [
            *kinds(self.clip, self.tracks, SOUNDS),
            Kind("identify", 1.0, lambda rng: post("/api/v1/identify", self.clip)),
        ]
        print("one client, processor time of all processes of the server:")
        for kind in [k for k in asked if k.name in os.environ.get("KINDS", k.name)]:
            Load(self.port, [kind]).run(1, 60.0, most=20)
            load, before = Load(self.port, [kind]), cpu_seconds(self.process.pid)
            load.run(1, 60.0, most=200)
            spent = 1000 * (cpu_seconds(self.process.pid) - before) / load.asked
            median = 1000 * float(np.median(load.times[kind.name]))
            print(f"  {kind.name:8} {spent:6.1f} ms a question, answered after {median:6.1f} ms")

    def pause(self) -> None:
        """Clients that read what they get."""
        self._row("that pause for a second", 1.0)

    def closed(self) -> None:
        """Clients that never pause."""
        self._row("that never pause", 0.0)

    def _row(self, name: str, pause: float) -> Load:
        load, before = self.load(pause), cpu_seconds(self.process.pid)
        load.run(self.given.clients, self.given.seconds)
        load.report(f"{self.given.clients} clients {name}")
        spent = 1000 * (cpu_seconds(self.process.pid) - before) / max(load.asked, 1)
        print(f"  processor: {spent:.1f} ms a question, all processes of the server")
        return load

    def memory(self) -> None:
        """Private memory over many questions."""
        sizes, asked, errors = [], 0, 0
        for _ in range(10):
            more = self.load()
            more.run(self.given.clients, 600.0, most=self.given.requests / 10)
            asked, errors = asked + more.asked, errors + len(more.errors)
            sizes.append(sum(memory(self.process.pid).values()))
        shown = ", ".join(f"{size:.0f}" for size in sizes)
        print(f"memory: {shown} MB, all processes, over {asked} questions; {errors} errors")

    def indexing(self) -> None:
        """A job beside the questions."""
        before = self._row("that pause, no job", 1.0)
        job = ask_json(self.port, "POST", "/api/v1/jobs", {"root": "more"})
        busy = self.load(1.0)
        deadline = time.monotonic() + 300
        while job["state"] not in ("done", "failed") and time.monotonic() < deadline:
            busy.run(self.given.clients, 4.0)
            job = ask_json(self.port, "GET", f"/api/v1/jobs/{job['id']}")
        busy.report(f"{self.given.clients} clients that pause, while indexing ({job['state']})")
        for kind in ("track", "upload"):
            ratio = busy.p95(kind) / max(before.p95(kind), 1e-9)
            print(f"  p95 of {kind} while indexing: {ratio:.2f} times")

    def killed(self) -> None:
        """What the death of a process costs."""
        for name, words, times in (("decoder", DECODER, 8), ("server process", SERVER, 1)):
            if words == SERVER and self.given.workers < 2:
                continue
            killer = threading.Thread(target=kill_some, args=(self.process, words, times))
            killer.start()
            lost = self.load()
            lost.run(self.given.clients, 8.0)
            killer.join()
            print(f"{times} x {name} killed: {len(lost.errors)} of {lost.asked} questions lost")
            for error in lost.errors[:3]:
                print("  error:", error)


if __name__ == "__main__":
    main()
