"""Checks of all that is stored: the catalog's structure, its rows, the shards, the indexes.

Every check ends in a list of `Damage`; none raises for damage.  Where a shard does not have its
CRC, the CRCs of the spans say which tracks are affected; if none is, the damage lies in dead rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from earmark.errors import DamagedLibrary
from earmark.stores.local import text, tracks
from earmark.stores.local.care import View
from earmark.stores.local.catalog import REFINE, ROWS, ShardRow, Space
from earmark.stores.local.codec import row_check
from earmark.stores.local.doors import crc
from earmark.stores.local.files import file_crc
from earmark.stores.local.indexes import KINDS, fault
from earmark.stores.local.shards import Vanished
from earmark.types import AnyArray, Damage, Int64Array, RowSpec

_REDO = "index the files of these tracks again"
_DERIVE = "rebuild makes it anew"
_LOST = "restore the catalog from a backup, or index anew into another folder"
_BAD_VALUES = (sqlite3.DatabaseError, ValueError, TypeError, OverflowError, DamagedLibrary)


def check_catalog(con: sqlite3.Connection) -> list[Damage]:
    """Check the catalog's structure and rows."""
    found: list[Damage] = []
    checks: list[Callable[[sqlite3.Connection], Iterable[Damage]]] = [
        _structure, _tracks, _orphans, _words, _spans, _encoders, _states,
        _label_names, _plain_tables,
    ]  # fmt: skip
    for check in checks:
        try:
            found += check(con)
        except _BAD_VALUES as error:
            name = check.__name__.strip("_")
            found.append(Damage("catalog", name, f"cannot be read: {error}", mend=_LOST))
    return found


def _structure(con: sqlite3.Connection) -> Iterator[Damage]:
    for (message,) in con.execute("pragma integrity_check(20)").fetchall():
        if message != "ok":
            mend = "rebuild makes the index anew" if " index " in message else _LOST
            yield Damage("catalog", "structure", str(message), mend=mend)


def _tracks(con: sqlite3.Connection) -> Iterator[Damage]:
    tags = con.execute("select track, name, value, own from tags order by track, name")
    pending = tags.fetchone()
    for *row, check in con.execute(
        f'select id, {tracks.COLUMNS}, "check" from tracks order by id'  # noqa: S608
    ):
        mine = []
        while pending is not None and pending[0] <= row[0]:
            if pending[0] == row[0]:
                mine.append(pending[1:])
            pending = tags.fetchone()
        if tracks.tags_check(row, mine) != check:
            reason = "the track's values are not those that were stored"
            yield Damage("catalog", f"track {row[0]}", reason, (int(row[0]),), _REDO)


def _orphans(con: sqlite3.Connection) -> Iterator[Damage]:
    for table in ("tags", "spans", "marks"):
        rows = con.execute(
            f"select distinct track from {table} where track not in (select id from tracks)"  # noqa: S608
        ).fetchall()
        if rows:
            reason = f"{len(rows)} tracks have entries in {table} but do not exist"
            yield Damage("catalog", table, reason, mend=_LOST)


def _words(con: sqlite3.Connection) -> Iterator[Damage]:
    if wrong := wrong_words(con):
        reason = f"the searchable words of {len(wrong)} tracks are not those of their metadata"
        yield Damage("catalog", "words", reason, mend=_DERIVE)


def wrong_words(con: sqlite3.Connection) -> list[int]:
    """Return the tracks whose row of the full text table is not what it should be."""
    wrong = []
    tags: dict[int, dict[str, str | int | float]] = {}
    for track, name, value in con.execute("select track, name, value from tags"):
        tags.setdefault(track, {})[name] = value
    rows = con.execute(
        "select tracks.id, tracks.path, tracks.title, tracks.artist, words.title, words.artist, "
        "words.album, words.genre, words.path, words.tags from tracks "
        "left join words on words.rowid = tracks.id"
    )
    for track, path, title, artist, *words in rows:
        if tuple(words) != text.document(path, title, artist, tags.get(track, {})):
            wrong.append(int(track))
    wrong += [
        int(row[0])
        for row in con.execute("select rowid from words where rowid not in (select id from tracks)")
    ]
    return wrong


def _spans(con: sqlite3.Connection) -> Iterator[Damage]:
    for *values, check in con.execute(
        'select track, encoder, first_key, rows, times, crc, refine_crc, "check" from spans'
    ):
        if row_check(*values) != check:
            name = f"segments of track {values[0]}"
            reason = "the segments' values are not those that were stored"
            yield Damage("catalog", name, reason, (int(values[0]),), _REDO)


def _encoders(con: sqlite3.Connection) -> Iterator[Damage]:
    for name, spec, kind, check in con.execute(
        'select name, spec, index_kind, "check" from encoders'
    ):
        if row_check(name, spec) != check or kind not in KINDS:
            reason = "the encoder's spec is not what was stored"
            yield Damage("catalog", f"encoder {name}", reason, mend=_LOST)


def _states(con: sqlite3.Connection) -> Iterator[Damage]:
    for encoder, *values, check in con.execute(
        'select encoders.name, states.name, dtype, shape, data, states."check" from states '
        "left join encoders on encoders.id = states.encoder"
    ):
        if encoder is None or row_check(*values) != check:
            reason = f"array {values[0]!r} does not have the content that was stored"
            yield Damage("state", str(encoder), reason, mend=f"rebuild --fit {encoder} learns it")


