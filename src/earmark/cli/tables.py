"""Tables for people: plain text, cut to the width of the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from earmark.moments import format_range, format_time
from earmark.types import Hit, Track

MIN_NAME = 20
"""The last column keeps at least this width, whatever the terminal."""


def hits_table(hits: Sequence[Hit], *, explain: bool = False) -> str:
    """Return hits as a table: rank, score, moment, by, and what it is."""
    head = ["", "score", "moment", "by"] + (["ranks"] if explain else []) + ["track"]
    rows = []
    for rank, hit in enumerate(hits, start=1):
        row = [str(rank), f"{hit.score:.3f}", moment(hit), hit.by]
        if explain:
            why = [f"{name}:{place}" for name, place in hit.ranks.items()]
            why += [f"{name}={value:.2f}" for name, value in hit.aspects.items()]
            row.append(" ".join(why))
        rows.append([*row, describe(hit.track)])
    return table(head, rows, right={0, 1})


def tracks_table(tracks: Sequence[Track]) -> str:
    """Return tracks as a table: id, length, and what it is."""
    rows = [[str(t.id), format_time(t.duration), describe(t)] for t in tracks]
    return table(["id", "length", "track"], rows, right={0, 1})


def moment(hit: Hit) -> str:
    """Return where in the track, as ``m:ss-m:ss``."""
    if hit.start is None or hit.end is None:
        return ""
    return format_range(hit.start, hit.end)


def describe(track: Track) -> str:
    """Return artist and title if a track has them, then its path."""
    title = " - ".join(part for part in (track.artist, track.title) if part)
    return clean(f"{title}  {track.path}" if title else track.path)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]) -> str:
    """Lay out columns; the last one is shortened in its middle to fit the terminal.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences of str
    right : set of int
        Columns that are aligned on the right.
    """
    terminal = shutil.get_terminal_size((100, 24)).columns
    columns = range(len(head) - 1)
    widths = [max(width(row[i]) for row in [head, *rows]) for i in columns]
    room = max(MIN_NAME, terminal - sum(widths) - 2 * len(widths))
    lines = []
    for row in [head, *rows]:
        cells = [_pad(row[i], widths[i], right=i in right) for i in columns]
        lines.append("  ".join([*cells, shorten(row[-1], room)]).rstrip())
    return "\n".join(lines)


def _pad(text: str, size: int, *, right: bool) -> str:
    blank = " " * (size - width(text))
    return blank + text if right else text + blank


def width(text: str) -> int:
    """Return the columns that a text takes on a terminal; wide letters take two."""
    return sum(
        0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text
    )


def shorten(text: str, room: int) -> str:
    """Cut the middle out of a text so that it fits; the ends of paths tell them apart.

    Examples
    --------
    >>> shorten("/music/some/long/folder/song.wav", 20)
    '/music/…der/song.wav'
    """
    if width(text) <= room:
        return text
    head = room // 3 + 1
    tail = room - head - 1
    while width(text[:head]) + 1 + width(text[-tail:]) > room and tail > 1:
        head, tail = max(head - 1, 1), tail - 1
    return f"{text[:head]}…{text[-tail:]}"


def clean(text: str) -> str:
    """Return a text without what would move the cursor: control characters become spaces."""
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else " " for c in text)


def size(count: float) -> str:
    """Return bytes for people.

    Examples
    --------
    >>> size(1_500_000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
