"""Steps from one library format to the next, each frozen once released.

A step gets a connection inside a transaction and the library's folder.  It writes the format that
it leads to with the codec of that format; when a later format changes a table or a codec, the old
one moves here.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from earmark.stores.local import text, tracks
from earmark.stores.local.codec import pack_times, row_check
from earmark.stores.local.doors import crc
from earmark.stores.local.tables import TABLES_2, TABLES_3
from earmark.types import AnyArray, EncoderSpec

_OLD = ("meta", "tracks", "tags", "failures", "encoders", "states", "shards", "segments", "dead")


def from_1_to_2(con: sqlite3.Connection, folder: Path) -> None:
    """Pack segments to spans; add checks, ranges of dead keys and full text search."""
    for name in _OLD:
        con.execute(f"alter table {name} rename to old_{name}")
    for (name,) in con.execute(
        "select name from sqlite_master where type = 'index' and sql is not null"
    ).fetchall():
        con.execute(f'drop index "{name}"')
    for statement in TABLES_2.split(";"):
        if statement.strip():
            con.execute(statement)
    con.execute("insert into meta select name, value from old_meta")
    con.execute("update meta set value = value + 1 where name = 'commit'")
    _tracks(con)
    _encoders(con)
    _rows(con, folder)
    for table in ("tracks", "encoders", "shards"):  # ids are never used twice
        old = con.execute("select seq from sqlite_sequence where name = ?", (f"old_{table}",))
        if (row := old.fetchone()) is not None:
            con.execute("delete from sqlite_sequence where name = ?", (table,))
            con.execute("insert into sqlite_sequence (name, seq) values (?, ?)", (table, row[0]))
    for name in _OLD:
        con.execute(f"drop table old_{name}")


def from_2_to_3(con: sqlite3.Connection, folder: Path) -> None:
    """Add the tables of labels and of derived arrays."""
    for statement in TABLES_3.split(";"):
        if statement.strip():
            con.execute(statement)
    con.execute("update meta set value = value + 1 where name = 'commit'")


def _tracks(con: sqlite3.Connection) -> None:
    con.execute(
        f'insert into tracks (id, {tracks.COLUMNS}, "check") '  # noqa: S608
        f"select id, {tracks.COLUMNS}, 0 from old_tracks"
    )
    con.execute("insert into tags select track, name, value, 0 from old_tags")
    for track, path, title, artist in con.execute(
        "select id, path, title, artist from tracks order by id"
    ).fetchall():
        tags = dict(con.execute("select name, value from tags where track = ?", (track,)))
        text.put_words(con, track, text.document(path, title, artist, tags))
        con.execute(
            'update tracks set "check" = ? where id = ?', (tracks.track_check(con, track), track)
        )
    for values in con.execute("select path, size, mtime_ns, error from old_failures").fetchall():
        con.execute("insert into failures values (?, ?, ?, ?, ?)", (*values, row_check(*values)))


def _encoders(con: sqlite3.Connection) -> None:
    for id_, name, spec, next_key in con.execute(
        "select id, name, spec, next_key from old_encoders"
    ).fetchall():
        con.execute(
            "insert into encoders values (?, ?, ?, ?, 'auto', ?)",
            (id_, name, spec, next_key, row_check(name, spec)),
        )
    for encoder, *values in con.execute(
        "select encoder, name, dtype, shape, data from old_states"
    ).fetchall():
        con.execute(
            "insert into states values (?, ?, ?, ?, ?, ?)", (encoder, *values, row_check(*values))
        )
    for id_, *values in con.execute(
        "select id, encoder, 'rows', first_key, rows, crc, file from old_shards"
    ).fetchall():
        con.execute(
            "insert into shards values (?, ?, ?, ?, ?, ?, ?, ?)",
            (id_, *values, row_check(*values)),
        )


def _rows(con: sqlite3.Connection, folder: Path) -> None:
    import json

    for encoder, spec_text in con.execute("select id, spec from encoders").fetchall():
        spec = EncoderSpec.from_json(json.loads(spec_text)).rows
        data = _all_rows(con, folder, encoder, spec.numpy_dtype, spec.width)
        for (track,) in con.execute(
            "select distinct track from old_segments where encoder = ? order by key", (encoder,)
        ).fetchall():
            found = con.execute(
                'select key, start, "end" from old_segments where encoder = ? and track = ? '
                "order by key",
                (encoder, track),
            ).fetchall()
            first, count = int(found[0][0]), len(found)
            times = pack_times(np.array(found, np.float64)[:, 1:])
            values = (track, encoder, first, count, times, crc(data[first : first + count]), 0)
            con.execute(
                "insert into spans values (?, ?, ?, ?, ?, ?, ?, ?)", (*values, row_check(*values))
            )
        con.execute(
            "insert into dead select encoder, min(key), count(*) from ("
            "select encoder, key, key - row_number() over (order by key) as run from old_dead "
            "where encoder = ?) group by run",
            (encoder,),
        )


def _all_rows(
    con: sqlite3.Connection, folder: Path, encoder: int, dtype: np.dtype[np.generic], width: int
) -> AnyArray:
    parts: list[AnyArray] = [np.zeros((0, width), dtype)]
    for file, rows in con.execute(
        "select file, rows from old_shards where encoder = ? order by first_key", (encoder,)
    ):
        parts.append(np.fromfile(folder / file, dtype, count=rows * width).reshape(-1, width))
    return np.concatenate(parts)