def _label_names(con: sqlite3.Connection) -> Iterator[Damage]:
    if wrong_label_words(con):
        reason = "the searchable words of the labels are not those of their names"
        yield Damage("catalog", "label words", reason, mend=_DERIVE)
    row = con.execute(
        "select count(*) from marks where label not in (select id from labels)"
    ).fetchone()
    if row[0]:
        reason = f"{row[0]} labels of tracks have no name"
        yield Damage("catalog", "labels", reason, mend=_REDO)


def wrong_label_words(con: sqlite3.Connection) -> bool:
    """Say whether the words of the labels are other than their names."""
    names = con.execute("select id, name from labels order by id").fetchall()
    return bool(names != con.execute("select rowid, name from label_words order by 1").fetchall())


def _plain_tables(con: sqlite3.Connection) -> Iterator[Damage]:
    for table, columns, mend in (
        ("failures", "path, size, mtime_ns, error", "index again"),
        ("shards", "encoder, form, first_key, rows, crc, file", _LOST),
        ("marks", "track, encoder, label, score, moments", _REDO),
        ("derived", 'name, "array", dtype, shape, data', "make it anew"),
        ("indexes", "encoder, kind, file, first_key, rows, crc, size, params", _DERIVE),
    ):
        bad = sum(
            row_check(*values) != check
            for *values, check in con.execute(f'select {columns}, "check" from {table}')  # noqa: S608
        )
        if bad:
            reason = f"{bad} rows are not what was stored"
            yield Damage("index" if table == "indexes" else "catalog", table, reason, mend=mend)
    commit = con.execute("select typeof(value) from meta where name = 'commit'").fetchone()
    if commit != ("integer",):
        yield Damage("catalog", "meta", "the commit counter is not a number", mend=_LOST)


def check_space(view: View, space: Space) -> list[Damage]:
    """Check the keys, shards and indexes of one encoder."""
    found = list(_keys(view, space))
    spec = space.spec
    for shards, form, rows in (
        (space.shards, ROWS, spec.rows),
        (space.refine_shards, REFINE, spec.refine),
    ):
        if rows is None:
            continue
        for shard in shards:
            reason = shard_fault(view.folder, shard, rows)
            if reason:
                affected = damaged_tracks(view, space, shard, form, rows)
                mend = _REDO if affected else "rebuild leaves out the dead rows that are damaged"
                found.append(Damage("shard", shard.file, reason, affected, mend))
    for index in space.indexes:
        if reason := fault(view.folder, index.file, index.size, index.crc):
            found.append(Damage("index", index.file, reason, mend=_DERIVE))
    return found


def _keys(view: View, space: Space) -> Iterator[Damage]:
    """Every key of the shards must belong to exactly one span or dead range."""
    name = f"keys of {space.spec.name}"
    table = view.searcher.spans.table(view.con, view.snapshot, space)
    first = np.concatenate([table.first, space.dead_first])
    rows = np.concatenate([table.rows, space.dead_rows])
    order = np.argsort(first)
    if not _tiles(first[order], rows[order], space.first_key, space.next_key):
        yield Damage("catalog", name, "spans and dead ranges do not tile the keys", mend=_LOST)
    for shards in (space.shards, space.refine_shards):
        if not shards:
            continue
        begins = np.array([s.first_key for s in shards])
        counts = np.array([s.rows for s in shards])
        if not _tiles(begins, counts, space.first_key, space.next_key):
            yield Damage("catalog", name, "the shards do not tile the keys", mend=_LOST)


def _tiles(first: Int64Array, rows: Int64Array, begin: int, end: int) -> bool:
    if not len(first):
        return begin == end
    joined = bool((first[1:] == first[:-1] + rows[:-1]).all())
    return joined and int(first[0]) == begin and int(first[-1] + rows[-1]) == end


def shard_fault(folder: Path, shard: ShardRow, spec: RowSpec) -> str:
    """Return what is wrong with a shard's file, or an empty text."""
    path, size = folder / shard.file, shard.rows * spec.nbytes
    if not path.is_file():
        return "the file is missing"
    if path.stat().st_size < size:
        return f"the file is cut off: {path.stat().st_size} of {size} bytes"
    if file_crc(path, size) != shard.crc:
        return "the rows are not those that were stored"
    return ""


def damaged_tracks(
    view: View, space: Space, shard: ShardRow, form: str, spec: RowSpec
) -> tuple[int, ...]:
    """Return the tracks whose rows in a shard are not those that were stored."""
    column = "crc" if form == ROWS else "refine_crc"
    end = shard.first_key + shard.rows
    affected = []
    for track, first, rows, wanted in view.con.execute(
        f"select track, first_key, rows, {column} from spans where encoder = ? and rows > 0 "  # noqa: S608
        "and first_key < ? and first_key + rows > ? order by first_key",
        (space.id, end, shard.first_key),
    ):
        stored = read_span(view, space, form, spec, int(first), int(rows))
        if stored is None or crc(stored) != wanted:
            affected.append(int(track))
    return tuple(sorted(set(affected)))


def read_span(
    view: View, space: Space, form: str, spec: RowSpec, first: int, rows: int
) -> AnyArray | None:
    """Return the stored rows of a span, or None if their shard cannot be read."""
    shards = space.shards if form == ROWS else space.refine_shards
    try:
        return view.searcher.maps.gather(shards, spec, np.arange(first, first + rows))
    except (DamagedLibrary, Vanished):
        return None
