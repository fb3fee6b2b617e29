"""Reading the catalog: connections, transactions, snapshots, tracks.

A read happens inside one SQLite read transaction, which is the snapshot.  What searching needs of
it (encoders, shards, tombstones, indexes) is kept as a frozen `Snapshot` until the commit counter
moves.  SQLite connections belong to one thread each.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from earmark.errors import DamagedLibrary, EarmarkError, UnknownEncoder, nearest
from earmark.stores.local.files import damaged_catalog, disk_errors
from earmark.stores.local.schema import CATALOG
from earmark.types import EncoderSpec, Int64Array

ROWS, REFINE = "rows", "refine"


@dataclass(frozen=True)
class ShardRow:
    """A shard file: rows ``[first_key, first_key + rows)`` of one form of one encoder."""

    id: int
    form: str
    first_key: int
    rows: int
    crc: int
    file: str


@dataclass(frozen=True)
class IndexRow:
    """A derived index over the keys ``[first_key, first_key + rows)``."""

    id: int
    kind: str
    file: str
    first_key: int
    rows: int
    crc: int
    size: int
    params: dict[str, float]


@dataclass(frozen=True)
class Space:
    """All that searching one encoder's rows needs to know of the catalog.

    `dead_first` and `dead_rows` are the tombstoned ranges, ascending and disjoint; `moved` the
    key ranges that the last compaction replaced, shape (n, 3): first, rows, to.
    """

    id: int
    spec: EncoderSpec
    next_key: int
    index_kind: str
    shards: tuple[ShardRow, ...]
    refine_shards: tuple[ShardRow, ...]
    indexes: tuple[IndexRow, ...]
    dead_first: Int64Array
    dead_rows: Int64Array
    moved: Int64Array

    @property
    def first_key(self) -> int:
        """The least key that has a row."""
        return self.shards[0].first_key if self.shards else self.next_key

    @property
    def live(self) -> int:
        """Number of live rows."""
        return self.next_key - self.first_key - int(self.dead_rows.sum())

    def live_ranges(self) -> tuple[Int64Array, Int64Array]:
        """Return first keys and lengths of the ranges of live rows, ascending."""
        ends = np.append(self.dead_first, self.next_key)
        starts = np.insert(self.dead_first + self.dead_rows, 0, self.first_key)
        keep = ends > starts
        return starts[keep], (ends - starts)[keep]

    def is_live(self, keys: Int64Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Say for each key whether it has a live row."""
        inside = (keys >= self.first_key) & (keys < self.next_key)
        if len(self.dead_first):
            at = np.searchsorted(self.dead_first, keys, side="right") - 1
            dead_end = self.dead_first[at] + self.dead_rows[at]
            inside &= (at < 0) | (keys >= dead_end)
        return inside

    def follow(self, keys: Int64Array) -> Int64Array:
        """Return keys as they are now: those from before the last compaction are translated."""
        if not len(self.moved) or not len(keys) or int(keys.min()) >= self.first_key:
            return keys
        at = np.searchsorted(self.moved[:, 0], keys, side="right") - 1
        first, rows, to = self.moved[at].T
        hit = (at >= 0) & (keys < first + rows) & (keys < self.first_key)
        return np.where(hit, keys - first + to, keys)


@dataclass(frozen=True)
class Snapshot:
    """The state after one commit."""

    commit: int
    spaces: dict[str, Space] = field(default_factory=dict)

    def space(self, name: str) -> Space:
        """Return an encoder's space.  Raises `UnknownEncoder`."""
        try:
            return self.spaces[name]
        except KeyError:
            known = ", ".join(sorted(self.spaces)) or "none yet"
            raise UnknownEncoder(
                f"the library must have rows of the encoder, but has none of {name!r}",
                hint=nearest(name, self.spaces) or f"encoders of this library: {known}",
            ) from None


