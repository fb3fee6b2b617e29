"""``earmark identify --stream``: what is heard in live sound, as it becomes certain."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earmark.cli import common
from earmark.errors import SourceError
from earmark.moments import format_range, format_time

if TYPE_CHECKING:
    from earmark.library import Library
    from earmark.types import Clip, Hit

MICROPHONE = "mic"


@dataclass(frozen=True)
class Asked:
    """The options of ``earmark identify``."""

    files: tuple[str, ...]
    k: int
    every: bool
    confidence: float | None
    exact_range: bool
    cue: str | None
    stream: bool
    pcm: str | None
    where: str | None
    as_json: bool


def row(hit: Hit) -> list[str]:
    """What a table says of a hit."""
    from earmark.cli import tables

    heard = format_range(hit.query_start or 0, hit.query_end or 0)
    moment = tables.moment(hit)
    if hit.exact:
        heard = _exact(hit.query_start, hit.query_end)
        moment = _exact(hit.start, hit.end)
    return [f"{hit.score:.2f}", heard, moment, tables.describe(hit.track)]


def _exact(start: float | None, end: float | None) -> str:
    """A range to the hundredth of a second."""
    times = [round(100 * max(0.0, time or 0.0)) for time in (start, end)]
    return "-".join(f"{format_time(time // 100)}.{time % 100:02}" for time in times)


def run(lib: Library, asked: Asked) -> int:
    """Follow a stream until it ends or the user stops it.

    With JSON, one list is written piece by piece: an object for each recording, as soon as it is
    certain.
    """
    name = asked.files[0]
    told = 0
    query = {"audio": name, "stream": True}
    if asked.as_json:
        print("[", end="", flush=True)
    try:
        with closing(_blocks(lib, asked)) as blocks:
            for hit in lib.follow(blocks, confidence=asked.confidence, where=asked.where):
                if asked.as_json:
                    answer = json.dumps({"query": query, "hits": [hit.to_json()]})
                    print(",\n" * bool(told) + answer, end="", flush=True)
                else:
                    print("  ".join(row(hit)), flush=True)
                told += 1
    except KeyboardInterrupt:
        common.say("stopped")
    finally:
        if asked.as_json:
            print("]", flush=True)
    if not told:
        common.say(f"no match: {name}")
    return 0 if told else common.NOTHING_FOUND


def _blocks(lib: Library, asked: Asked) -> Generator[Clip]:
    from earmark.audio import live

    rate, name = lib.identify_rate, asked.files[0]
    if name == MICROPHONE:
        yield from live.microphone_blocks(rate)
        return
    pcm = live.Pcm.parse(asked.pcm) if asked.pcm else None
    if name == "-":
        yield from live.pipe_blocks(sys.stdin.buffer, rate, pcm=pcm)
        return
    try:
        with open(name, "rb") as file:
            yield from live.pipe_blocks(file, rate, pcm=pcm, name=name)
    except OSError as error:
        raise SourceError(name, f"cannot be read: {error.strerror or error}") from error
