"""One writer: an flock on the file `lock`, signed with who holds it.

The kernel drops the lock with its process, so a crash leaves nothing to clean up; the file itself
stays, since removing it would let two writers lock two different files.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark.errors import LibraryLocked, StoreError


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the library's writer lock.

    Raises
    ------
    LibraryLocked
        At once, if another process or thread holds it; the message says who and since when.
    StoreError
        If the folder is read-only.
    """
    fd = _open(folder)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(folder, _signature(fd)) from None
        _sign(fd)
        yield
    finally:
        os.close(fd)


def _open(folder: Path) -> int:
    try:
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise StoreError(
            f"writing to a library needs write access, but {folder} is read-only",
            hint="searching works; to write, change the permissions or copy the library",
        ) from error


def _sign(fd: int) -> None:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(who).encode(), 0)
    except OSError:
        # A full disk must not forbid to remove tracks: the lock holds without its signature.
        return


def _signature(fd: int) -> dict[str, object]:
    try:
        who = json.loads(os.pread(fd, 4096, 0))
    except (OSError, ValueError):
        return {}
    return who if isinstance(who, dict) else {}


def _locked(folder: Path, who: dict[str, object]) -> LibraryLocked:
    by = "another process"
    since = who.get("since")
    if "pid" in who:
        by = f"process {who['pid']} on {who.get('host', 'this machine')}"
        if isinstance(since, int | float):
            by += time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(since))
    return LibraryLocked(
        f"one process at a time may write to a library, but {by} is writing to {folder}",
        hint="wait until it has finished; reading and searching work meanwhile",
    )
