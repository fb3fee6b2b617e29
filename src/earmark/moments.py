"""Times and moments as people write them: ``1:23.5``, ``song.mp3#0:30-0:45``.

A moment is a source with optional start and end in seconds.  A ``#`` that is part of a file's
own name does no harm: only ``#START-END`` with numbers at the very end is read as times.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from earmark.errors import QueryError

_MOMENT = re.compile(r"(?P<source>.+)#(?P<start>[\d.:]*)-(?P<end>[\d.:]*)", re.DOTALL)
_TIME = re.compile(r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)")


@dataclass(frozen=True)
class Moment:
    """A source, from `start` to `end` seconds (None: to its end)."""

    source: str
    start: float = 0.0
    end: float | None = None


def parse_time(text: str) -> float:
    """Read seconds, ``mm:ss`` or ``h:mm:ss``, each with decimals.

    Raises
    ------
    QueryError
        If the text is none of these.

    Examples
    --------
    >>> parse_time("1:02.5")
    62.5
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise QueryError(
            f"a time must be seconds, mm:ss or h:mm:ss, got {text!r}", hint="for example 90 or 1:30"
        )
    hours, minutes = (int(match[name] or 0) for name in ("hours", "minutes"))
    return hours * 3600 + minutes * 60 + float(match["seconds"])


def parse_moment(text: str) -> Moment:
    """Read ``SOURCE`` or ``SOURCE#START-END``; either time may be left out.

    Raises
    ------
    QueryError
        If a time is malformed or the end is not after the start.

    Examples
    --------
    >>> parse_moment("a.wav#0:30-")
    Moment(source='a.wav', start=30.0, end=None)
    """
    match = _MOMENT.fullmatch(text)
    if match is None or not (match["start"] or match["end"]):
        return Moment(text)
    start = parse_time(match["start"]) if match["start"] else 0.0
    end = parse_time(match["end"]) if match["end"] else None
    if end is not None and end <= start:
        raise QueryError(f"a moment must end after its start, got {match['start']}-{match['end']}")
    return Moment(match["source"], start, end)


def format_time(seconds: float) -> str:
    """Write seconds as ``m:ss``, from an hour on as ``h:mm:ss``; fractions are cut off.

    Examples
    --------
    >>> format_time(62.9), format_time(3723)
    ('1:02', '1:02:03')
    """
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_range(start: float, end: float, *, dash: str = "-") -> str:
    """Write a range as ``m:ss-m:ss``, outward to whole seconds but for a tenth of one.

    Examples
    --------
    >>> format_range(61.7, 65.02), format_range(4.95, 5.2)
    ('1:01-1:05', '0:05-0:06')
    """
    return f"{format_time(start + 0.1)}{dash}{format_time(math.ceil(end - 0.1))}"
