"""Deriving anew: FAISS indexes, words, SQL indexes; and mending what can be mended in place.

The caller holds the writer lock.  Readers go on with the indexes they have; a new index becomes
visible in one transaction, and the one before it is kept beside it.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from earmark.errors import StorageFull
from earmark.stores.local import flat, indexes, text
from earmark.stores.local.append import INDEXES
from earmark.stores.local.care import View, needs_index
from earmark.stores.local.catalog import IndexRow, Space
from earmark.stores.local.codec import json_text, row_check
from earmark.stores.local.entries import count_commit
from earmark.stores.local.files import FileLayer, file_crc
from earmark.stores.local.indexes import Loaded
from earmark.stores.local.verify import wrong_label_words, wrong_words
from earmark.types import AnyArray, Int64Array, RowSpec

_SAMPLE_BYTES = 256 << 20
_QUERIES = 64
_NEIGHBORS = 10
_KEPT = 2
_GROWTH = 4


def mend_catalog(con: sqlite3.Connection) -> list[str]:
    """Make SQL indexes and words anew where they are not what they should be."""
    done = []
    if con.execute("pragma integrity_check(1)").fetchone()[0] != "ok":
        con.execute("reindex")
        done.append("catalog: made the SQL indexes anew")
    if wrong_words(con) or not words_are_sound(con):
        con.execute("begin immediate")
        con.execute("delete from words")
        for track, path, title, artist in con.execute(
            "select id, path, title, artist from tracks"
        ).fetchall():
            tags = dict(con.execute("select name, value from tags where track = ?", (track,)))
            text.put_words(con, track, text.document(path, title, artist, tags))
        con.execute("insert into words (words) values ('rebuild')")
        con.execute("commit")
        done.append("catalog: made the searchable words anew")
    if wrong_label_words(con):
        con.execute("begin immediate")
        con.execute("delete from label_words")
        con.execute("insert into label_words (rowid, name) select id, name from labels")
        con.execute("commit")
        done.append("catalog: made the words of the labels anew")
    return done


def words_are_sound(con: sqlite3.Connection) -> bool:
    """Say whether the full text index agrees with its content."""
    try:
        con.execute("insert into words (words) values ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        return False
    return True


def drop_damaged_indexes(con: sqlite3.Connection, folder: Path, encoder: str | None) -> list[str]:
    """Forget indexes whose file or catalog row is not what was stored."""
    bad = []
    for id_, name, *values, check in con.execute(
        "select indexes.id, encoders.name, encoder, kind, file, first_key, rows, crc, size, "
        'params, indexes."check" from indexes left join encoders on encoders.id = encoder'
    ).fetchall():
        if encoder in (None, name):
            sound = row_check(*values) == check
            if not sound or indexes.fault(folder, str(values[2]), values[6], values[5]):
                bad.append((id_, name))
    con.execute("begin immediate")
    con.executemany("delete from indexes where id = ?", [(id_,) for id_, _ in bad])
    count_commit(con)
    con.execute("commit")
    return [f"{name}: dropped an index that was damaged" for _, name in bad]


def index_space(
    view: View, con: sqlite3.Connection, files: FileLayer, space: Space, kind: str | None
) -> str:
    """Bring the index of one encoder in order; return what was done, or an empty text.

    Parameters
    ----------
    con : Connection
        For writing.
    kind : str, optional
        Build an index of this kind anew, and keep to it; else extend what is sound.
    """
    name, spec = space.spec.name, space.spec.rows
    if kind is not None:
        indexes.check_kind(kind, spec)
        con.execute("update encoders set index_kind = ? where id = ?", (kind, space.id))
    real = _real_kind(kind or space.index_kind, space)
    if real == "flat":
        if not space.indexes and kind is None:
            return ""
        _store(con, space, None)
        return f"{name}: exact search over {space.live} rows, no index"
    present = None if kind is not None else view.searcher.index(space)
    sound = present is not None and present.row.file == space.indexes[0].file
    if sound and not needs_index(space):
        return ""
    row = _extend(view, files, space, present, real) if present else None
    verb = "extended" if row else "built"
    row = row or _build(view, files, space, real, picky=(kind or space.index_kind) == "auto")
    if row is None:
        _store(con, space, None)
        return f"{name}: exact search over {space.live} rows, an index would find too little"
    _store(con, space, row)
    recall = row.params.get("recall", 1.0)
    return f"{name}: {verb} {row.kind} over {space.live} rows, recall {recall:.3f}"


def _real_kind(kind: str, space: Space) -> str:
    """Return what the policy means for a space of this size; 'flat' if too small to train."""
    if kind == "auto":
        if not needs_index(space) and not space.indexes:
            return "flat"
        kind = "ivf" if space.spec.rows.dtype == "bits" else indexes.POLICY
    least = 256 if kind.startswith("ivfpq") else 1
    return kind if space.live >= least else "flat"


def _ids(
    view: View, space: Space, first: Int64Array, count: Int64Array
) -> Iterator[tuple[Int64Array, AnyArray]]:
    blocks = view.searcher.maps.blocks(space.shards, space.spec.rows, first, count)
    return ((keys - space.first_key, rows) for keys, rows in blocks)


def _extend(
    view: View, files: FileLayer, space: Space, present: Loaded, kind: str
) -> IndexRow | None:
    """Add the rows that a sound index does not cover, unless it has outgrown its training."""
    old = present.row
    if old.kind != kind or old.first_key != space.first_key:
        return None
    if space.live > _GROWTH * old.params.get("trained", 0):
        return None
    index = indexes.load(view.folder, old, space.spec.rows, whole=True)
    if index is None:
        return None
    first, count = space.live_ranges()
    start = np.maximum(first, present.end)
    tail = first + count - start
    indexes.add(index, space.spec.rows, _ids(view, space, start[tail > 0], tail[tail > 0]))
    return _save(view.folder, files, space, index, kind, old.params)


def _build(
    view: View, files: FileLayer, space: Space, kind: str, *, picky: bool
) -> IndexRow | None:
    spec = space.spec.rows
    first, count = space.live_ranges()
    live = space.live
    most = max(1000, _SAMPLE_BYTES // (4 * spec.ndim))
    size = min(live, max(40 * indexes.lists_for(live, spec), 10_000), most)
    chosen = np.sort(np.random.default_rng(0).choice(live, size, replace=False))
    keys = _nth_keys(first, count, chosen)
    sample = view.searcher.maps.gather(space.shards, spec, keys)
    index = indexes.build(kind, spec, live, sample, _ids(view, space, first, count))
    params = _tuned(view, space, index, kind, sample)
    poor = params["recall"] < 0.99 or params["probes"] > params["lists"] / 4
    if poor and spec.dtype == "bits" and picky:
        return None  # codes without clusters: an index would miss neighbors or look everywhere
    return _save(view.folder, files, space, index, kind, params)


def _nth_keys(first: Int64Array, count: Int64Array, numbers: Int64Array) -> Int64Array:
    """Return the keys of the n-th live rows."""
    ends = np.cumsum(count)
    at = np.searchsorted(ends, numbers, side="right")
    keys: Int64Array = first[at] + numbers - (ends[at] - count[at])
    return keys


def _tuned(view: View, space: Space, index: Any, kind: str, sample: AnyArray) -> dict[str, float]:
    """Choose probes and candidates so that nearly all true neighbors of stored rows are found."""
    spec = space.spec.rows
    some = np.ascontiguousarray(sample[:: max(1, len(sample) // _QUERIES)][:_QUERIES])
    queries = some if spec.dtype == "bits" else flat.floats(some)
    first, count = space.live_ranges()
    k = min(_NEIGHBORS + 1, space.live)
    blocks = view.searcher.maps.blocks(space.shards, spec, first, count)
    truth = flat.scan(spec.metric, queries, blocks, k)[1]
    lists = int(index.nlist) if kind != "hnsw" else 512
    row = IndexRow(0, kind, "", space.first_key, space.next_key - space.first_key, 0, 0, {})
    loaded = Loaded(row, index, contextlib.nullcontext())  # type: ignore[arg-type]
    params = {"lists": float(lists), "trained": float(space.live)}

    def found(probes: int) -> AnyArray:
        keys, raw = indexes.candidates(loaded, spec, queries, k * factor, probes, None)
        if kind == "ivfpq":
            return truth  # its distances are its own; probes as for the refined form
        top = view.searcher.ranked(space, "rows", queries, keys, k)
        del raw
        return top.result()[1][:, 1:]

    for factor in (8, 16, 32) if spec.dtype != "bits" else (1,):
        probes, recall = indexes.tune(found, truth[:, 1:], lists)
        params |= {"probes": float(probes), "factor": float(factor), "recall": recall}
        if recall >= 0.99:
            break
    return params


def _save(
    folder: Path, files: FileLayer, space: Space, index: Any, kind: str, params: dict[str, float]
) -> IndexRow:
    """Write an index: a draft, synced, then renamed."""
    files.make_folder(folder / INDEXES)
    file = f"{INDEXES}/{space.spec.name}-{uuid4().hex}.faiss"
    draft = folder / f"{file}.new"
    _write(index, space.spec.rows, draft)
    files.sync(draft)
    files.reached("index written")
    files.replace(draft, folder / file)
    rows = space.next_key - space.first_key
    size = (folder / file).stat().st_size
    return IndexRow(0, kind, file, space.first_key, rows, file_crc(folder / file), size, params)


def _write(index: Any, spec: RowSpec, draft: Path) -> None:
    try:
        indexes.write(index, spec, draft)
    except RuntimeError as error:  # all that FAISS says of a file it cannot write
        free = shutil.disk_usage(draft.parent).free
        raise StorageFull(
            f"an index needs room, but {draft.parent} has {free} bytes left: {error}",
            hint="free some space, then: earmark rebuild; searching works without the index",
        ) from error


def _store(con: sqlite3.Connection, space: Space, row: IndexRow | None) -> None:
    """Put an index in the catalog and keep the one before it; with None, forget all."""
    con.execute("begin immediate")
    if row is None:
        con.execute("delete from indexes where encoder = ?", (space.id,))
    else:
        params = json_text(row.params)
        values = (
            space.id, row.kind, row.file, row.first_key, row.rows, row.crc, row.size, params,
        )  # fmt: skip
        con.execute(
            "insert into indexes (encoder, kind, file, first_key, rows, crc, size, params, "
            '"check") values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (*values, row_check(*values)),
        )
        con.execute(
            "delete from indexes where encoder = ? and id not in (select id from indexes "
            "where encoder = ? order by id desc limit ?)",
            (space.id, space.id, _KEPT),
        )
    count_commit(con)
    con.execute("commit")
