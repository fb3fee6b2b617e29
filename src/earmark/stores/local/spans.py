"""Which rows belong to which track, and where in it they lie."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.stores.local.catalog import Snapshot, Space
from earmark.stores.local.codec import unpack_times
from earmark.stores.local.tracks import chunks, marks
from earmark.types import Float64Array, Int64Array, Segments

_FEW = 256
_TIMES_KEPT = 4096

_MANY_LOOKUPS = 16
"""From so many lookups on, all times of an encoder are kept unpacked (16 bytes a row) ..."""

_MOST_UNPACKED_ROWS = 1_000_000
"""... if it has no more rows than this: 16 MB."""


@dataclass(frozen=True)
class SpanTable:
    """All spans with rows of one encoder, ascending by key."""

    commit: int
    first: Int64Array
    rows: Int64Array
    track: Int64Array


@dataclass(frozen=True)
class TimeTable:
    """The times of all rows in a `SpanTable`, shape (n, 2), in its order; where each span begins
    in them."""

    spans: SpanTable
    begins: Int64Array
    times: Float64Array


class Spans:
    """Looks up spans; keeps the last table of each encoder and some unpacked times.

    A process that asks often (a server) has all times of a small library at hand.  After a commit
    one thread brings tables up to date; the others ask the catalog meanwhile, span by span.
    """

    def __init__(self) -> None:
        self._lookups = 0
        self._making = threading.Lock()
        self._full: dict[int, TimeTable] = {}
        self._tables: dict[int, SpanTable] = {}
        self._times: OrderedDict[tuple[int, int], Float64Array] = OrderedDict()
        self._lock = threading.Lock()

    def table(self, con: sqlite3.Connection, snapshot: Snapshot, space: Space) -> SpanTable:
        """Return all spans of an encoder."""
        table = self._known_table(snapshot, space)
        if table is None:
            known = self._tables.get(space.id)
            table = _grown(con, snapshot, space, known) if known is not None else None
            if table is None:
                table = SpanTable(snapshot.commit, *_columns(con, space, -1))
            self._tables[space.id] = table
        return table

    def _known_table(self, snapshot: Snapshot, space: Space) -> SpanTable | None:
        table = self._tables.get(space.id)
        return table if table is not None and table.commit == snapshot.commit else None

    def ranges(
        self, con: sqlite3.Connection, snapshot: Snapshot, space: Space, tracks: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """Return first keys and lengths of the rows of some tracks, ascending."""
        if len(tracks) <= _FEW:
            found: list[tuple[int, int]] = []
            for some in chunks([int(t) for t in np.unique(tracks)]):
                found += con.execute(
                    "select first_key, rows from spans where +encoder = ? and rows > 0 "  # noqa: S608
                    f"and track in ({marks(some)})",
                    (space.id, *some),
                ).fetchall()
            pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
            return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
        table = self.table(con, snapshot, space)
        keep = np.isin(table.track, tracks)
        return table.first[keep], table.rows[keep]

    def locate(
        self, con: sqlite3.Connection, snapshot: Snapshot, space: Space, keys: Int64Array
    ) -> Segments:
        """Return the segments of keys; track -1 for keys without a live row."""
        tracks = np.full(len(keys), -1, np.int64)
        starts, ends = np.zeros(len(keys)), np.zeros(len(keys))
        now = space.follow(keys)
        live = np.flatnonzero(space.is_live(now))
        full = self._all_times(con, snapshot, space)
        if full is not None:
            found, times_, track_ = _look_up(full, now[live])
            live = live[found]
            tracks[live], starts[live], ends[live] = track_, times_[:, 0], times_[:, 1]
            return Segments(tracks, starts, ends)
        live = live[np.argsort(now[live], kind="stable")]
        at = 0
        while at < len(live):
            key = int(now[live[at]])
            track, first, count = self._span(con, snapshot, space, key, len(live))
            stop = at + int(np.searchsorted(now[live[at:]], first + count))
            if stop == at:  # a hole in a damaged catalog
                at += 1
                continue
            where = live[at:stop]
            times = self._segments(con, space, track, first, count)[now[where] - first]
            tracks[where], starts[where], ends[where] = track, times[:, 0], times[:, 1]
            at = stop
        return Segments(tracks, starts, ends)

    def _all_times(
        self, con: sqlite3.Connection, snapshot: Snapshot, space: Space
    ) -> TimeTable | None:
        """All times of an encoder, if it is asked often enough and small enough."""
        self._lookups += 1
        if self._lookups < _MANY_LOOKUPS:
            return None
        known = self._full.get(space.id)
        if known is not None and known.spans.commit == snapshot.commit:
            return known
        if known is not None and known.spans.commit > snapshot.commit:
            return None  # a read that began before the last commit
        if not self._making.acquire(blocking=False):
            return None
        try:
            spans = self.table(con, snapshot, space)
            if int(spans.rows.sum()) > _MOST_UNPACKED_ROWS:
                return None
            made = _unpack_all(con, space, spans, known)
            self._full[space.id] = made
        finally:
            self._making.release()
        return made

    def _span(
        self, con: sqlite3.Connection, snapshot: Snapshot, space: Space, key: int, lookups: int
    ) -> tuple[int, int, int]:
        """Return track, first key and rows of the span before or at a key."""
        table = self._known_table(snapshot, space)
        if table is None and lookups > _FEW and not self._making.locked():
            table = self.table(con, snapshot, space)
        if table is None:
            row = con.execute(
                "select track, first_key, rows from spans where encoder = ? and first_key <= ? "
                "and rows > 0 order by first_key desc limit 1",
                (space.id, key),
            ).fetchone()
            return row if row is not None else (-1, 0, 0)
        at = int(np.searchsorted(table.first, key, side="right")) - 1
        if at < 0:
            return -1, 0, 0
        return int(table.track[at]), int(table.first[at]), int(table.rows[at])

    def _segments(
        self, con: sqlite3.Connection, space: Space, track: int, first: int, count: int
    ) -> Float64Array:
        with self._lock:
            times = self._times.get((space.id, first))
            if times is not None:
                self._times.move_to_end((space.id, first))
                return times
        blob = con.execute(
            "select times from spans where track = ? and encoder = ?", (track, space.id)
        ).fetchone()[0]
        times = unpack_times(blob, count)
        with self._lock:
            self._times[space.id, first] = times
            while len(self._times) > _TIMES_KEPT:
                self._times.popitem(last=False)
        return times


def of_tracks(con: sqlite3.Connection, space: Space, tracks: Sequence[int]) -> Int64Array:
    """Return first key and number of rows of each track, shape (n, 2), in the order given."""
    found: dict[int, tuple[int, int]] = {}
    for some in chunks([int(track) for track in tracks]):
        for track, first, rows in con.execute(
            f"select track, first_key, rows from spans where track in ({marks(some)}) "  # noqa: S608
            "and +encoder = ?",  # the plus: by tracks, not over all spans of the encoder
            (*some, space.id),
        ):
            found[track] = (first, rows)
    pairs = [found.get(int(track), (0, 0)) for track in tracks]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _columns(
    con: sqlite3.Connection, space: Space, after: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """First key, rows and track of the spans behind a key, ascending."""
    rows = con.execute(
        "select first_key, rows, track from spans where encoder = ? and rows > 0 "
        "and first_key > ? order by first_key",
        (space.id, after),
    ).fetchall()
    first, count, track = np.array(rows, np.int64).reshape(-1, 3).T
    return first, count, track


def _grown(
    con: sqlite3.Connection, snapshot: Snapshot, space: Space, known: SpanTable
) -> SpanTable | None:
    """An older table with the spans that came since; None if it lost any.

    Keys only grow, and a span changes only by losing its rows: as many spans and rows as known
    and new ones have together are these.
    """
    if known.commit > snapshot.commit or not len(known.first):
        return None
    new = _columns(con, space, int(known.first[-1]))
    now = con.execute(
        "select count(*), sum(rows) from spans where encoder = ? and rows > 0", (space.id,)
    ).fetchone()
    if now != (len(known.first) + len(new[0]), int(known.rows.sum() + new[1].sum())):
        return None
    old = (known.first, known.rows, known.track)
    first, rows, track = (np.concatenate(pair) for pair in zip(old, new, strict=True))
    return SpanTable(snapshot.commit, first, rows, track)


def _unpack_all(
    con: sqlite3.Connection, space: Space, spans: SpanTable, known: TimeTable | None
) -> TimeTable:
    """Unpack the times of all spans; those of an older table are taken over.

    A span's times never change under its first key.
    """
    ends = np.cumsum(spans.rows)
    begins = ends - spans.rows
    times = np.empty((int(ends[-1]) if len(ends) else 0, 2))
    missing = np.ones(len(spans.first), np.bool_)
    if known is not None and len(known.spans.first):
        old = np.minimum(
            np.searchsorted(known.spans.first, spans.first), len(known.spans.first) - 1
        )
        missing = (known.spans.first[old] != spans.first) | (known.spans.rows[old] != spans.rows)
        kept = np.flatnonzero(~missing)
        # Spans that follow each other in both tables are taken over together.
        breaks = np.flatnonzero((np.diff(kept) != 1) | (np.diff(old[kept]) != 1)) + 1
        for run in np.split(kept, breaks) if len(kept) else ():
            begin, length = int(known.begins[old[run[0]]]), int(ends[run[-1]] - begins[run[0]])
            times[begins[run[0]] : ends[run[-1]]] = known.times[begin : begin + length]
    for first, blob in _blobs(con, space, spans.first[missing].tolist(), len(spans.first)):
        place = int(np.searchsorted(spans.first, first))
        if place < len(spans.first) and spans.first[place] == first and missing[place]:
            times[begins[place] : ends[place]] = unpack_times(blob, int(spans.rows[place]))
    return TimeTable(spans, begins, times)


def _blobs(
    con: sqlite3.Connection, space: Space, wanted: Sequence[int], total: int
) -> Iterator[tuple[int, bytes]]:
    """First keys and packed times of the spans that are wanted, and perhaps of others."""
    if len(wanted) > total // 2:
        yield from con.execute(
            "select first_key, times from spans where encoder = ? and rows > 0", (space.id,)
        )
        return
    for some in chunks(wanted):
        yield from con.execute(
            f"select first_key, times from spans where first_key in ({marks(some)}) "  # noqa: S608
            "and encoder = ? and rows > 0",
            (*some, space.id),
        )


def _look_up(full: TimeTable, keys: Int64Array) -> tuple[Int64Array, Float64Array, Int64Array]:
    """Return which keys lie in a span, their times, shape (n, 2), and tracks."""
    spans = full.spans
    span = np.searchsorted(spans.first, keys, side="right") - 1
    found = np.flatnonzero(span >= 0)
    span = span[found]
    inside = keys[found] - spans.first[span]
    good = inside < spans.rows[span]  # else a hole in a damaged catalog
    found, span, inside = found[good], span[good], inside[good]
    return found, full.times[full.begins[span] + inside], spans.track[span]
