"""The catalog's formats: creation, checks at the door, and numbered migrations.

`PRAGMA application_id` says that a SQLite file is an earmark catalog, `PRAGMA user_version` in
which format the whole folder is.  Formats:

1. One row of ``segments`` per stored row, no checks of catalog rows, tombstones by key.
2. One row of ``spans`` per track and encoder with packed times; every row carries a check; full
   text search over the metadata; files that a commit replaced are found by not being named.
3. Labels that taggers gave, with their moments; derived arrays.

A library of an older format is migrated when it is opened, in one transaction under the writer
lock.  A newer one is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from earmark.errors import ForeignFormat, LibraryNotFound
from earmark.stores.local.files import FileLayer, damaged_catalog
from earmark.stores.local.lock import writer_lock
from earmark.stores.local.migrate import from_1_to_2, from_2_to_3
from earmark.stores.local.tables import TABLES

APPLICATION_ID = 0x4541524D  # "EARM"
FORMAT = 3
CATALOG = "catalog.sqlite"

_MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection, Path], None]] = {
    1: from_1_to_2,
    2: from_2_to_3,
}


def create(folder: Path, files: FileLayer) -> None:
    """Make an empty library, whole or not at all.

    Raises
    ------
    ForeignFormat
        If the folder holds anything else.
    """
    files.make_folder(folder)
    with writer_lock(folder):
        if (folder / CATALOG).exists():  # another process was faster
            return
        _check_empty(folder)
        draft = folder / f"{CATALOG}.new-{uuid4().hex}"
        con = sqlite3.connect(draft, isolation_level=None)
        try:
            con.executescript(f"begin; {TABLES} commit;")
            con.execute("insert into meta values ('commit', 0)")
            con.execute("insert into meta values ('library', ?)", (uuid4().hex,))
            con.execute(f"pragma application_id = {APPLICATION_ID}")
            con.execute(f"pragma user_version = {FORMAT}")
            con.execute("pragma journal_mode = wal")
        finally:
            con.close()
        files.sync(draft)
        files.replace(draft, folder / CATALOG)


def _check_empty(folder: Path) -> None:
    others = sorted(
        p.name for p in folder.iterdir() if p.name != "lock" and not p.name.startswith(CATALOG)
    )
    if others:
        raise ForeignFormat(
            f"a new library needs an empty folder, but {folder} holds {others[0]!r}"
            + (f" and {len(others) - 1} more" if len(others) > 1 else ""),
            hint="give --library a folder of its own",
        )
    for leftover in folder.glob(f"{CATALOG}.new-*"):  # of a creation that was interrupted
        leftover.unlink()


def check_folder(folder: Path) -> None:
    """Raise unless the folder holds something that looks like an earmark catalog.

    Raises
    ------
    LibraryNotFound, ForeignFormat
    """
    path = folder / CATALOG
    if not path.is_file():
        others = folder.is_dir() and any(folder.iterdir())
        if others and not (folder / "lock").exists():
            raise ForeignFormat(
                f"a library is a folder with a {CATALOG}, but {folder} holds other files",
                hint="give --library the library's own folder, not the one with the audio",
            )
        raise LibraryNotFound(
            f"there is no library at {folder}", hint="make one: earmark index FOLDER"
        )
    with path.open("rb") as file:
        head = file.read(100)
    if head[:16] != b"SQLite format 3\0":
        raise ForeignFormat(
            f"{path} must be an SQLite file, but does not begin like one",
            hint="if this was an earmark library, its catalog is damaged: restore it from a "
            "backup, or index anew into another folder",
        )


def check_format(con: sqlite3.Connection, folder: Path) -> int:
    """Return the library's format.

    Raises
    ------
    ForeignFormat
        If the file is another program's, or of a newer format than this version knows.
    DamagedLibrary
        If SQLite cannot read it.
    """
    try:
        application = int(con.execute("pragma application_id").fetchone()[0])
        version = int(con.execute("pragma user_version").fetchone()[0])
        con.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise
        raise damaged_catalog(folder, error) from error
    if application != APPLICATION_ID:
        raise ForeignFormat(
            f"{folder / CATALOG} is an SQLite database of another program "
            f"(application_id {application:#010x}, earmark's is {APPLICATION_ID:#010x})",
            hint="give --library another folder",
        )
    if version > FORMAT or version < 1:
        raise ForeignFormat(
            f"this earmark reads library formats 1 to {FORMAT}, but {folder} has format {version}",
            hint="upgrade earmark: pip install --upgrade earmark",
        )
    return version


def migrate(folder: Path, connect: Callable[[], sqlite3.Connection]) -> None:
    """Bring a library of an older format to `FORMAT`, in one transaction.

    Raises
    ------
    LibraryLocked
        If a process is writing to the library.
    ForeignFormat
        If the folder cannot be written to.
    """
    if not os.access(folder, os.W_OK):
        raise ForeignFormat(
            f"a library of an older format must be migrated, but {folder} is read-only",
            hint="open it once where it can be written, or copy it",
        )
    with writer_lock(folder):
        con = connect()
        try:
            con.execute("begin immediate")
            version = check_format(con, folder)  # another process may have been faster
            while version < FORMAT:
                _MIGRATIONS[version](con, folder)
                version += 1
            con.execute(f"pragma user_version = {FORMAT}")
            con.execute("commit")
        finally:
            con.close()
