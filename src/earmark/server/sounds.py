"""What a track sounds and looks like, for routes and music players: bytes, cuts, outlines.

Everything is made by media workers and kept where it is worth it: outlines of whole tracks in the
cache folder, transcoded files in the server's own folder, which goes when it does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from earmark import sources
from earmark.errors import SourceError
from earmark.library.listening import cache_folder
from earmark.server.context import Served
from earmark.server.media import waves
from earmark.server.media.pcm import FORMATS
from earmark.server.media.tasks import CutMoment, Picture, Transcode, Waveform
from earmark.server.problems import Problem
from earmark.types import Float32Array, Track

OUTLINE_RATE = 100.0
"""Steps a second of the kept outlines; a closer look is decoded."""

_OUTLINE_VERSION = 1
_SECONDS_PER_SECOND = 0.1
_LEAST_SECONDS = 30.0
_LONGEST_TRANSCODE = 3 * 3600.0
_TRANSCODED_BYTES = 2_000_000_000
_transcoding = threading.Lock()

# What browsers play as it is: (container, codec) -> media type; containers by FFmpeg's names.
_PLAYABLE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("mp3", ("mp3", "mp3float"), "audio/mpeg"),
    ("wav", ("pcm_s16le", "pcm_s24le", "pcm_u8", "pcm_f32le", "pcm_s32le"), "audio/wav"),
    ("flac", ("flac",), "audio/flac"),
    ("ogg", ("vorbis", "opus", "libvorbis", "libopus", "flac"), "audio/ogg"),
    ("mov,mp4,m4a,3gp,3g2,mj2", ("aac", "mp3", "mp3float", "flac"), "audio/mp4"),
    ("matroska,webm", ("opus", "libopus", "vorbis", "libvorbis"), "audio/webm"),
    ("aac", ("aac",), "audio/aac"),
)
_TYPES = {
    "aiff": "audio/aiff",
    "asf": "audio/x-ms-wma",
    "w64": "audio/x-w64",
    "caf": "audio/x-caf",
    "au": "audio/basic",
    "wv": "audio/x-wavpack",
    "tta": "audio/x-tta",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mov,mp4,m4a,3gp,3g2,mj2": "audio/mp4",
    "matroska,webm": "audio/x-matroska",
}


def playable_type(track: Track) -> str | None:
    """Return the media type of a track that browsers play as it is, else None."""
    for container, codecs, media_type in _PLAYABLE:
        if track.info.container == container and track.info.codec in codecs:
            return media_type
    return None


def media_type(track: Track) -> str:
    """Return the media type of a track's file."""
    return playable_type(track) or _TYPES.get(track.info.container, "application/octet-stream")


@dataclass(frozen=True)
class FileNow:
    """A track's file as it is now: its size, and a tag that changes with it."""

    size: int
    tag: str


def look(track: Track) -> FileNow:
    """Look at a track's file.

    Raises
    ------
    SourceError
        If it is gone.
    """
    found = sources.stat(track.path)
    same = (found.size, found.mtime_ns) == (track.size, track.mtime_ns)
    tag = track.content_hash if same else f"{found.size:x}-{found.mtime_ns:x}"
    return FileNow(found.size, tag)


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a track's file, wherever it lies, to be read as it is."""
    with sources.open_source(path) as opened:
        if isinstance(opened, str):
            with open(opened, "rb") as file:
                yield file
        else:
            yield opened


def _patience(served: Served, seconds: float) -> float:
    return max(_LEAST_SECONDS, served.config.decode_seconds, _SECONDS_PER_SECOND * seconds)


def cut(served: Served, track: Track, start: float, end: float, form: str) -> bytes:
    """Return a moment of a track as a file.

    Raises
    ------
    Problem
        413 for a moment that is too long, 422 for one outside the track.
    """
    check_moment(served, track, start, end)
    task = CutMoment(track.path, track.size, start, min(end, track.duration + 1), form)
    data: bytes = served.media.run(task, _patience(served, end))
    return data


def check_moment(served: Served, track: Track, start: float, end: float) -> None:
    """Check that a moment lies in a track and is not too long.  Raises `Problem`."""
    if not start < end:
        raise Problem(422, f"a moment must end after its start, got {start:g} to {end:g}")
    if start >= track.duration:
        raise Problem(422, f"the moment must begin before {track.duration:g} s, got {start:g}")
    if min(end, track.duration) - start > served.config.max_seconds:
        raise Problem(413, f"a moment may last {served.config.max_seconds:g} s at most")


def transcoded(served: Served, track: Track, form: str, *, bit_rate: int | None = None) -> Path:
    """Return a whole track in another format, as a file that is kept for a while.

    Raises
    ------
    Problem
        413 for a track of many hours.
    """
    if track.duration > _LONGEST_TRANSCODE:
        raise Problem(
            413,
            f"a track of {track.duration:.0f} s is too long to be converted as a whole",
            hint="ask for moments with start and end, or for format=original",
        )
    folder = served.folder / "transcoded"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{track.content_hash}-{bit_rate or 0}.{form}"
    with _transcoding:  # one at a time: a second client finds the file of the first
        if not target.exists():
            _make_room(folder)
            draft = folder / f"{uuid4().hex}.part"
            try:
                task = Transcode(track.path, track.size, str(draft), form, bit_rate)
                served.media.run(task, _patience(served, track.duration))
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
        os.utime(target)
    return target


def _make_room(folder: Path) -> None:
    """Remove the files that were used longest ago until the rest is small enough."""
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= _TRANSCODED_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size


def content_type(form: str) -> str:
    """Return the media type of a format that can be written."""
    return FORMATS[form][0]


def outline(served: Served, track: Track, points: int, start: float, end: float) -> Float32Array:
    """Return the outline of a moment of a track in (at most) so many points, shape (n, 2)."""
    length = max(end - start, 1e-3)
    if points / length > OUTLINE_RATE and length <= served.config.max_seconds:
        task = Waveform(track.path, track.size, points / length, start, end)
        found: Float32Array = served.media.run(task, _patience(served, end))
        return waves.condense(found, points)
    whole = _whole_outline(served, track)
    first, last = int(start * OUTLINE_RATE), max(int(end * OUTLINE_RATE), 1)
    return waves.condense(whole[first : max(last, first + 1)], points)


def _whole_outline(served: Served, track: Track) -> Float32Array:
    folder = cache_folder(served.library.settings) / "outlines"
    kept = folder / f"{track.content_hash}.{_OUTLINE_VERSION}"
    try:
        data = kept.read_bytes()
        if data and len(data) % 2 == 0:
            return waves.from_bytes(data)
    except OSError:
        pass
    task = Waveform(track.path, track.size, OUTLINE_RATE)
    found: Float32Array = served.media.run(task, _patience(served, track.duration))
    data = waves.to_bytes(found)
    with suppress(OSError):  # a cache that cannot be written is only slower
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{uuid4().hex}"
        try:
            draft.write_bytes(data)
            draft.replace(kept)
        finally:
            draft.unlink(missing_ok=True)
    return waves.from_bytes(data)


def picture(
    served: Served, track: Track, start: float, end: float, width: int, height: int
) -> bytes:
    """Return the spectrogram of a moment of a track as a PNG."""
    task = Picture(track.path, track.size, start, end, width, height)
    data: bytes = served.media.run(task, _patience(served, end))
    return data


def gone(error: SourceError) -> Problem:
    """Return the problem that a track's file is not there."""
    return Problem(
        404,
        f"the file of this track cannot be had: {error.reason}",
        hint="index its folder again",
    )
