"""Watching folders: what comes to rest is handed on, once; what does not matter is not."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from earmark import watch
from earmark.errors import SourceError, UsageError

DEBOUNCE = 0.3


class Watched:
    """A watch in a thread, with a record of what it handed on."""

    def __init__(self, *paths: Path) -> None:
        self.batches: list[list[str]] = []
        self.times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=([str(p) for p in paths],))

    def _run(self, paths: list[str]) -> None:
        watch.watch(self._add, paths, self._stop, debounce=DEBOUNCE)

    def _add(self, paths: list[str]) -> None:
        self.batches.append(paths)
        self.times.append(time.monotonic())

    def __enter__(self) -> Watched:
        self._thread.start()
        self.wait(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def wait(self, number: int) -> None:
        """Wait for that many batches."""
        for _ in range(400):
            if len(self.batches) >= number:
                return
            time.sleep(0.025)
        raise AssertionError(f"expected {number} batches, got {self.batches}")

    def stays_at(self, number: int) -> None:
        """Wait long enough for a further batch, and see none."""
        time.sleep(4 * DEBOUNCE)
        assert len(self.batches) == number


def test_first_all_paths_then_those_with_changes(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with Watched(one, two) as watched:
        assert watched.batches == [[str(one), str(two)]]
        (two / "a.wav").write_bytes(b"sound")
        watched.wait(2)
        assert watched.batches[1:] == [[str(two)]]
        watched.stays_at(2)


def test_removals_and_renamed_folders_count(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.wav").write_bytes(b"sound")
    with Watched(tmp_path) as watched:
        (tmp_path / "a.wav").unlink()
        watched.wait(2)
        (tmp_path / "deep").rename(tmp_path / "deeper")
        watched.wait(3)
        (tmp_path / ".earmarkignore").write_text("*.wav")
        watched.wait(4)


def test_scores_count_as_recordings_do(tmp_path):
    scores = {
        "tune.mid": "MThd",
        "tune.ABC": "X:1",
        "tune.musicxml": "<score-partwise/>",
        "list.csv": "onset,duration,pitch\n0,1,60\n",
    }
    with Watched(tmp_path) as watched:
        for number, (name, text) in enumerate(scores.items(), 2):
            (tmp_path / name).write_text(text)
            watched.wait(number)
        (tmp_path / "table.csv").write_text("path,label\n")
        (tmp_path / "settings.json").write_text("{}")
        watched.stays_at(1 + len(scores))


def test_what_cannot_matter_is_passed_over(tmp_path):
    with Watched(tmp_path) as watched:
        (tmp_path / "notes.txt").write_text("words")
        (tmp_path / ".hidden.wav").write_bytes(b"sound")
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "a.wav").write_bytes(b"sound")
        watched.stays_at(1)


def test_a_file_that_still_grows_is_waited_for(tmp_path):
    with Watched(tmp_path) as watched, (tmp_path / "a.wav").open("wb") as file:
        for _ in range(8):
            file.write(b"sound")
            file.flush()
            time.sleep(DEBOUNCE / 3)
        last = time.monotonic()
        watched.wait(2)
        assert watched.times[1] >= last
        watched.stays_at(2)


def test_a_file_that_grows_for_ever_does_not_hold_up_the_others(monkeypatch):
    sizes = iter(range(1000))
    monkeypatch.setattr(watch, "_state", lambda path: (next(sizes) if "rec" in path else 0, 0))
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    waiting = watch._Waiting(1.0)
    waiting.note("/r/a.wav", "/r")
    waiting.note("/r/rec.wav", "/r")
    handed_on = []
    for step in range(40):
        now[0] = step * 0.5
        if waiting.settled():
            handed_on.append(now[0])
    assert handed_on == [10.0]


def test_wrong_use(tmp_path):
    stop = threading.Event()
    with pytest.raises(UsageError, match="http://"):
        watch.watch(print, ["http://example.org/a.wav"], stop)
    with pytest.raises(SourceError, match="no such"):
        watch.watch(print, [str(tmp_path / "nowhere")], stop)
    with pytest.raises(UsageError, match="debounce"):
        watch.watch(print, [os.fspath(tmp_path)], stop, debounce=-1)
