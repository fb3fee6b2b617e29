"""Single entries of the catalog that the writer, rebuilding and compaction make."""

from __future__ import annotations

import sqlite3

from earmark.stores.local.codec import row_check


def count_commit(con: sqlite3.Connection) -> None:
    """Move the commit counter, by which readers see that their snapshot is old."""
    con.execute("update meta set value = value + 1 where name = 'commit'")


def put_span(
    con: sqlite3.Connection,
    track: int,
    encoder: int,
    first: int,
    rows: int,
    times: bytes,
    rows_crc: int,
    refine_crc: int,
) -> None:
    """Write a span with its check."""
    values = (track, encoder, first, rows, times, rows_crc, refine_crc)
    con.execute("insert into spans values (?, ?, ?, ?, ?, ?, ?, ?)", (*values, row_check(*values)))


def bury(con: sqlite3.Connection, encoder: int, first: int, rows: int) -> None:
    """Mark a range of keys as dead, joined with dead neighbours."""
    if not rows:
        return
    end = first + rows
    before = con.execute(
        "select first_key, rows from dead where encoder = ? and first_key < ? "
        "order by first_key desc limit 1",
        (encoder, first),
    ).fetchone()
    if before is not None and sum(before) == first:
        first = before[0]
    after = con.execute(
        "select rows from dead where encoder = ? and first_key = ?", (encoder, end)
    ).fetchone()
    if after is not None:
        con.execute("delete from dead where encoder = ? and first_key = ?", (encoder, end))
        end += after[0]
    con.execute("insert or replace into dead values (?, ?, ?)", (encoder, first, end - first))
