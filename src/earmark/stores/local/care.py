"""What a library's health needs: checks, sizes, and reading rows by key."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import DamagedLibrary, InvalidVectors
from earmark.stores.local import flat
from earmark.stores.local.catalog import Snapshot, Space
from earmark.stores.local.codec import row_check, unpack_array
from earmark.stores.local.search import FLAT_CODES, FLAT_ROWS, Searcher
from earmark.types import AnyArray, Int64Array, SpaceStats


@dataclass(frozen=True)
class View:
    """One snapshot with what is needed to read from it."""

    con: sqlite3.Connection
    snapshot: Snapshot
    searcher: Searcher
    folder: Path


def missing_shard(file: str) -> DamagedLibrary:
    """Return the error for a shard file that is not there."""
    return DamagedLibrary(
        f"the catalog names the shard {file}, but there is no such file",
        hint="see what is affected: earmark verify",
    )


def check_state(encoder: str, name: str, values: Sequence[object], check: int) -> None:
    """Raise `DamagedLibrary` if a state array does not have its check."""
    if row_check(name, *values) != check:
        raise DamagedLibrary(
            f"state array {name!r} of encoder {encoder!r} does not have the content that was "
            "stored",
            hint=f"learn it anew: earmark rebuild --fit {encoder}",
        )


def derived_arrays(con: sqlite3.Connection, name: str) -> dict[str, AnyArray]:
    """Return the derived arrays of a name, each checked."""
    found = {}
    for key, *values, check in con.execute(
        'select "array", dtype, shape, data, "check" from derived where name = ?', (name,)
    ):
        if row_check(name, key, *values) != check:
            raise DamagedLibrary(
                f"array {key!r} of {name!r} does not have the content that was stored",
                hint=f"derive it anew: earmark {name} --fresh",
            )
        found[key] = unpack_array(*values)
    return found


def vectors(view: View, space: Space, keys: Int64Array, form: str) -> AnyArray:
    """Return stored rows by key.  Raises KeyError for keys without a live row."""
    if form not in ("rows", "refine"):
        raise ValueError(f"form must be 'rows' or 'refine', got {form!r}")
    spec = space.spec.rows if form == "rows" else space.spec.refine
    if spec is None:
        raise InvalidVectors(f"rows of {space.spec.name!r} have no second form")
    now = space.follow(keys)
    live = space.is_live(now)
    if not live.all():
        raise KeyError(int(keys[int(np.argmin(live))]))
    shards = space.shards if form == "rows" else space.refine_shards
    rows = view.searcher.maps.gather(shards, spec, now)
    return rows if spec.dtype == "bits" else flat.floats(rows)


def space_stats(con: sqlite3.Connection, space: Space) -> SpaceStats:
    """Return sizes and health of one encoder's rows."""
    tracks = con.execute("select count(*) from spans where encoder = ?", (space.id,)).fetchone()[0]
    refine = space.spec.refine
    size = sum(s.rows for s in space.shards) * space.spec.rows.nbytes
    size += sum(s.rows for s in space.refine_shards) * (refine.nbytes if refine else 0)
    newest = space.indexes[0] if space.indexes else None
    return SpaceStats(
        encoder=space.spec.name,
        tracks=tracks,
        rows=space.live,
        dead_rows=int(space.dead_rows.sum()),
        bytes=size + sum(i.size for i in space.indexes),
        index=newest.kind if newest else "flat",
        index_rows=newest.rows if newest else 0,
    )


def needs_index(space: Space) -> bool:
    """Say whether an index is missing, or leaves too many rows to an exact scan."""
    if space.index_kind == "flat":
        return False
    least = FLAT_CODES if space.spec.rows.dtype == "bits" else FLAT_ROWS
    if space.index_kind == "auto" and space.live <= least:
        return False
    if not space.indexes:
        return True
    newest = space.indexes[0]
    tail = space.next_key - max(newest.first_key + newest.rows, space.first_key)
    return tail > max(FLAT_ROWS, newest.rows // 20)
