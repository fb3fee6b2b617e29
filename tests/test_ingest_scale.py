"""Ingest of much: a very long file in bounded memory, a hundred good files with ten bad ones, all
real recordings."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from audio_factory import encode, noise, tone, write_float_wav, write_wav
from earmark import ingest
from earmark.executors import ProcessExecutor
from earmark.stores import open_store

TREE_LIMIT = 600_000_000
WORKER_LIMIT = 400_000_000

_CHILD = """
import sys
from earmark import ingest
from earmark.executors import ProcessExecutor
from earmark.stores import open_store
store = open_store(sys.argv[1], create=True)
with ProcessExecutor(workers=2) as executor:
    plan = ingest.plan(store, [sys.argv[2]], encoders=["timbre"])
    report = ingest.run(store, plan, executor)
print(report.added, len(report.failed), report.audio_seconds, flush=True)
"""


def _resident(pid: int) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_hours_in_one_file_in_bounded_memory(tmp_path):
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to measure memory")
    minute = encode(tmp_path / "minute.mp2", tone(440, seconds=60, harmonics=9), 22050).read_bytes()
    long = tmp_path / "long.mp2"
    with long.open("wb") as file:
        for _ in range(600):
            file.write(minute)
    (tmp_path / "minute.mp2").unlink()
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path / "library"), str(long)],
        stdout=subprocess.PIPE,
        text=True,
    )
    most = {"tree": 0, "worker": 0}
    ended = threading.Event()

    def measure() -> None:
        while not ended.is_set():
            workers = [_resident(pid) for pid in _children(child.pid)]
            most["worker"] = max([most["worker"], *workers])
            most["tree"] = max(most["tree"], _resident(child.pid) + sum(workers))
            time.sleep(0.05)

    watcher = threading.Thread(target=measure)
    watcher.start()
    output, _ = child.communicate()
    ended.set()
    watcher.join()
    added, failed, seconds = output.split()
    assert (added, failed) == ("1", "0")
    assert float(seconds) == pytest.approx(36_000, rel=0.01)
    assert 0 < most["worker"] < WORKER_LIMIT
    assert most["tree"] < TREE_LIMIT


def _break_ten(folder: Path) -> set[str]:
    """Write ten files that are broken in ten ways."""
    good = write_wav(folder / "good.wav", tone(300, seconds=3)).read_bytes()
    flac = encode(folder / "good.flac", noise(seconds=3, seed=1), 22050).read_bytes()
    ogg = encode(folder / "good.ogg", noise(seconds=3, seed=1), 22050).read_bytes()
    mp4 = encode(folder / "good.m4a", tone(300, seconds=3), 22050).read_bytes()
    for name in ("good.wav", "good.flac", "good.ogg", "good.m4a"):
        (folder / name).unlink()
    broken = {
        "empty.wav": b"",
        "text.mp3": b"these are only words\n" * 200,
        "cut.wav": good[: len(good) // 2],
        "cut.flac": flac[: len(flac) // 2],
        "cut.ogg": ogg[: len(ogg) // 2],
        "cut.m4a": mp4[: len(mp4) // 3],
        "header.wav": good[:44],
        "zeros.flac": bytes(5000),
        "random.ogg": np.random.default_rng(0).bytes(20_000),
    }
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    samples = tone(300, seconds=1)
    samples[5000] = np.nan
    write_float_wav(folder / "nan.wav", samples)
    return {*broken, "nan.wav"}


def test_a_hundred_good_files_among_ten_broken_ones(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    broken = _break_ten(folder)
    for number in range(100):
        write_wav(folder / f"{number}.wav", tone(100 + 10 * number, seconds=0.8))
    store = open_store(str(tmp_path / "library"), create=True)
    with ProcessExecutor(workers=2) as executor:
        plan = ingest.plan(store, [str(folder)], encoders=["timbre"])
        report = ingest.run(store, plan, executor)
    assert report.added == 100
    assert {Path(failure.path).name for failure in report.failed} == broken
    assert all(failure.error for failure in report.failed)
    again = ingest.plan(store, [str(folder)], encoders=["timbre"])
    assert not again.writes
    assert again.failed == report.failed


@pytest.mark.slow
@pytest.mark.data
def test_all_real_recordings(tmp_path, data_dir):
    store = open_store(str(tmp_path / "library"), create=True)
    with ProcessExecutor() as executor:
        plan = ingest.plan(store, [str(data_dir)], encoders=["timbre"])
        report = ingest.run(store, plan, executor)
    assert (report.added, report.failed) == (2253, ())
    assert report.audio_seconds == pytest.approx(4.86 * 3600, rel=0.01)
    assert not ingest.plan(store, [str(data_dir)], encoders=["timbre"]).writes
