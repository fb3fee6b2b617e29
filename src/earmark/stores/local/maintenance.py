"""`verify`, `rebuild` and `compact` over a whole library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import DamagedLibrary
from earmark.stores.local.append import clean_up, remove_unnamed
from earmark.stores.local.care import View
from earmark.stores.local.catalog import Catalog, commit_number, load_snapshot
from earmark.stores.local.compact import compact_space, tidy_catalog
from earmark.stores.local.files import FileLayer, folder_bytes
from earmark.stores.local.rebuild import (
    drop_damaged_indexes,
    index_space,
    mend_catalog,
    words_are_sound,
)
from earmark.stores.local.search import Searcher
from earmark.stores.local.verify import check_catalog, check_space
from earmark.types import Damage

_ATTEMPTS = 5


@dataclass(frozen=True)
class Maintained:
    """The parts of a store that maintenance works on."""

    folder: Path
    catalog: Catalog
    searcher: Searcher
    files: FileLayer

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for writing; the caller holds the writer lock."""
        con = self.catalog.connect(write=True)
        try:
            yield con
        finally:
            if con.in_transaction:
                con.execute("rollback")
            con.close()

    def view(self, con: sqlite3.Connection) -> View:
        """Return the present state as seen by a connection."""
        return View(con, load_snapshot(con, commit_number(con)), self.searcher, self.folder)


def verify(store: Maintained) -> list[Damage]:
    """See `earmark.types.Store.verify`."""
    found: list[Damage] = []
    for _ in range(_ATTEMPTS):
        commit, found = _verify(store)
        if not found or commit == _commit(store):
            break  # else a commit may have removed what was being looked at
    return found + _check_words(store)


def _commit(store: Maintained) -> int:
    try:
        with store.catalog.read() as (_, snapshot):
            return snapshot.commit
    except (DamagedLibrary, sqlite3.DatabaseError):
        return -1


def _verify(store: Maintained) -> tuple[int, list[Damage]]:
    found: list[Damage] = []
    commit = -1
    con = store.catalog.connect()
    try:
        con.execute("begin")
        found += check_catalog(con)
        view = store.view(con)
        commit = view.snapshot.commit
        for space in view.snapshot.spaces.values():
            found += check_space(view, space)
    except (sqlite3.DatabaseError, DamagedLibrary, ValueError, TypeError, KeyError) as error:
        # The rows that name the shards cannot be read: no check below them makes sense.
        mend = "restore the catalog from a backup, or index anew into another folder"
        found.append(Damage("catalog", "structure", f"cannot be read: {error}", mend=mend))
    finally:
        con.close()
    return commit, found


def _check_words(store: Maintained) -> list[Damage]:
    """Check the full text index, for which SQLite wants to be able to write."""
    try:
        with store.writing() as con:
            con.execute("pragma busy_timeout = 0")
            sound = words_are_sound(con)
    except sqlite3.OperationalError:  # a writer is at work, or the folder is read-only
        return []
    if sound:
        return []
    reason = "the index of words does not agree with the words"
    return [Damage("catalog", "words", reason, mend="rebuild makes it anew")]


def rebuild(store: Maintained, *, encoder: str | None, index: str | None) -> list[str]:
    """See `LocalStore.rebuild`."""
    done: list[str] = []
    with store.writing() as con:
        if encoder is None:
            done += mend_catalog(con)
            done += _mend_shards(store, con)
        store.searcher.forget_indexes()
        done += drop_damaged_indexes(con, store.folder, encoder)
        view = store.view(con)
        clean_up(con, view.snapshot.spaces, store.folder, store.files)
        spaces = view.snapshot.spaces.values()
        for space in [view.snapshot.space(encoder)] if encoder is not None else spaces:
            done.append(index_space(view, con, store.files, space, index))
        remove_unnamed(con, store.folder, store.files)
    return [line for line in done if line]


def _mend_shards(store: Maintained, con: sqlite3.Connection) -> list[str]:
    """Leave out dead rows that are damaged."""
    done = []
    view = store.view(con)
    for name, space in view.snapshot.spaces.items():
        damaged = [d for d in check_space(view, space) if d.what == "shard"]
        if damaged and not any(d.tracks for d in damaged):
            compact_space(view, con, store.files, space)
            done.append(f"{name}: left out dead rows that were damaged")
        elif damaged:
            tracks = sorted({t for d in damaged for t in d.tracks})
            done.append(f"{name}: rows of {len(tracks)} tracks are damaged: index them again")
    return done


def compact(store: Maintained) -> int:
    """See `earmark.types.Store.compact`."""
    before = folder_bytes(store.folder)
    with store.writing() as con:
        view = store.view(con)
        clean_up(con, view.snapshot.spaces, store.folder, store.files)
        for name, space in view.snapshot.spaces.items():
            if len(space.dead_first):
                compact_space(view, con, store.files, space)
                if space.indexes:
                    fresh = store.view(con)
                    index_space(fresh, con, store.files, fresh.snapshot.space(name), None)
        remove_unnamed(con, store.folder, store.files)
        tidy_catalog(con)
    return max(0, before - folder_bytes(store.folder))
