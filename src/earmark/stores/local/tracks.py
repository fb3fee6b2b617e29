"""Reading tracks, tags and failures from the catalog."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from earmark.stores.local.codec import path_text, path_value, row_check
from earmark.types import AudioInfo, Known, Scalar, Track, TrackRecord

COLUMNS = (
    "path, content_hash, size, mtime_ns, duration, sample_rate, channels, codec, container, "
    "bit_rate, title, artist"
)
_CHUNK = 500


def chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut a list of ids to pieces that fit one statement."""
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def marks(values: Sequence[object]) -> str:
    """Return as many comma separated question marks as there are values."""
    return ",".join("?" * len(values))


def load_tracks(con: sqlite3.Connection, ids: Sequence[int]) -> list[Track]:
    """Return tracks in the order of `ids`, without those that are not there."""
    found: dict[int, Track] = {}
    for some in chunks([int(i) for i in dict.fromkeys(ids)]):
        tags: dict[int, dict[str, Scalar]] = {}
        for track, name, value in con.execute(
            f"select track, name, value from tags where track in ({marks(some)})",  # noqa: S608
            some,
        ):
            tags.setdefault(track, {})[name] = value
        for row in con.execute(
            f"select id, {COLUMNS} from tracks where id in ({marks(some)})",  # noqa: S608
            some,
        ):
            found[row[0]] = _track(row, tags.get(row[0], {}))
    return [found[int(i)] for i in ids if int(i) in found]


def _track(row: tuple[object, ...], tags: dict[str, Scalar]) -> Track:
    (id_, path, content, size, mtime, duration, rate, channels, codec, container, bits, *rest) = row
    return Track(
        id=id_,  # type: ignore[arg-type]  # a row of the database has no static types
        path=path_text(path),  # type: ignore[arg-type]
        content_hash=content,  # type: ignore[arg-type]
        size=size,  # type: ignore[arg-type]
        mtime_ns=mtime,  # type: ignore[arg-type]
        info=AudioInfo(duration, rate, channels, codec, container, bits),  # type: ignore[arg-type]
        title=rest[0],  # type: ignore[arg-type]
        artist=rest[1],  # type: ignore[arg-type]
        tags=tags,
    )


def find_path(con: sqlite3.Connection, path: str) -> int | None:
    """Return the id of the track at a path."""
    row = con.execute("select id from tracks where path = ?", (path_value(path),)).fetchone()
    return None if row is None else int(row[0])


def load_known(con: sqlite3.Connection) -> dict[str, Known]:
    """Return all paths with what planning needs; a failure hides nothing of its track."""
    made: dict[int, set[str]] = {}
    sets: dict[frozenset[str], frozenset[str]] = {}
    for track, name in con.execute(
        "select track, name from spans join encoders on encoders.id = spans.encoder"
    ):
        made.setdefault(track, set()).add(name)
    known: dict[str, Known] = {}
    for id_, path, content, size, mtime in con.execute(
        "select id, path, content_hash, size, mtime_ns from tracks"
    ):
        names = frozenset(made.get(id_, ()))
        names = sets.setdefault(names, names)
        text = path_text(path)
        known[text] = Known(text, id_, size, mtime, content, names)
    for path, size, mtime, error in con.execute("select path, size, mtime_ns, error from failures"):
        text = path_text(path)
        track = known.get(text)
        known[text] = Known(
            path=text,
            track=track.track if track else None,
            size=size,
            mtime_ns=mtime,
            content_hash=track.content_hash if track else "",
            encoders=track.encoders if track else frozenset(),
            error=error,
        )
    return known


def record_values(record: TrackRecord) -> tuple[object, ...]:
    """Return a record as the columns of `COLUMNS`."""
    info = record.info
    return (
        path_value(record.path),
        record.content_hash,
        int(record.size),
        int(record.mtime_ns),
        float(info.duration),
        int(info.sample_rate),
        int(info.channels),
        info.codec,
        info.container,
        int(info.bit_rate),
        clean_text(record.title),
        clean_text(record.artist),
    )


def track_check(con: sqlite3.Connection, track: int) -> int:
    """Return the check of a track's row and its tags."""
    row = con.execute(f"select id, {COLUMNS} from tracks where id = ?", (track,)).fetchone()  # noqa: S608
    tags = con.execute(
        "select name, value, own from tags where track = ? order by name", (track,)
    ).fetchall()
    return tags_check(row, tags)


def tags_check(row: Iterable[object], tags: Iterable[tuple[object, ...]]) -> int:
    """Return the check of a track's row with its tags in order of name."""
    return row_check(*row, *(value for tag in tags for value in tag))


def clean_text(text: str) -> str:
    """Return a text that SQLite can hold: lone surrogates become '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clean_value(value: Scalar) -> Scalar:
    """Return a tag's value as the catalog can hold it.

    Booleans become 0 and 1; numbers that are not finite, and integers beyond 64 bits, texts.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    value = int(value)
    return value if -(2**63) <= value < 2**63 else str(value)
