"""A full disk, in each form it can come: what was committed stands, and the writer goes on."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from earmark.errors import StorageFull
from earmark.stores.local import LocalStore, open_local
from earmark.stores.local.files import FileLayer
from earmark.testing.store_cases import record
from test_store_local import encoded, fill


class FullDisk(FileLayer):
    """Takes so many bytes and no more."""

    def __init__(self) -> None:
        self.left: float = float("inf")

    def write_at(self, path: Path, offset: int, data: bytes | memoryview) -> None:
        if len(data) > self.left:
            super().write_at(path, offset, data[: int(self.left)])
            self.left = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= len(data)
        super().write_at(path, offset, data)

    def sync(self, path: Path) -> None:
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync(path)


@pytest.mark.parametrize("left", [0, 100, 128])
def test_a_full_disk_loses_nothing_that_was_committed(tmp_path: Path, left: int) -> None:
    disk = FullDisk()
    store = open_local(tmp_path / "lib", create=True, files=disk)
    fill(store, 5)
    disk.left = left
    with store.writer() as writer:
        writer.put_track(record("/more"), {"enc": encoded(77)})
        with pytest.raises(StorageFull) as caught:
            writer.commit()
        assert "free some space" in str(caught.value.hint)
        disk.left = float("inf")
        writer.put_track(record("/again"), {"enc": encoded(78)})
        writer.commit()
    assert store.count() == 6
    assert store.find_path("/more") is None
    assert store.verify() == []


def test_compaction_on_a_full_disk(tmp_path: Path) -> None:
    disk = FullDisk()
    store = open_local(tmp_path / "lib", create=True, files=disk)
    ids = fill(store, 5)
    with store.writer() as writer:
        writer.remove_tracks(ids[:1])
        writer.commit()
    disk.left = 100
    with pytest.raises(StorageFull):
        store.compact()
    assert store.verify() == []
    assert store.stats().spaces[0].dead_rows == 4
    disk.left = float("inf")
    store.compact()
    assert store.stats().spaces[0].dead_rows == 0


def test_a_catalog_without_room(tmp_path: Path) -> None:
    store = open_local(tmp_path / "lib", create=True)
    fill(store, 5)
    with store.writer() as writer:
        pages = writer._con.execute("pragma page_count").fetchone()[0]
        writer._con.execute(f"pragma max_page_count = {pages + 2}")

        def put_many() -> None:
            for i in range(2000):
                writer.put_track(record(f"/more/{i}", title="long " * 100), {"enc": encoded(i)})
            writer.commit()

        with pytest.raises(StorageFull):
            put_many()
        writer._con.execute("pragma max_page_count = 1000000")
        writer.put_track(record("/after"), {"enc": encoded(1)})
        writer.commit()
    assert store.count() == 6
    assert store.verify() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = open_local(disk / "lib", create=True)
        fill(store, 5)
        done = _fill_up(store)
        assert done > 5
        assert store.count() == done
        assert store.verify() == []
        store.close()
        open_local(disk / "lib").close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def _fill_up(store: LocalStore) -> int:
    """Write until the disk is full; return the tracks whose commits came through."""
    done = [5]

    def put_many() -> None:
        with store.writer() as writer:
            for i in range(100_000):
                writer.put_track(record(f"/more/{i}"), {"enc": encoded(i, 100)})
                if i % 20 == 19:
                    writer.commit()
                    done[0] = 5 + i + 1

    with pytest.raises(StorageFull):
        put_many()
    return done[0]
