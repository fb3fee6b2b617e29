"""Requests from what is asked: sounds as bytes, tracks as numbers.

A whole local file is sent as it is; a moment of one, a clip or an array is sent as a WAV of 32-bit
floats, so that nothing is lost on the way.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import NotAvailable, QueryError, SourceError, TrackNotFound
from earmark.library import probes
from earmark.library.probes import AudioLike, TrackLike
from earmark.library.remote.client import Client
from earmark.library.wishes import is_words, weighed_words
from earmark.moments import Moment, parse_moment
from earmark.types import AnyArray, Clip, Track

_WEIGHED = re.compile(r"(?P<thing>.+)(?P<weight>\^[0-9.]{1,8})", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Sound:
    """A sound to send, and where it begins in its source (seconds)."""

    data: bytes
    start: float = 0.0


def sound_of(audio: AudioLike) -> Sound:
    """Return a recording, a moment of one, a clip or an array as bytes.

    Raises
    ------
    SourceError, DecodeError
        If a file cannot be had, or its moment not be decoded.
    QueryError
        For anything else.
    """
    moment = probes.as_moment(audio)
    if moment is not None:
        return _of_file(moment)
    if isinstance(audio, Clip):
        return Sound(float_wav(audio.samples, audio.sample_rate), audio.start)
    if isinstance(audio, tuple) and len(audio) == 2:
        from earmark.audio import read_array

        clip = read_array(np.asarray(audio[0]), int(audio[1]))
        return Sound(float_wav(clip.samples, clip.sample_rate))
    raise QueryError(
        "audio must be a path, a Clip, or a pair of samples and sample rate, "
        f"got {type(audio).__name__}",
        hint="for an array: search(audio=(samples, 44100))",
    )


def _of_file(moment: Moment) -> Sound:
    from earmark import audio, sources

    path = sources.canonical(moment.source)
    with sources.open_source(path) as opened:
        if moment.start or moment.end is not None:
            clip = audio.read(
                opened, start=moment.start, end=moment.end, name=moment.source, salvage=True
            )
            return Sound(float_wav(clip.samples, clip.sample_rate), moment.start)
        try:
            return Sound(Path(opened).read_bytes() if isinstance(opened, str) else opened.read())
        except OSError as error:
            raise SourceError(path, f"cannot be read: {error.strerror or error}") from error


def float_wav(samples: AnyArray, sample_rate: int) -> bytes:
    """Return mono samples, shape (n,), as a WAV of 32-bit floats."""
    data = np.ascontiguousarray(samples, "<f4").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1),
        *(sample_rate, 4 * sample_rate, 4, 32, b"data", len(data)),
    )
    return header + data


def track_number(client: Client, thing: TrackLike) -> str:
    """Return a track as servers know it: its number, with the moment if there is one.

    Raises
    ------
    TrackNotFound
        If no track has this path.
    """
    if isinstance(thing, Track):
        return str(thing.id)
    if isinstance(thing, int):
        return str(thing)
    if isinstance(thing, str) and (weighed := _WEIGHED.fullmatch(thing)):
        return track_number(client, weighed["thing"]) + weighed["weight"]
    if isinstance(thing, str) and thing.partition("#")[0].isdecimal():
        moment = parse_moment(thing)
        return _numbered(int(moment.source), moment)
    moment = probes.as_moment(thing) or Moment(str(thing))
    return _numbered(find_path(client, moment.source), moment)


def _numbered(number: int, moment: Moment) -> str:
    if not moment.start and moment.end is None:
        return str(number)
    end = "" if moment.end is None else f"{moment.end:.6f}"
    return f"{number}#{moment.start:.6f}-{end}"


def check_there(thing: str | os.PathLike[str] | Moment) -> None:
    """Raise unless this names something that can be read, or a number (which is no file).

    Raises
    ------
    SourceError
        If nothing is there.
    TrackNotFound
        For a number.
    """
    from earmark import sources

    moment = probes.as_moment(thing) or Moment(str(thing))
    if moment.source.isdecimal():
        raise TrackNotFound(f"no track has the id {moment.source}")
    sources.stat(sources.canonical(moment.source))


def are_words(thing: object) -> bool:
    """Whether something that names no track is words, with or without a weight."""
    if not isinstance(thing, str):
        return False
    bare = weighed_words(thing).text
    return is_words(bare) and not Path(bare).exists()


def unknown(thing: object) -> TrackNotFound:
    """Return the error that a recording is not in the library."""
    return TrackNotFound(
        f"no track has the path {thing}",
        hint="a remote library knows its own tracks; give other recordings as audio=...",
    )


def find_path(client: Client, path: str) -> int:
    """Return the number of the track at a path of the server's machine.

    Raises
    ------
    TrackNotFound
        If there is none.
    NotAvailable
        If the server does not let this client ask for paths.
    """
    from earmark import sources

    for name in dict.fromkeys((sources.canonical(path), path)):
        quoted = name.replace("'", "''")
        answer = client.get("/tracks", {"where": f"path = '{quoted}'", "limit": 1})
        if answer["tracks"]:
            return int(answer["tracks"][0]["track"])
    raise unknown(path)


def refuse(what: str) -> NotAvailable:
    """Return the error that something needs the library itself."""
    return NotAvailable(
        f"{what} needs the library itself, not a server", hint="run it where the library lies"
    )
