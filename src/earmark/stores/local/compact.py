"""Compaction: the live rows of an encoder go to new shards under new keys, in one transaction.

The old shards are removed after the commit.  A reader that has them mapped keeps its maps; one
that comes too late begins its call anew (`shards.Vanished`); keys that were handed out before are
translated through the table `moved` until the next compaction.
"""

from __future__ import annotations

import sqlite3

import numpy as np

from earmark.errors import DamagedLibrary
from earmark.stores.local.append import Appender
from earmark.stores.local.care import View
from earmark.stores.local.catalog import REFINE, ROWS, Space
from earmark.stores.local.codec import row_check
from earmark.stores.local.doors import crc
from earmark.stores.local.entries import count_commit
from earmark.stores.local.files import FileLayer
from earmark.stores.local.verify import read_span
from earmark.types import AnyArray

_SPAN = "track, encoder, first_key, rows, times, crc, refine_crc"


def compact_space(view: View, con: sqlite3.Connection, files: FileLayer, space: Space) -> None:
    """Rewrite the shards of one encoder without its dead rows.

    Raises
    ------
    DamagedLibrary
        If live rows are damaged: copying them would hide it.
    """
    appender = Appender(con, view.folder, files)
    con.execute("begin immediate")
    try:
        old = [s.id for s in (*space.shards, *space.refine_shards)]
        appender.begin_generation(space.id)
        moved = _move_spans(view, con, appender, space)
        appender.flush(durable=True)
        con.executemany("delete from shards where id = ?", [(i,) for i in old])
        for table in ("dead", "moved", "indexes"):
            con.execute(f"delete from {table} where encoder = ?", (space.id,))  # noqa: S608
        con.executemany(
            "insert into moved values (?, ?, ?, ?)", [(space.id, *move) for move in moved]
        )
        count_commit(con)
        files.reached("compacted")
        con.execute("commit")
    except BaseException:
        if con.in_transaction:
            con.execute("rollback")
        raise


def _move_spans(
    view: View, con: sqlite3.Connection, appender: Appender, space: Space
) -> list[tuple[int, int, int]]:
    moved: list[tuple[int, int, int]] = []
    spans = con.execute(
        "select track, first_key, rows from spans where encoder = ? order by first_key, rows",
        (space.id,),
    ).fetchall()
    for track, first, count in spans:
        *values, check = con.execute(
            f'select {_SPAN}, "check" from spans where track = ? and encoder = ?',  # noqa: S608
            (track, space.id),
        ).fetchone()
        if row_check(*values) != check:
            raise _damaged(track)
        rows, refine = _sound_rows(view, space, track, first, count, *values[5:])
        to = appender.append(space.id, rows, refine)
        values[2] = to
        con.execute(
            'update spans set first_key = ?, "check" = ? where track = ? and encoder = ?',
            (to, row_check(*values), track, space.id),
        )
        if not count:
            continue
        if moved and moved[-1][0] + moved[-1][1] == first:  # neighbours stay neighbours
            moved[-1] = (moved[-1][0], moved[-1][1] + count, moved[-1][2])
        else:
            moved.append((first, count, to))
    return moved


def _sound_rows(
    view: View, space: Space, track: int, first: int, count: int, rows_crc: int, refine_crc: int
) -> tuple[AnyArray, AnyArray | None]:
    spec = space.spec
    if not count:
        refine_none = None if spec.refine is None else np.empty((0, spec.refine.width))
        return np.empty((0, spec.rows.width), spec.rows.numpy_dtype), refine_none
    rows = read_span(view, space, ROWS, spec.rows, first, count)
    refine = None
    if spec.refine is not None:
        refine = read_span(view, space, REFINE, spec.refine, first, count)
        if refine is None or crc(refine) != refine_crc:
            raise _damaged(track)
    if rows is None or crc(rows) != rows_crc:
        raise _damaged(track)
    return rows, refine


def _damaged(track: int) -> DamagedLibrary:
    return DamagedLibrary(
        f"only sound rows can be compacted, but those of track {track} are damaged",
        hint="see all of it with: earmark verify; mend it with: earmark rebuild",
    )


def tidy_catalog(con: sqlite3.Connection) -> None:
    """Merge the full text index, give back free pages, and empty the write-ahead log."""
    con.execute("insert into words (words) values ('optimize')")
    con.execute("pragma busy_timeout = 200")  # readers may hold a snapshot for long: leave them be
    free = int(con.execute("pragma freelist_count").fetchone()[0])
    pages = int(con.execute("pragma page_count").fetchone()[0])
    try:
        if free * 4 > pages:
            con.execute("vacuum")
        con.execute("pragma wal_checkpoint(truncate)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
