"""`LocalStore`: the contract of `earmark.types.Store` over a folder; and how one is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from earmark.stores.local import (
    care,
    filters,
    labels,
    maintenance,
    schema,
    spans,
    text,
    tracks,
)
from earmark.stores.local.catalog import Catalog, Space
from earmark.stores.local.codec import unpack_array
from earmark.stores.local.files import FileLayer, disk_errors, folder_bytes
from earmark.stores.local.lock import writer_lock
from earmark.stores.local.search import Searcher
from earmark.stores.local.shards import Vanished
from earmark.stores.local.writer import LocalWriter
from earmark.types import (
    AnyArray,
    Damage,
    EncoderSpec,
    Expr,
    Int64Array,
    Known,
    Label,
    Neighbors,
    Segments,
    StoreStats,
    TextMatch,
    Track,
)

T = TypeVar("T")
_ATTEMPTS = 8


def open_local(
    path: str | os.PathLike[str], *, create: bool = False, files: FileLayer | None = None
) -> LocalStore:
    """Open the library in a folder.

    Parameters
    ----------
    path : path-like
    create : bool
        Make an empty library if the folder is empty or not there.
    files : FileLayer, optional
        How files are written; tests inject faults here.

    Raises
    ------
    LibraryNotFound
        If there is none and `create` is false.
    ForeignFormat
        If the folder holds something else, or a library of a newer format.
    DamagedLibrary
        If the catalog cannot be read.
    """
    folder = Path(os.path.abspath(os.fspath(path)))  # noqa: PTH100 - resolve() follows links
    files = files or FileLayer()
    if create and not (folder / schema.CATALOG).exists():
        with disk_errors(folder):
            schema.create(folder, files)
    schema.check_folder(folder)
    catalog = Catalog(folder)
    with disk_errors(folder), closing(catalog.connect()) as con:
        version = schema.check_format(con, folder)
    if version < schema.FORMAT:
        with disk_errors(folder):
            schema.migrate(folder, lambda: catalog.connect(write=True))
    return LocalStore(folder, catalog, files)


class LocalStore:
    """Tracks and rows in a folder; see `earmark.types.Store` for the contract.

    Safe to use from several threads.  Reads run beside one writer, in this or another process.
    """

    def __init__(self, folder: Path, catalog: Catalog, files: FileLayer) -> None:
        self.folder = folder
        self._catalog = catalog
        self._files = files
        self._searcher = Searcher(folder)
        self._every: tuple[int, Int64Array] | None = None

    @property
    def url(self) -> str:
        """The folder's absolute path."""
        return str(self.folder)

    def close(self) -> None:
        """Release files and connections."""
        self._searcher.close()
        self._catalog.close()

    def __enter__(self) -> LocalStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _on_snapshot(self, name: str, call: Callable[[care.View, Space], T]) -> T:
        """Call with one snapshot; begin anew if a commit has replaced its files meanwhile."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._catalog.read() as (con, snapshot):
                    view = care.View(con, snapshot, self._searcher, self.folder)
                    return call(view, snapshot.space(name))
            except Vanished as gone:
                if attempt == _ATTEMPTS - 1:
                    raise care.missing_shard(str(gone)) from None
                self._catalog.renew()
        raise AssertionError("unreachable")

    def version(self) -> int:
        """Number of the last commit: the same as long as nothing in the store changes."""
        with self._catalog.read() as (_, snapshot):
            return snapshot.commit

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the reads of this thread be of one snapshot, at the price of one.

        If its files are replaced meanwhile, what follows is of the snapshot that came after.
        """
        with self._catalog.read():
            yield

    # --- tracks --------------------------------------------------------------------------------

    def fields(self) -> dict[str, str]:
        """Names that `where` may use, with 'text', 'number' or 'mixed'."""
        with self._catalog.read() as (con, _):
            return filters.field_types(con)

    def count(self, where: Expr | None = None) -> int:
        """Number of tracks."""
        with self._catalog.read() as (con, _):
            sql, values = (text.ALL, []) if where is None else filters.condition(con, where)
            query = f"select count(*) from tracks where {sql}"  # noqa: S608 - see filters
            return int(con.execute(query, values).fetchone()[0])

    def track_ids(self, where: Expr | None = None) -> Int64Array:
        """Ids of tracks, ascending, shape (n,).  Raises `UnknownField`."""
        with self._catalog.read() as (con, snapshot):
            if where is None and self._every is not None and self._every[0] == snapshot.commit:
                return self._every[1].copy()
            sql, values = (text.ALL, []) if where is None else filters.condition(con, where)
            query = f"select id from tracks where {sql} order by id"  # noqa: S608 - see filters
            ids = np.array([row[0] for row in con.execute(query, values)], np.int64)
            if where is None:
                self._every = (snapshot.commit, ids.copy())
            return ids

    def tracks(self, ids: Sequence[int]) -> list[Track]:
        """Tracks in the order of `ids`; ids that are not there are left out."""
        with self._catalog.read() as (con, _):
            return tracks.load_tracks(con, ids)

    def find_path(self, path: str) -> Track | None:
        """The track at exactly this path."""
        with self._catalog.read() as (con, _):
            track = tracks.find_path(con, path)
            return None if track is None else tracks.load_tracks(con, [track])[0]

    def known(self) -> dict[str, Known]:
        """All paths, failures included.

        A track whose file has since failed is one entry: with the track's id, hash and encoders,
        and with size, time and reason of the failure.
        """
        with self._catalog.read() as (con, _):
            return tracks.load_known(con)

    def find_text(self, text_: str, k: int, *, where: Expr | None = None) -> list[TextMatch]:
        """Best `k` tracks that have all the words: prefixes match, typos are forgiven."""
        with self._catalog.read() as (con, _):
            sql, values = (text.ALL, []) if where is None else filters.condition(con, where)
            return text.find(con, text_, k, sql, values)

    def find_labels(self, text_: str, k: int, *, where: Expr | None = None) -> list[TextMatch]:
        """Best `k` tracks with labels that have any of the words; see `earmark.types.Store`."""
        with self._catalog.read() as (con, _):
            sql, values = (text.ALL, []) if where is None else filters.condition(con, where)
            return labels.find(con, text_, k, sql, values)

    def labels(self, ids: Sequence[int]) -> dict[int, dict[str, list[Label]]]:
        """Labels of tracks by encoder, best first; tracks without any are left out."""
        with self._catalog.read() as (con, _):
            return labels.load(con, ids)

    def label_counts(
        self, k: int, *, where: Expr | None = None
    ) -> tuple[list[tuple[str, int]], int]:
        """The `k` labels that most tracks have, with how many do; and the number of labels."""
        with self._catalog.read() as (con, _):
            sql, values = (text.ALL, []) if where is None else filters.condition(con, where)
            return labels.counts(con, k, sql, values)

    def arrays(self, name: str) -> dict[str, AnyArray]:
        """The derived arrays of this name; raises `DamagedLibrary` if they fail their check."""
        with self._catalog.read() as (con, _):
            return care.derived_arrays(con, name)

    # --- rows ----------------------------------------------------------------------------------

    def encoders(self) -> dict[str, EncoderSpec]:
        """The encoders that made rows here."""
        with self._catalog.read() as (_, snapshot):
            return {name: space.spec for name, space in snapshot.spaces.items()}

    def state(self, encoder: str) -> dict[str, AnyArray]:
        """The fitted arrays of an encoder; raises `DamagedLibrary` if they fail their check."""
        with self._catalog.read() as (con, snapshot):
            space = snapshot.space(encoder)
            rows = con.execute(
                'select name, dtype, shape, data, "check" from states where encoder = ?',
                (space.id,),
            ).fetchall()
            for name, *values, check in rows:
                care.check_state(encoder, name, values, check)
            return {name: unpack_array(*values) for name, *values, _ in rows}

    def search(
        self,
        encoder: str,
        queries: AnyArray,
        k: int,
        *,
        tracks: Int64Array | None = None,
        refine: AnyArray | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Rows nearest to each query row; see `earmark.types.Store.search`."""
        return self._on_snapshot(
            encoder,
            lambda view, space: self._searcher.search(
                view.con,
                view.snapshot,
                space,
                queries,
                k,
                tracks=tracks,
                refine=refine,
                exact=exact,
            ),
        )

    def search_roughly(
        self,
        encoder: str,
        queries: AnyArray,
        k: int,
        *,
        tracks: Int64Array | None = None,
        probes: int,
    ) -> Neighbors:
        """Most of the rows nearest to each query row; see `earmark.types.RoughStore`."""
        return self._on_snapshot(
            encoder,
            lambda view, space: self._searcher.search(
                view.con,
                view.snapshot,
                space,
                queries,
                k,
                tracks=tracks,
                refine=None,
                exact=False,
                probes=probes,
            ),
        )

    def locate(self, encoder: str, keys: Int64Array) -> Segments:
        """The segments of rows; keys from before the last compaction are understood."""
        wanted = np.asarray(keys, np.int64).ravel()
        return self._on_snapshot(
            encoder,
            lambda view, space: self._searcher.spans.locate(view.con, view.snapshot, space, wanted),
        )

    def keys(self, encoder: str, track: int) -> Int64Array:
        """The live keys of a track, ascending and consecutive, shape (n,); empty if none."""
        with self._catalog.read() as (con, snapshot):
            row = con.execute(
                "select first_key, rows from spans where track = ? and encoder = ?",
                (int(track), snapshot.space(encoder).id),
            ).fetchone()
            return np.zeros(0, np.int64) if row is None else np.arange(row[0], row[0] + row[1])

    def key_ranges(self, encoder: str, tracks: Sequence[int]) -> Int64Array:
        """First key and number of rows of each track, shape (n, 2); 0 rows if it has none."""
        with self._catalog.read() as (con, snapshot):
            return spans.of_tracks(con, snapshot.space(encoder), tracks)

    def vectors(
        self, encoder: str, keys: Int64Array, *, form: Literal["rows", "refine"] = "rows"
    ) -> AnyArray:
        """Stored rows, shape (len(keys), width): float32, or uint8 for bits."""
        wanted = np.asarray(keys, np.int64).ravel()
        return self._on_snapshot(
            encoder, lambda view, space: care.vectors(view, space, wanted, form)
        )

    # --- care ----------------------------------------------------------------------------------

    def writer(self) -> AbstractContextManager[LocalWriter]:
        """Begin to write; see `earmark.types.Store.writer`.

        Committing builds no index: call `rebuild` afterwards where `needs_index` says so.
        """
        return self._writing()

    @contextmanager
    def _writing(self) -> Iterator[LocalWriter]:
        with self._writing_lock():
            writer = LocalWriter(self._catalog, self._files)
            try:
                yield writer
            finally:
                writer.close()

    def stats(self) -> StoreStats:
        """Sizes and health."""
        with self._catalog.read() as (con, snapshot):
            count, seconds = con.execute(
                "select count(*), coalesce(sum(duration), 0) from tracks"
            ).fetchone()
            failures = con.execute("select count(*) from failures").fetchone()[0]
            spaces = tuple(care.space_stats(con, space) for space in snapshot.spaces.values())
        return StoreStats(
            url=self.url,
            format=schema.FORMAT,
            tracks=count,
            failures=failures,
            seconds=float(seconds),
            bytes=folder_bytes(self.folder),
            spaces=spaces,
        )

    def needs_index(self, encoder: str) -> bool:
        """Say whether `rebuild` would make searching this encoder's rows faster."""
        with self._catalog.read() as (_, snapshot):
            return care.needs_index(snapshot.space(encoder))

    def verify(self) -> list[Damage]:
        """Check all that is stored against its checksums; an empty list is good news.

        The index of words is checked only while no process writes.
        """
        return maintenance.verify(self._maintained())

    def rebuild(self, *, encoder: str | None = None, index: str | None = None) -> list[str]:
        """Bring all that is derived in order, and say what was done.

        Parameters
        ----------
        encoder : str, optional
            Only this encoder's index.  By default all of them, and besides the words and SQL
            indexes of the catalog, and shards that are damaged in dead rows only.
        index : {'auto', 'flat', 'ivf', 'ivfpq', 'ivfpq-rr', 'hnsw'}, optional
            Build this kind anew and keep to it.  By default a sound index of the kind that the
            library has is extended, or built anew if it has outgrown its training.
        """
        with self._writing_lock():
            return maintenance.rebuild(self._maintained(), encoder=encoder, index=index)

    def compact(self) -> int:
        """Drop dead rows and unreferenced files; return the bytes won.

        Raises `DamagedLibrary`, before anything is changed in it, for an encoder with damaged
        live rows.
        """
        with self._writing_lock():
            return maintenance.compact(self._maintained())

    @contextmanager
    def _writing_lock(self) -> Iterator[None]:
        with disk_errors(self.folder), writer_lock(self.folder):
            yield

    def _maintained(self) -> maintenance.Maintained:
        return maintenance.Maintained(self.folder, self._catalog, self._searcher, self._files)
