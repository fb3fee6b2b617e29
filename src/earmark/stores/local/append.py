"""Appending rows to shards, and cleaning up after an interrupted writer.

Rows are buffered, written when the buffer is full, and counted in the catalog's open transaction;
nothing is durable before `flush(durable=True)`, nothing visible before the transaction commits.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np

from earmark.errors import DamagedLibrary
from earmark.stores.local.catalog import REFINE, ROWS, Space
from earmark.stores.local.codec import row_check
from earmark.stores.local.doors import byte_view, crc
from earmark.stores.local.files import FileLayer
from earmark.stores.local.shards import SHARD_ROWS
from earmark.types import AnyArray, RowSpec

VECTORS, INDEXES = "vectors", "indexes"
_BUFFER_BYTES = 8 << 20


@dataclass
class _Shard:
    """The shard at the end of a series: what is written of it, and what is not yet."""

    file: str
    first_key: int
    rows: int
    crc: int
    new: bool
    pending: list[AnyArray] = field(default_factory=list)
    pending_rows: int = 0


class Appender:
    """The ends of all shard series of a library, within one transaction."""

    def __init__(self, con: sqlite3.Connection, folder: Path, files: FileLayer) -> None:
        self._con = con
        self._folder = folder
        self._files = files
        self.reset()

    def reset(self) -> None:
        """Forget all that is not in the catalog: the transaction was ended."""
        self._ends: dict[tuple[int, str], _Shard] = {}
        self._next: dict[int, int] = {}
        self._unsynced: set[str] = set()
        self._sealed: set[tuple[int, str]] = set()
        self._new_files = False
        self._buffered = 0

    def forget(self, encoder: int) -> None:
        """Drop what is known of an encoder that is no more."""
        self._next.pop(encoder, None)
        for form in (ROWS, REFINE):
            self._ends.pop((encoder, form), None)

    def append(self, encoder: int, rows: AnyArray, refine: AnyArray | None) -> int:
        """Append checked rows of one track (and of the second form); return the first key."""
        first = self._next_key(encoder)
        self._extend(encoder, ROWS, first, rows)
        if refine is not None:
            self._extend(encoder, REFINE, first, refine)
        self._next[encoder] = first + len(rows)
        self._buffered += rows.nbytes + (refine.nbytes if refine is not None else 0)
        if self._buffered > _BUFFER_BYTES:
            self.flush(durable=False)
        return first

    def begin_generation(self, encoder: int) -> int:
        """Make the next rows begin a new shard; return their first key."""
        self.flush(durable=False)
        for form in (ROWS, REFINE):
            self._ends.pop((encoder, form), None)
            self._sealed.add((encoder, form))
        return self._next_key(encoder)

    def _next_key(self, encoder: int) -> int:
        if encoder not in self._next:
            row = self._con.execute(
                "select next_key from encoders where id = ?", (encoder,)
            ).fetchone()
            self._next[encoder] = int(row[0])
        return self._next[encoder]

    def _extend(self, encoder: int, form: str, first: int, rows: AnyArray) -> None:
        done = 0
        while done < len(rows):
            shard = self._end(encoder, form, first + done, rows.itemsize * rows.shape[1])
            room = SHARD_ROWS - shard.rows - shard.pending_rows
            some = rows[done : done + room]
            shard.pending.append(some)
            shard.pending_rows += len(some)
            done += len(some)

    def _end(self, encoder: int, form: str, key: int, nbytes: int) -> _Shard:
        """Return the shard that takes the row of this key."""
        shard = self._ends.get((encoder, form)) or self._load_end(encoder, form, nbytes, key)
        if shard is None or shard.rows + shard.pending_rows >= SHARD_ROWS:
            if shard is not None:
                self._write(encoder, form, shard)
            shard = self._new_shard(encoder, form, key)
        self._ends[encoder, form] = shard
        return shard

    def _load_end(self, encoder: int, form: str, nbytes: int, key: int) -> _Shard | None:
        if (encoder, form) in self._sealed:
            self._sealed.discard((encoder, form))
            return None
        row = self._con.execute(
            "select file, first_key, rows, crc from shards where encoder = ? and form = ? "
            "order by first_key desc limit 1",
            (encoder, form),
        ).fetchone()
        if row is None or row[1] + row[2] != key:
            return None
        path = self._folder / row[0]
        if not path.is_file() or path.stat().st_size < row[2] * nbytes:
            return None  # damaged: `verify` names it, new rows go elsewhere
        file, first, rows, check = row
        return _Shard(file, first, rows, check, new=False)

    def _new_shard(self, encoder: int, form: str, key: int) -> _Shard:
        name = self._con.execute("select name from encoders where id = ?", (encoder,)).fetchone()[0]
        file = f"{VECTORS}/{name}/{uuid4().hex}.{form}"
        values = (encoder, form, key, 0, 0, file)
        self._con.execute(
            'insert into shards (encoder, form, first_key, rows, crc, file, "check") '
            "values (?, ?, ?, ?, ?, ?, ?)",
            (*values, row_check(*values)),
        )
        return _Shard(file, key, 0, 0, new=True)

    def _write(self, encoder: int, form: str, shard: _Shard) -> None:
        if not shard.pending_rows:
            return
        data = np.concatenate(shard.pending)
        nbytes = data.itemsize * data.shape[1]
        path = self._folder / shard.file
        if shard.new:
            self._files.make_folder(path.parent)
            self._new_files = True
        self._files.write_at(path, shard.rows * nbytes, byte_view(data))
        self._files.reached("rows partly written")
        self._unsynced.add(shard.file)
        shard.rows += len(data)
        shard.crc = crc(data, shard.crc)
        shard.new, shard.pending, shard.pending_rows = False, [], 0
        values = (encoder, form, shard.first_key, shard.rows, shard.crc, shard.file)
        self._con.execute(
            'update shards set rows = ?, crc = ?, "check" = ? where file = ?',
            (shard.rows, shard.crc, row_check(*values), shard.file),
        )

    def flush(self, *, durable: bool) -> None:
        """Write all that is buffered and count it in the transaction; with `durable`, sync."""
        for (encoder, form), shard in self._ends.items():
            self._write(encoder, form, shard)
        self._con.executemany(
            "update encoders set next_key = ? where id = ?",
            [(key, encoder) for encoder, key in self._next.items()],
        )
        self._buffered = 0
        if not durable:
            return
        for file in sorted(self._unsynced):
            self._files.sync(self._folder / file)
        if self._new_files:
            for parent in sorted({(self._folder / file).parent for file in self._unsynced}):
                self._files.sync_folder(parent)
        self._unsynced.clear()
        self._new_files = False

    def read(self, encoder: int, form: str, spec: RowSpec, first: int, count: int) -> AnyArray:
        """Return rows of this transaction's state, shape (count, spec.width).

        Raises
        ------
        DamagedLibrary
            If a shard does not hold them.
        """
        self.flush(durable=False)
        parts = [np.empty((0, spec.width), spec.numpy_dtype)]
        for file, begin, rows in self._con.execute(
            "select file, first_key, rows from shards where encoder = ? and form = ? "
            "and first_key < ? and first_key + rows > ? order by first_key",
            (encoder, form, first + count, first),
        ):
            low, high = max(begin, first), min(begin + rows, first + count)
            path = self._folder / file
            if path.is_file():
                values = np.fromfile(
                    path,
                    spec.numpy_dtype,
                    count=(high - low) * spec.width,
                    offset=(low - begin) * spec.nbytes,
                )
                parts.append(
                    values[: len(values) // spec.width * spec.width].reshape(-1, spec.width)
                )
        found = np.concatenate(parts)
        if len(found) != count:
            raise DamagedLibrary(
                f"the shards must hold rows {first} to {first + count} of the encoder, "
                f"but {count - len(found)} of them are missing",
                hint="see what is affected: earmark verify",
            )
        return found


def clean_up(
    con: sqlite3.Connection, spaces: dict[str, Space], folder: Path, files: FileLayer
) -> None:
    """Cut shards to their committed rows and remove files that the catalog does not name.

    Only ever called by the holder of the writer lock.
    """
    for space in spaces.values():
        for shard in (*space.shards, *space.refine_shards):
            spec = space.spec.rows if shard.form == ROWS else space.spec.refine
            path = folder / shard.file
            size = shard.rows * spec.nbytes if spec else 0
            if path.is_file() and path.stat().st_size > size:
                files.truncate(path, size)
    remove_unnamed(con, folder, files)


def remove_unnamed(con: sqlite3.Connection, folder: Path, files: FileLayer) -> int:
    """Remove files that the catalog (as this connection sees it) does not name; return bytes."""
    named = {
        row[0] for row in con.execute("select file from shards union select file from indexes")
    }
    won = 0
    for path in [*(folder / VECTORS).glob("*/*"), *(folder / INDEXES).glob("*")]:
        if path.relative_to(folder).as_posix() not in named:
            won += files.remove(path)
    return won
