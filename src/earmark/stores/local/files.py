"""Every change to a file of the library, other than SQLite's own, goes through `FileLayer`.

Tests replace it to fail or to die at chosen points; nothing else in the store opens a file for
writing.  "The disk is full", in whatever form it comes, leaves as `StorageFull`.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark.errors import DamagedLibrary, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BLOCK = 1 << 20


class FileLayer:
    """Durable file operations (POSIX)."""

    def write_at(self, path: Path, offset: int, data: bytes | memoryview) -> None:
        """Write `data` at byte `offset`, making the file if need be; not yet durable."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(fd, view, offset)
                view = view[written:]
                offset += written
        finally:
            os.close(fd)

    def sync(self, path: Path) -> None:
        """Make a file's content durable."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's entries durable: new, renamed and removed files."""
        self.sync(folder)

    def replace(self, source: Path, target: Path) -> None:
        """Rename within a folder, durably; `source` must have been synced."""
        source.replace(target)
        self.sync_folder(target.parent)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes."""
        os.truncate(path, size)

    def remove(self, path: Path) -> int:
        """Remove a file if it is there; return the bytes it had."""
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size

    def make_folder(self, folder: Path) -> None:
        """Make a folder and its parents, durably."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)

    def reached(self, point: str) -> None:
        """Called at named points of a commit; tests die here."""


def file_crc(path: Path, size: int | None = None) -> int:
    """Return the CRC32 of a file, or of its first `size` bytes."""
    crc, left = 0, size
    with path.open("rb") as file:
        while block := file.read(_BLOCK if left is None else min(_BLOCK, left)):
            crc = zlib.crc32(block, crc)
            left = None if left is None else left - len(block)
    return crc


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
            except FileNotFoundError:  # removed by the writer meanwhile
                continue
    return total


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the errors of disk and SQLite into ours.

    Raises
    ------
    StorageFull
        The disk or the quota is full.
    DamagedLibrary
        SQLite says that the catalog is malformed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(folder) from error
        raise
    except sqlite3.DatabaseError as error:
        if _sqlite_code(error) == sqlite3.SQLITE_FULL:
            raise _full(folder) from error
        if _sqlite_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged_catalog(folder, error) from error
        raise


def _sqlite_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def damaged_catalog(folder: Path, error: BaseException) -> DamagedLibrary:
    """Return the error that says that the catalog cannot be read."""
    return DamagedLibrary(
        f"the catalog of the library must be readable, but {folder / 'catalog.sqlite'}: {error}",
        hint="restore catalog.sqlite from a backup, or index anew into another folder",
    )


def _full(folder: Path) -> StorageFull:
    return StorageFull(
        f"the library needs room to grow, but the disk of {folder} is full; "
        "what was committed before stands",
        hint="free some space and run the same command again: it goes on where it stopped",
    )