class _Reader:
    """The connection of a thread; closed when the thread ends, and its locals with it."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self.con = con

    def __del__(self) -> None:
        self.con.close()


class Catalog:
    """Connections to one `catalog.sqlite`, one per thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._snapshot: Snapshot | None = None
        self._closed = False

    def connect(self, *, write: bool = False) -> sqlite3.Connection:
        """Open a connection; the caller closes it."""
        if write:
            con = _connect(self.folder, "mode=rw")
            con.execute("pragma synchronous = full")
            return con
        return _connect_reader(self.folder)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            for reader in list(self._open):
                reader.con.close()
            self._open.clear()
        self._local = threading.local()

    def _reader(self) -> sqlite3.Connection:
        reader: _Reader | None = getattr(self._local, "reader", None)
        return reader.con if reader is not None else self._new_reader()

    def _new_reader(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise EarmarkError("the library is closed; open it again to read from it")
            reader = _Reader(self.connect())
            self._open.add(reader)
        self._local.reader = reader
        return reader.con

    @contextmanager
    def read(self) -> Iterator[tuple[sqlite3.Connection, Snapshot]]:
        """Begin a read transaction; nested reads on one thread share the outermost one."""
        con = self._reader()
        with disk_errors(self.folder), value_errors(self.folder):
            if con.in_transaction:
                yield con, self._local.snapshot
                return
            con.execute("begin")
            try:
                self._local.snapshot = self._load(con)
                yield con, self._local.snapshot
            finally:
                con.rollback()

    def renew(self) -> None:
        """Let a read that this thread is in go on with the latest snapshot."""
        con = self._reader()
        if con.in_transaction:
            con.rollback()
            con.execute("begin")
            self._local.snapshot = self._load(con)

    def _load(self, con: sqlite3.Connection) -> Snapshot:
        try:
            commit = commit_number(con)
            snapshot = self._snapshot
            if snapshot is None or snapshot.commit != commit:
                snapshot = load_snapshot(con, commit)
                self._snapshot = snapshot
        except (ValueError, TypeError, KeyError) as error:  # values that no writer wrote
            raise damaged_catalog(self.folder, error) from error
        return snapshot


@contextmanager
def value_errors(folder: Path) -> Iterator[None]:
    """Turn what damaged catalog rows cause into `DamagedLibrary`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" in str(error) or "malformed" in str(error):
            raise damaged_catalog(folder, error) from error
        raise
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise damaged_catalog(folder, error) from error


def _connect(folder: Path, options: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(folder / CATALOG), errors='surrogateescape')}?{options}"
    con = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=30.0, check_same_thread=False
    )
    try:
        con.execute("pragma busy_timeout = 30000")
    except sqlite3.DatabaseError:
        con.close()
        raise
    return con


def _connect_reader(folder: Path) -> sqlite3.Connection:
    """Open for reading: shared memory beside the catalog where possible, else none of it."""
    error: sqlite3.OperationalError | None = None
    for options in ("mode=rw", "mode=ro", "immutable=1"):
        if options == "immutable=1" and _has_pending(folder):
            break
        try:
            con = _connect(folder, options)
            try:
                con.execute("pragma query_only = 1")
                con.execute("select 1 from sqlite_master limit 1").fetchone()
            except sqlite3.DatabaseError:
                con.close()
                raise
            return con
        except sqlite3.OperationalError as failed:
            if "locked" in str(failed) or "malformed" in str(failed):
                raise
            error = failed
    raise DamagedLibrary(
        f"the catalog in {folder} cannot be opened for reading: {error}",
        hint="a writer left commits in catalog.sqlite-wal that a read-only folder cannot take in: "
        "open the library once where it can be written",
    )


def _has_pending(folder: Path) -> bool:
    wal = folder / f"{CATALOG}-wal"
    return wal.exists() and wal.stat().st_size > 0


def commit_number(con: sqlite3.Connection) -> int:
    """Return the number of the last commit.  Raises ValueError if there is none."""
    row = con.execute("select value from meta where name = 'commit'").fetchone()
    if row is None or not isinstance(row[0], int):
        raise ValueError("the commit counter is not a number")
    return row[0]


def load_snapshot(con: sqlite3.Connection, commit: int) -> Snapshot:
    """Read the tables that searching needs."""
    spaces = {}
    found = con.execute("select id, name, spec, next_key, index_kind from encoders order by name")
    for encoder, name, spec, next_key, index_kind in found.fetchall():
        shards = [
            ShardRow(*row)
            for row in con.execute(
                "select id, form, first_key, rows, crc, file from shards where encoder = ? "
                "order by first_key",
                (encoder,),
            )
        ]
        indexes = [
            IndexRow(id_, kind, file, first, rows, crc, size, json.loads(params))
            for id_, kind, file, first, rows, crc, size, params in con.execute(
                "select id, kind, file, first_key, rows, crc, size, params from indexes "
                "where encoder = ? order by id desc",
                (encoder,),
            )
        ]
        dead = _int_table(con, "select first_key, rows from dead", encoder, 2)
        spaces[name] = Space(
            id=encoder,
            spec=EncoderSpec.from_json(json.loads(spec)),
            next_key=next_key,
            index_kind=index_kind,
            shards=tuple(s for s in shards if s.form == ROWS),
            refine_shards=tuple(s for s in shards if s.form == REFINE),
            indexes=tuple(indexes),
            dead_first=np.ascontiguousarray(dead[:, 0]),
            dead_rows=np.ascontiguousarray(dead[:, 1]),
            moved=_int_table(con, "select first_key, rows, to_key from moved", encoder, 3),
        )
    return Snapshot(commit, spaces)


def _int_table(con: sqlite3.Connection, select: str, encoder: int, width: int) -> Int64Array:
    rows = con.execute(f"{select} where encoder = ? order by first_key", (encoder,)).fetchall()
    return np.array(rows, np.int64).reshape(-1, width)
