"""Kill runs of ingest at any moment: nothing acknowledged is lost, nothing is half visible."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audio_factory import tone, write_wav
from earmark import audio, framing, ingest
from earmark.executors import ProcessExecutor
from earmark.ingest.resolving import resolve
from earmark.sources import content_hash
from earmark.stores import open_store

CHILD = Path(__file__).parent / "crash_child.py"
FILES = 40
KILLS = 100


class Trial:
    """A folder whose files keep changing, and a library that is filled by killed runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.library = folder / "sounds", folder / "library"
        self.log = folder / "acknowledged"
        self.folder.mkdir()
        self.random = random.Random(0)
        self.content: dict[str, set[str]] = {}
        self.rows: dict[tuple[str, str], np.ndarray] = {}
        for number in range(FILES):
            self.write(number)

    def write(self, number: int) -> None:
        """Give a file new content."""
        path = self.folder / f"{number:03}.wav"
        pitch, seconds = self.random.uniform(100, 4000), self.random.uniform(1, 8)
        write_wav(path, tone(pitch, seconds=seconds, harmonics=5))
        self.content.setdefault(str(path), set()).add(content_hash(str(path)))

    def change_something(self) -> None:
        """Rewrite some files; move one away or back."""
        for number in self.random.sample(range(FILES), 8):
            self.write(number)
        first, second = self.folder / "moving.wav", self.folder / "moved.wav"
        if first.exists():
            first.replace(second)
        elif second.exists():
            second.replace(first)
        else:
            write_wav(first, tone(777, seconds=2))
        for path in (first, second):
            hashes = {content_hash(str(p)) for p in (first, second) if p.exists()}
            self.content.setdefault(str(path), set()).update(hashes)

    def run(self, *, kill: bool) -> bool:
        """Run the child; return whether it was killed before it was done.

        Half of the kills come at any time from the first import on, the others shortly after a
        commit, where writing is thickest.
        """
        command = [sys.executable, CHILD, self.library, self.folder, self.log]
        before = self.log_size()
        child = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE)
        try:
            if kill and self.random.random() < 0.5:
                while child.poll() is None and self.log_size() == before:
                    time.sleep(0.002)
                child.communicate(timeout=self.random.uniform(0, 0.2))
            else:
                child.communicate(timeout=self.random.uniform(0.2, 2.5) if kill else None)
            assert child.returncode == 0
            return False
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            return True

    def log_size(self) -> int:
        """Bytes of what was acknowledged."""
        return self.log.stat().st_size if self.log.exists() else 0

    def check(self) -> int:
        """Check all that the library holds; return the number of tracks."""
        if not (self.library / "catalog.sqlite").exists():
            assert not self.log.exists()
            return 0
        store = open_store(str(self.library))
        try:
            assert store.verify() == []
            tracks = {track.path: track for track in store.tracks(store.track_ids().tolist())}
            for path, acknowledged in self.acknowledged().items():
                if path not in tracks:  # only a file that moved on may have left its path
                    assert "mov" in path
                    assert acknowledged in {track.content_hash for track in tracks.values()}
            if not tracks:
                return 0
            encoder, _ = resolve(store, "timbre")
            for track in tracks.values():
                assert track.content_hash in self.content[track.path]
                keys = store.keys("timbre", track.id)
                found = store.vectors("timbre", keys)
                np.testing.assert_array_equal(found, self.expected(track, encoder))
            return len(tracks)
        finally:
            store.close()

    def acknowledged(self) -> dict[str, str]:
        """Content hash by path, as last acknowledged."""
        if not self.log.exists():
            return {}
        return dict(line.split("\t") for line in self.log.read_text().splitlines())

    def expected(self, track, encoder) -> np.ndarray:
        """The rows of a file as it is, made in this process; of older content as first seen."""
        key = (track.content_hash, encoder.spec.revision)
        if key not in self.rows and content_hash(track.path) == track.content_hash:
            clip = audio.read(track.path, sample_rate=encoder.spec.sample_rate)
            self.rows[key] = framing.encode_clip(encoder, clip).rows
        assert key in self.rows, "rows of content that was never seen whole"
        return self.rows[key]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_runs_lose_nothing_and_show_nothing_half(tmp_path):
    trial = Trial(tmp_path)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        assert rounds < 4 * KILLS
        killed = trial.run(kill=True)
        kills += killed
        before = trial.check()
        if not killed or rounds % 3 == 0:
            trial.change_something()
    assert trial.run(kill=False) is False
    assert trial.check() == len(list(trial.folder.iterdir())) >= before
    with ProcessExecutor(workers=1) as executor:
        store = open_store(str(trial.library))
        plan = ingest.plan(store, [str(trial.folder)], encoders=["timbre"])
        assert not plan.writes
        assert ingest.run(store, plan, executor).added == 0


@pytest.mark.slow
def test_killed_workers_cost_no_file(tmp_path):
    trial = Trial(tmp_path)
    store = open_store(str(trial.library), create=True)
    with ProcessExecutor(workers=2) as executor:
        plan = ingest.plan(store, [str(trial.folder)], encoders=["timbre"])
        killed: set[int] = set()

        def kill(progress):
            # Once for each count: the same file must not lose its worker again and again.
            due = progress.stage == "encode" and progress.files % 10 == 5
            if due and progress.files not in killed and len(killed) < 4:
                killed.add(progress.files)
                os.kill(executor._running[0].pid, signal.SIGKILL)

        report = ingest.run(store, plan, executor, on_progress=kill)
    assert killed
    assert (report.added, report.failed) == (FILES, ())
    assert trial.check() == FILES


@pytest.mark.slow
def test_an_interrupted_run_commits_and_goes_on(tmp_path):
    trial = Trial(tmp_path)
    command = [sys.executable, str(CHILD), trial.library, trial.folder, trial.log]
    child = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE)
    while child.poll() is None and len(trial.acknowledged()) < 6:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=30)
    if child.returncode == 0:
        pytest.skip("it was done before the signal came")
    assert stderr.decode().rstrip().endswith("KeyboardInterrupt")
    done = trial.check()
    assert done == len(trial.acknowledged()) >= 6
    assert trial.run(kill=False) is False
    assert trial.check() == FILES


@pytest.mark.slow
def test_two_runs_at_once(tmp_path):
    trial = Trial(tmp_path)
    store = open_store(str(trial.library), create=True)
    with store.writer():
        child = subprocess.run(
            [sys.executable, str(CHILD), trial.library, trial.folder, trial.log],
            check=False,
            capture_output=True,
            text=True,
        )
    assert child.returncode != 0
    assert "LibraryLocked" in child.stderr
