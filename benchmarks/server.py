"""Many clients at once: a served library of 200,000 segments, asked mixed questions over loopback.

Prints one line per figure: errors, p95 by kind of question, with indexing at the same time, memory
over many requests, and what a killed server process costs.

    python benchmarks/server.py [--segments 200000] [--clients 50] [--seconds 20] [--workers 2]

The library is made of rendered tones: real `timbre` rows of 200 short sounds, and rows near to them
under other names until there are enough segments.
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
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

import earmark
from earmark.library.notebook import wav_bytes
from earmark.types import Clip, Encoded, TrackRecord

RATE = 22_050


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
    for number in range(200):
        clip = Clip(sound(rng, 8.0), RATE)
        (sounds / f"{number:04}.wav").write_bytes(wav_bytes(clip))
    with earmark.open(folder / "library") as lib:
        lib.add(sounds, encoders=["timbre"])
        store = lib.store
        tracks = store.tracks(store.track_ids().tolist())
        keys = {t.id: store.keys("timbre", t.id) for t in tracks}
        rows = {t.id: store.vectors("timbre", keys[t.id]) for t in tracks}
        times = {t.id: store.locate("timbre", keys[t.id]) for t in tracks}
        have = sum(len(k) for k in keys.values())
        number = 0
        while have < segments:
            with store.writer() as writer:
                for track in tracks:
                    bits = rows[track.id].copy()
                    flips = rng.integers(0, bits.shape[1], len(bits))
                    bits[np.arange(len(bits)), flips] ^= rng.integers(1, 256, len(bits), np.uint8)
                    span = times[track.id]
                    encoded = Encoded(bits, np.stack([span.starts, span.ends], axis=1))
                    record = TrackRecord(
                        path=f"{track.path}.{number}",
                        content_hash=f"{track.id:08x}{number:032x}",
                        size=track.size,
                        mtime_ns=track.mtime_ns,
                        info=replace(track.info),
                        title=f"sound {track.id} take {number}",
                        tags={"genre": f"g{track.id % 7}"},
                    )
                    writer.put_track(record, {"timbre": encoded})
                    have += len(bits)
                writer.commit()
            number += 1
        store.rebuild(encoder="timbre")
        return len(lib)


class Load:
    """Clients that ask one question after the other, and how long the answers took."""

    def __init__(self, port: int, clip: bytes, tracks: int) -> None:
        self.port, self.clip, self.tracks = port, clip, tracks
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def questions(self, rng: np.random.Generator) -> tuple[str, str, str, bytes | None]:
        """A question of a kind that is drawn."""
        at, track = rng.random(), int(rng.integers(1, self.tracks))
        if at < 0.4:
            return "track", "GET", f"/api/v1/search?like={track}&k=10", None
        if at < 0.6:
            return "upload", "POST", "/api/v1/search?k=10", self.clip
        if at < 0.75:
            return "words", "GET", f"/api/v1/search?text=take+{track % 90}&k=10", None
        if at < 0.85:
            return "list", "GET", f"/api/v1/tracks?limit=50&offset={track}", None
        if at < 0.95:
            return "random", "GET", "/api/v1/random?k=10", None
        return "peaks", "GET", f"/api/v1/tracks/{1 + track % 200}/peaks", None

    def client(self, seed: int, stop: Callable[[], bool]) -> None:
        """Ask until told to stop."""
        rng = np.random.default_rng(seed)
        link = HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not stop():
            kind, method, path, body = self.questions(rng)
            began = time.perf_counter()
            try:
                if link.sock is None:
                    link.connect()
                    link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link.request(method, path, body, {"Content-Type": "audio/wav"} if body else {})
                answer = link.getresponse()
                data = answer.read()
                if answer.status != 200:
                    raise OSError(f"{answer.status} {data[:200]!r}")
            except OSError as error:
                link.close()
                with self._lock:
                    self.errors.append(f"{kind}: {error}")
                continue
            with self._lock:
                self.times[kind].append(time.perf_counter() - began)

    def run(self, clients: int, seconds: float, *, pause: float = 0.0) -> float:
        """Ask from so many clients for so long; questions a second."""
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self.client, args=(n, lambda: time.monotonic() > end))
            for n in range(clients)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(map(len, self.times.values())) / (time.monotonic() - began)

    def report(self, name: str, rate: float) -> None:
        """Print the figures."""
        print(f"{name}: {rate:.0f} questions a second, {len(self.errors)} errors")
        for kind, values in sorted(self.times.items()):
            ms = 1000 * np.array(values)
            p50, p95 = np.percentile(ms, [50, 95])
            print(f"  {kind:7} {len(ms):6} questions, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms")
        for error in self.errors[:3]:
            print("  error:", error)


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def memory(pid: int) -> dict[int, float]:
    """Private MB of a process and those below it."""
    sizes = {}
    for one in [pid, *children(pid)]:
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        lines = [line.split() for line in text.splitlines()[1:]]
        sizes[one] = sum(int(x[1]) for x in lines if x[0].startswith("Private_")) / 1024
    return sizes


def cpu_seconds(pid: int) -> float:
    """Processor seconds of a process and those below it."""
    ticks = 0
    for one in [pid, *children(pid)]:
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


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


def post(port: int, path: str, document: object) -> dict[str, object]:
    link = HTTPConnection("127.0.0.1", port, timeout=60)
    link.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
    answer: dict[str, object] = json.loads(link.getresponse().read())
    return answer


def kill_one(process: subprocess.Popen[bytes], after: float) -> None:
    """Kill a server process (the largest child) after some seconds."""
    time.sleep(after)
    below = [p for p in children(process.pid) if b"spawn_main" in cmdline(p)]
    os.kill(below[0], signal.SIGKILL)


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=200_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--folder", help="keep the library here, and use it if it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        if not (folder / "library").exists():
            folder.mkdir(exist_ok=True)
            make_library(folder, given.segments)
        with earmark.open(folder / "library") as lib:
            tracks = len(lib)
            rows = lib.info()["encoders"][0]["rows"]
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"{tracks} tracks, {rows} segments, {given.workers} server processes")
        measure(folder, tracks, given)


def measure(folder: Path, tracks: int, given: argparse.Namespace) -> None:
    """All measurements, one server."""
    clip = wav_bytes(Clip(sound(np.random.default_rng(1), 5.0), RATE))
    (folder / "more").mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    for number in range(300):
        path = folder / "more" / f"{time.time_ns()}-{number}.wav"
        path.write_bytes(wav_bytes(Clip(sound(rng, 8.0), RATE)))
    process, port = start(folder, given.workers)
    try:
        one = Load(port, clip, tracks)
        one.run(1, given.seconds / 4)  # outlines and times are at hand from here on
        one.times.clear()
        one.report("one client", one.run(1, given.seconds / 4))
        load = Load(port, clip, tracks)
        busy_before = cpu_seconds(process.pid)
        load.report(f"{given.clients} clients", load.run(given.clients, given.seconds))
        spent = cpu_seconds(process.pid) - busy_before
        asked = sum(map(len, load.times.values()))
        print(f"  processor: {1000 * spent / max(asked, 1):.1f} ms a question, all processes")
        sizes, asked, errors = [], 0, 0
        while asked < given.requests:
            more = Load(port, clip, tracks)
            while (done := sum(map(len, more.times.values()))) < given.requests / 5:
                more.run(given.clients, 2.0)
            asked, errors = asked + done, errors + len(more.errors)
            sizes.append(sum(memory(process.pid).values()))
        shown = ", ".join(f"{size:.0f}" for size in sizes)
        print(f"memory: {shown} MB private, all processes, over {asked} questions; {errors} errors")
        post(port, "/api/v1/jobs", {"root": "more"})
        busy = Load(port, clip, tracks)
        busy.report("while indexing", busy.run(given.clients, given.seconds))
        if given.workers > 1:
            killer = threading.Thread(target=kill_one, args=(process, 3.0))
            killer.start()
            lost = Load(port, clip, tracks)
            lost.report("one process killed", lost.run(given.clients, 10.0))
            killer.join()
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()
