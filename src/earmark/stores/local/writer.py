"""The writer: how a commit survives a crash.

All catalog changes between two commits are one SQLite transaction; rows go to the ends of shards.
`commit` writes the rows at the committed offsets, syncs the shards (and their folder, for new
files), and then commits the transaction: the only point at which anything becomes visible.  A
crash before it leaves bytes past the committed counts and files that no row of the catalog names;
the next writer cuts and removes them.  Files that a commit replaced are removed after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from earmark.errors import DamagedLibrary, EarmarkError, StorageFull, TrackNotFound, UnknownEncoder
from earmark.stores.local import append, labels, text, tracks
from earmark.stores.local.append import Appender
from earmark.stores.local.catalog import REFINE, ROWS, Catalog, load_snapshot
from earmark.stores.local.codec import (
    json_text,
    pack_array,
    pack_times,
    path_value,
    row_check,
)
from earmark.stores.local.doors import check_encoded, check_spec, crc
from earmark.stores.local.entries import bury, count_commit, put_span
from earmark.stores.local.files import FileLayer, disk_errors
from earmark.types import AnyArray, Encoded, EncoderSpec, Scalar, State, TrackRecord

_DISPLACED = b"\0displaced/"


@dataclass(frozen=True)
class _Space:
    id: int
    spec: EncoderSpec


class LocalWriter:
    """Changes to a local store; see `earmark.types.Writer` for the contract.

    Tags set with `set_tags` are the user's own: they survive `put_track` and win over the file's.
    """

    def __init__(self, catalog: Catalog, files: FileLayer) -> None:
        self._files = files
        self._folder = catalog.folder
        self._replaced = False
        with disk_errors(self._folder):
            self._con = catalog.connect(write=True)
            self._appender = Appender(self._con, self._folder, files)
            self._begin()
            self._clean_up()

    # --- transaction ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._con.execute("begin immediate")
        self._appender.reset()
        self._stored = load_snapshot(self._con, 0).spaces
        self._spaces = {n: _Space(s.id, s.spec) for n, s in self._stored.items()}

    def _clean_up(self) -> None:
        append.clean_up(self._con, self._stored, self._folder, self._files)

    def _restart(self) -> None:
        if self._con.in_transaction:
            self._con.execute("rollback")
        self._begin()

    def commit(self) -> None:
        """Make all changes since the last commit visible and durable, as one.

        After an error (a full disk) all changes since the last commit are dropped.
        """
        try:
            with disk_errors(self._folder):
                self._remove_displaced()
                self._appender.flush(durable=True)
                self._files.reached("rows written")
                count_commit(self._con)
                self._con.execute("commit")
        except BaseException:
            self._restart()
            raise
        self._files.reached("committed")
        self._begin()
        if self._replaced:
            append.remove_unnamed(self._con, self._folder, self._files)
            self._replaced = False

    def close(self) -> None:
        """Drop what was not committed."""
        try:
            if not self._con.in_transaction:
                return
            self._restart()
            self._clean_up()
            self._con.execute("rollback")
        finally:
            self._con.close()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """One change as a whole.

        An error of ours undoes the step alone: it is raised before the step appends any row.
        Anything else (a full disk, an interrupt) drops all since the last commit.
        """
        try:
            with disk_errors(self._folder):
                self._con.execute("savepoint step")
                yield
                self._con.execute("release step")
        except EarmarkError as error:
            if isinstance(error, StorageFull):
                self._restart()
            else:
                self._con.execute("rollback to step")
                self._con.execute("release step")
            raise
        except BaseException:
            self._restart()
            raise

    # --- encoders ------------------------------------------------------------------------------

    def put_encoder(self, spec: EncoderSpec, state: State) -> None:
        """Declare an encoder; see `earmark.types.Writer.put_encoder`."""
        check_spec(spec)
        if (present := self._spaces.get(spec.name)) is not None:
            present.spec.check_same(EncoderSpec.from_json(_plain(spec)))
            return
        packed = {name: pack_array(name, array) for name, array in state.items()}
        with self._step():
            text_ = json_text(spec.to_json())
            cursor = self._con.execute(
                'insert into encoders (name, spec, next_key, index_kind, "check") '
                "values (?, ?, 0, 'auto', ?)",
                (spec.name, text_, row_check(spec.name, text_)),
            )
            encoder = int(cursor.lastrowid or 0)
            self._con.executemany(
                "insert into states values (?, ?, ?, ?, ?, ?)",
                [(encoder, n, *values, row_check(n, *values)) for n, values in packed.items()],
            )
        self._spaces[spec.name] = _Space(encoder, EncoderSpec.from_json(_plain(spec)))

    def replace_encoder(self, spec: EncoderSpec, state: State) -> None:
        """Drop all rows of the encoder of this name and declare the new one, at `commit`."""
        check_spec(spec)
        with self._step():
            if spec.name in self._spaces:
                self.drop_encoder(spec.name)
            self.put_encoder(spec, state)

    def drop_encoder(self, name: str) -> None:
        """Drop an encoder and all its rows."""
        space = self._space(name)
        with self._step():
            for table in ("states", "shards", "spans", "marks", "dead", "moved", "indexes"):
                self._con.execute(f"delete from {table} where encoder = ?", (space.id,))  # noqa: S608
            self._con.execute("delete from encoders where id = ?", (space.id,))
            self._appender.forget(space.id)
        self._replaced = True
        del self._spaces[name]

    def _space(self, name: str) -> _Space:
        if name not in self._spaces:
            raise UnknownEncoder(
                f"an encoder must be declared before its rows are stored, but {name!r} is not",
                hint="call put_encoder first",
            )
        return self._spaces[name]

    # --- tracks --------------------------------------------------------------------------------

    def put_track(self, record: TrackRecord, encoded: Mapping[str, Encoded]) -> int:
        """Add or replace a track; see `earmark.types.Writer.put_track`."""
        checked = {
            name: check_encoded(name, self._space(name).spec, rows)
            for name, rows in encoded.items()
        }
        for name, given in encoded.items():
            labels.check_labels(name, given.labels)
        with self._step():
            track = self._put_record(record)
            for name, (rows, refine) in checked.items():
                times = pack_times(encoded[name].segments)
                self._put_span(track, self._spaces[name].id, rows, refine, times)
                labels.put(self._con, track, self._spaces[name].id, encoded[name].labels)
        return track

    def copy_track(self, record: TrackRecord, source: int, encoders: Iterable[str]) -> int:
        """Add a track with the rows of another, as far as that has them."""
        self._require(source)
        with self._step():
            copies = []
            for name in encoders:
                space = self._space(name)
                if self._has_span(source, space.id):
                    copies.append((space.id, *self._read_span(space, source)))
            track = self._put_record(record)
            for encoder, rows, refine, times in copies:
                self._put_span(track, encoder, rows, refine, times)
                if track != source:
                    labels.copy(self._con, source, track, encoder)
        return track

    def move_track(self, track: int, record: TrackRecord) -> None:
        """Give a track another path, size, time and tags.

        A track that is at that path already is removed at `commit`, unless it is moved elsewhere
        before: so two files may swap their names.
        """
        self._require(track)
        with self._step():
            other = tracks.find_path(self._con, record.path)
            if other is not None and other != track:
                self._con.execute(
                    "update tracks set path = ? where id = ?",
                    (_DISPLACED + str(other).encode(), other),
                )
            self._write_record(track, record)

    def set_tags(self, track: int, tags: Mapping[str, Scalar | None]) -> None:
        """Set the user's own tags; None removes one."""
        self._require(track)
        with self._step():
            for name, value in tags.items():
                key = (track, tracks.clean_text(name))
                self._con.execute("delete from tags where track = ? and name = ?", key)
                if value is not None:
                    self._con.execute(
                        "insert into tags values (?, ?, ?, 1)", (*key, tracks.clean_value(value))
                    )
            self._finish_record(track)

    def remove_tracks(self, ids: Iterable[int]) -> None:
        """Remove tracks with their rows.  Raises `TrackNotFound`, then none is removed."""
        ids = [int(i) for i in ids]
        for track in ids:
            self._require(track)
        with self._step():
            for track in dict.fromkeys(ids):
                self._remove(track)

    def _remove(self, track: int) -> None:
        self._drop_spans(track)
        self._con.execute("delete from tags where track = ?", (track,))
        self._con.execute("delete from words where rowid = ?", (track,))
        self._con.execute("delete from tracks where id = ?", (track,))

    def _require(self, track: int) -> None:
        if not self._con.execute("select 1 from tracks where id = ?", (int(track),)).fetchone():
            raise TrackNotFound(f"the library has no track {track}")

    def _put_record(self, record: TrackRecord) -> int:
        row = self._con.execute(
            "select id, content_hash from tracks where path = ?", (path_value(record.path),)
        ).fetchone()
        if row is None:
            cursor = self._con.execute(
                f'insert into tracks ({tracks.COLUMNS}, "check") '  # noqa: S608
                f"values ({tracks.marks(tracks.record_values(record))}, 0)",
                tracks.record_values(record),
            )
            track = int(cursor.lastrowid or 0)
        else:
            track = int(row[0])
            if row[1] != record.content_hash:
                self._drop_spans(track)
        self._write_record(track, record)
        return track

    def _write_record(self, track: int, record: TrackRecord) -> None:
        columns = tracks.COLUMNS.replace(", ", " = ?, ") + " = ?"
        self._con.execute(
            f"update tracks set {columns} where id = ?",  # noqa: S608
            (*tracks.record_values(record), track),
        )
        self._con.execute("delete from tags where track = ? and own = 0", (track,))
        self._con.executemany(
            "insert or ignore into tags values (?, ?, ?, 0)",
            [
                (track, tracks.clean_text(name), tracks.clean_value(value))
                for name, value in record.tags.items()
            ],
        )
        self._con.execute("delete from failures where path = ?", (path_value(record.path),))
        self._finish_record(track)

    def _finish_record(self, track: int) -> None:
        """Bring the words and the check of a track up to date."""
        path, title, artist = self._con.execute(
            "select path, title, artist from tracks where id = ?", (track,)
        ).fetchone()
        tags = dict(self._con.execute("select name, value from tags where track = ?", (track,)))
        text.put_words(self._con, track, text.document(path, title, artist, tags))
        self._con.execute(
            'update tracks set "check" = ? where id = ?',
            (tracks.track_check(self._con, track), track),
        )

    def _remove_displaced(self) -> None:
        rows = self._con.execute(
            "select id from tracks where path >= ? and path < ?",
            (_DISPLACED, _DISPLACED[:-1] + b"\xff"),
        ).fetchall()
        for (track,) in rows:
            self._remove(track)

    # --- rows ----------------------------------------------------------------------------------

    def _put_span(
        self, track: int, encoder: int, rows: AnyArray, refine: AnyArray | None, times: bytes
    ) -> None:
        self._drop_spans(track, encoder)
        first = self._appender.append(encoder, rows, refine)
        refine_crc = 0 if refine is None else crc(refine)
        put_span(self._con, track, encoder, first, len(rows), times, crc(rows), refine_crc)

    def _has_span(self, track: int, encoder: int) -> bool:
        key = (track, encoder)
        where = "where track = ? and encoder = ?"
        row = self._con.execute(f"select 1 from spans {where}", key).fetchone()  # noqa: S608
        return row is not None

    def _read_span(self, space: _Space, track: int) -> tuple[AnyArray, AnyArray | None, bytes]:
        first, count, times, rows_crc, refine_crc = self._con.execute(
            "select first_key, rows, times, crc, refine_crc from spans "
            "where track = ? and encoder = ?",
            (track, space.id),
        ).fetchone()
        rows = self._appender.read(space.id, ROWS, space.spec.rows, first, count)
        refine = None
        if space.spec.refine is not None:
            refine = self._appender.read(space.id, REFINE, space.spec.refine, first, count)
        if crc(rows) != rows_crc or (refine is not None and crc(refine) != refine_crc):
            raise DamagedLibrary(
                f"rows are copied only if they are sound, but those of track {track} are not",
                hint="see what is affected: earmark verify",
            )
        return rows, refine, times

    def _drop_spans(self, track: int, encoder: int | None = None) -> None:
        which, values = "track = ?", [track]
        if encoder is not None:
            which, values = "track = ? and encoder = ?", [track, encoder]
        spans = self._con.execute(
            f"select encoder, first_key, rows from spans where {which}",  # noqa: S608
            values,
        ).fetchall()
        for span in spans:
            bury(self._con, *span)
        self._con.execute(f"delete from spans where {which}", values)  # noqa: S608
        self._con.execute(f"delete from marks where {which}", values)  # noqa: S608

    # --- derived arrays ------------------------------------------------------------------------

    def put_arrays(self, name: str, arrays: State) -> None:
        """Keep derived arrays under a name; see `earmark.types.Writer.put_arrays`."""
        packed = {key: pack_array(key, array) for key, array in arrays.items()}
        with self._step():
            self._con.execute("delete from derived where name = ?", (name,))
            self._con.executemany(
                "insert into derived values (?, ?, ?, ?, ?, ?)",
                [(name, n, *values, row_check(name, n, *values)) for n, values in packed.items()],
            )

    # --- failures ------------------------------------------------------------------------------

    def put_failure(self, path: str, size: int, mtime_ns: int, error: str) -> None:
        """Remember why a path failed; a track at that path keeps its rows."""
        values = (path_value(path), int(size), int(mtime_ns), tracks.clean_text(error))
        with self._step():
            self._con.execute(
                "insert or replace into failures values (?, ?, ?, ?, ?)",
                (*values, row_check(*values)),
            )

    def clear_failures(self, paths: Iterable[str]) -> None:
        """Forget failures."""
        with self._step():
            self._con.executemany(
                "delete from failures where path = ?", [(path_value(path),) for path in paths]
            )


def _plain(spec: EncoderSpec) -> dict[str, object]:
    """Return a spec as it comes back from JSON (tuples become lists)."""
    import json

    plain: dict[str, object] = json.loads(json_text(spec.to_json()))
    return plain
