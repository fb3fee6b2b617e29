"""kill -9 at random moments: nothing acknowledged is lost, nothing is half visible."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import store_writer
from earmark.stores.local import LocalStore, append, open_local
from earmark.stores.local.files import FileLayer
from earmark.testing.store_cases import record

KILLS = 60


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_9(tmp_path: Path) -> None:
    rng = random.Random(0)
    folder = tmp_path / "lib"
    acknowledged = ""
    commits = 0
    for kill in range(KILLS):
        lines = _run_and_kill(folder, seed=kill, seconds=rng.uniform(0.0, 0.6))
        commits += len(lines)
        acknowledged = _check(folder, [acknowledged, *lines], deep=kill % 10 == 9)
    assert commits > KILLS


def _run_and_kill(folder: Path, *, seed: int, seconds: float) -> list[str]:
    """Run a writer, kill it some time after it has begun, and return its acknowledgements."""
    process = subprocess.Popen(
        [sys.executable, store_writer.__file__, str(folder), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.kill()
        lines = process.stdout.read().splitlines(keepends=True)
    process.wait()
    return [line for line in lines if line.endswith("\n")]


def _check(folder: Path, states: list[str], *, deep: bool) -> str:
    """Check a library after a kill; return its state as the next writer finds it."""
    store = open_local(folder, create=True)
    found = _state(store)
    last = _parse(states[-1])
    # One more commit may have come through that could not be acknowledged any more: it changes
    # fewer than 30 tracks, and may remove some, but takes none back to what it was.
    changed = {n for n in found.keys() | last.keys() if found.get(n) != last.get(n)}
    assert len(changed) < 30, "more than one commit is missing or too many"
    assert all(found.get(n, 10**9) >= v for n, v in last.items()), "an acknowledged one is lost"
    new = found.keys() - last.keys()
    assert min(new, default=10**9) > max(last, default=0), "a removed track is back"
    removed = [n for n in last if n not in found]
    assert not removed or len(changed) > len(removed) or len(removed) < 15
    _check_rows(store, found)
    if deep:
        assert store.verify() == []
    store.close()
    return " ".join(f"{n}:{v}" for n, v in found.items())


def _parse(line: str) -> dict[int, int]:
    return {int(a): int(b) for a, b in (pair.split(":") for pair in line.split())}


def _state(store: LocalStore) -> dict[int, int]:
    tracks = store.tracks(store.track_ids().tolist())
    return {int(t.tags["number"]): int(t.tags["version"]) for t in tracks}


def _check_rows(store: LocalStore, state: dict[int, int]) -> None:
    total = 0
    for track in store.tracks(store.track_ids().tolist()):
        number = int(track.tags["number"])
        made = store_writer.content(number, state[number])
        total += len(made["enc"].rows)
        for name, wanted in made.items():
            keys = store.keys(name, track.id)
            assert len(keys) == len(wanted.rows), f"track {number} has some of its rows"
            rows = store.vectors(name, keys)
            assert np.allclose(rows, wanted.rows, atol=1e-3), f"track {number} has wrong rows"
        refine = store.vectors("enc", store.keys("enc", track.id), form="refine")
        assert np.array_equal(refine, made["enc"].refine)
    if total:
        query = np.ones((1, 24), np.float32)
        found = store.search("enc", query, total + 10, exact=True)
        assert int((found.keys >= 0).sum()) == total, "dead or uncommitted rows are found"


class Dies(FileLayer):
    """Ends the process's work at a point, as a crash would: nothing is tidied after it."""

    def __init__(self, point: str, after: int) -> None:
        self.point, self.after, self.dead = point, after, False

    def reached(self, point: str) -> None:
        if point == self.point:
            self.after -= 1
            if self.after < 0:
                self.dead = True
                raise SystemExit

    def truncate(self, path: Path, size: int) -> None:
        if not self.dead:
            super().truncate(path, size)

    def remove(self, path: Path) -> int:
        return 0 if self.dead else super().remove(path)


@pytest.mark.parametrize("point", ["rows partly written", "rows written", "committed"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_dying_at_each_point_of_a_commit(tmp_path: Path, point: str, after: int) -> None:
    folder = tmp_path / "lib"
    store = open_local(folder, create=True, files=Dies(point, after))
    acknowledged = 0

    def write() -> None:
        nonlocal acknowledged
        with store.writer() as writer:
            writer.put_encoder(store_writer.SPEC, {})
            writer.put_encoder(store_writer.CODES, {})
            for number in range(1, 9):
                name = record(f"/{number}", number=number, version=0)
                writer.put_track(name, store_writer.content(number, 0))
                writer.commit()
                acknowledged += 1

    with pytest.raises(SystemExit):
        write()
    again = open_local(folder)
    assert again.count() == acknowledged + (point == "committed")
    if again.count():
        _check_rows(again, _state(again))
    assert again.verify() == []
    with again.writer() as writer:
        writer.put_encoder(store_writer.SPEC, {})
        writer.put_encoder(store_writer.CODES, {})
        writer.put_track(record("/50", number=50, version=0), store_writer.content(50, 0))
        writer.commit()
    _check_rows(again, _state(again))
    assert again.verify() == []


def test_a_commit_that_does_not_write_its_rows_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection taken out: a commit of the catalog without the rows that it vouches for."""
    store = open_local(tmp_path / "lib", create=True)
    with store.writer() as writer:
        writer.put_encoder(store_writer.SPEC, {})
        writer.put_encoder(store_writer.CODES, {})
        writer.put_track(record("/3", number=3, version=0), store_writer.content(3, 0))
        writer.commit()
    monkeypatch.setattr(append.Appender, "flush", lambda self, *, durable: None)
    with store.writer() as writer:
        writer.put_track(record("/4", number=4, version=0), store_writer.content(4, 0))
        writer.commit()
    assert store.verify() != []
