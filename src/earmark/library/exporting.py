"""A library's tracks as a playlist (m3u), a table (csv, parquet) or a document (json).

Columns of a table are the fixed ones of `COLUMNS`, then every tag that a track has, by name.
Paths that are not UTF-8 keep their bytes in m3u and csv, and are ``\\udcXX`` escapes in json;
parquet cannot hold them and gets the escapes as text.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from earmark.errors import NotAvailable, UsageError, nearest
from earmark.types import Scalar, Track

FORMATS = ("m3u", "csv", "json", "parquet")

COLUMNS = (
    "track",
    "path",
    "title",
    "artist",
    "duration",
    "sample_rate",
    "channels",
    "codec",
    "size",
    "content_hash",
)


def track_json(track: Track) -> dict[str, Any]:
    """Return a track as the command line prints it: the fixed columns and its tags."""
    return {
        "track": track.id,
        "path": track.path,
        "title": track.title,
        "artist": track.artist,
        "duration": track.duration,
        "sample_rate": track.info.sample_rate,
        "channels": track.info.channels,
        "codec": track.info.codec,
        "size": track.size,
        "content_hash": track.content_hash,
        "tags": dict(track.tags),
    }


def export(tracks: Iterable[Track], form: str) -> bytes:
    """Return tracks in one of `FORMATS`, as the bytes of a file.

    Raises
    ------
    UsageError
        For another format.
    NotAvailable
        For parquet without pyarrow.

    Examples
    --------
    >>> export([], "m3u")
    b'#EXTM3U\\n'
    """
    if form == "m3u":
        return _m3u(tracks)
    if form == "csv":
        return _csv(list(tracks))
    if form == "json":
        return (json.dumps([track_json(t) for t in tracks], indent=1) + "\n").encode("ascii")
    if form == "parquet":
        return _parquet(list(tracks))
    raise UsageError(
        f"the format must be one of {', '.join(FORMATS)}, got {form!r}",
        hint=nearest(form, FORMATS),
    )


def _m3u(tracks: Iterable[Track]) -> bytes:
    lines = ["#EXTM3U"]
    for track in tracks:
        title = " - ".join(part for part in (track.artist, track.title) if part)
        # A line break in a name would begin a new entry.
        label = " ".join((title or track.path.rpartition("/")[2]).split())
        path = track.path
        if "\n" in path or "\r" in path:  # only a URI can hold such a name on one line
            path = "file://" + quote(os.fsencode(path))
        lines += [f"#EXTINF:{round(track.duration)},{label}", path]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _table(tracks: Sequence[Track]) -> tuple[list[str], list[dict[str, Scalar]]]:
    """Column names, and a flat row per track; a tag never hides a fixed column."""
    names = sorted({name for track in tracks for name in track.tags} - set(COLUMNS))
    rows = []
    for track in tracks:
        row = track_json(track)
        tags = row.pop("tags")
        rows.append({name: tags[name] for name in names if name in tags} | row)
    return [*COLUMNS, *names], rows


def _csv(tracks: Sequence[Track]) -> bytes:
    columns, rows = _table(tracks)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _parquet(tracks: Sequence[Track]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise NotAvailable(
            "parquet needs the package pyarrow", hint="pip install 'earmark[parquet]'"
        ) from None
    columns, rows = _table(tracks)
    arrays = [_column(pa, [row.get(name) for row in rows]) for name in columns]
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(columns, arrays, strict=True))), sink)
    return sink.getvalue()


def _column(pa: Any, values: Sequence[Scalar | None]) -> Any:
    """One typed column; tags that are text here and numbers there become text."""
    if any(isinstance(value, str) for value in values):
        texts = [
            None if v is None else str(v).encode("utf-8", "backslashreplace").decode("utf-8")
            for v in values
        ]
        return pa.array(texts, pa.string())
    if any(isinstance(value, float) for value in values):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array(list(values), pa.int64())
