"""Tags inside files, through mutagen; what it does not know (RIFF INFO, Matroska) from FFmpeg."""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from earmark.audio.media import container_tags
from earmark.errors import EarmarkError
from earmark.sources import open_source
from earmark.tags.values import as_number, field_name
from earmark.types import Scalar

_MAX_TEXT = 4096
_YEAR = re.compile(r"\s*(\d{4})(?:\D|$)")
_ODD = (
    ArithmeticError, AssertionError, AttributeError, EarmarkError, EOFError, LookupError,
    MemoryError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip

# Other formats' names for what ID3's "easy" names call so.
_RENAMED = {
    "tracknumber": "track", "discnumber": "disc", "tempo": "bpm", "initialkey": "key",
    "tkey": "key", "performer": "artist", "description": "comment", "wm_year": "date",
    "wm_genre": "genre", "wm_albumtitle": "album", "wm_albumartist": "albumartist",
    "wm_tracknumber": "track", "wm_composer": "composer", "wm_beatsperminute": "bpm",
    "wm_initialkey": "key", "author": "artist", "originalyear": "year",
    "album_artist": "albumartist",
    "album artist": "albumartist",
}  # fmt: skip
_ID3 = {
    "TIT2": "title", "TPE1": "artist", "TALB": "album", "TPE2": "albumartist", "TCON": "genre",
    "TDRC": "date", "TYER": "date", "TDOR": "originaldate", "TRCK": "track", "TPOS": "disc",
    "TBPM": "bpm", "TKEY": "key", "TCOM": "composer", "TPUB": "publisher", "TCOP": "copyright",
    "TSRC": "isrc", "TLAN": "language", "TMOO": "mood", "TIT1": "grouping", "TIT3": "subtitle",
    "TEXT": "lyricist", "TPE3": "conductor", "TPE4": "remixer", "TENC": "encodedby",
}  # fmt: skip
_MP4 = {
    "\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album", "aART": "albumartist",
    "\xa9gen": "genre", "\xa9day": "date", "trkn": "track", "disk": "disc", "tmpo": "bpm",
    "\xa9wrt": "composer", "\xa9cmt": "comment", "desc": "comment", "cprt": "copyright",
    "\xa9grp": "grouping", "\xa9lyr": "lyrics",
}  # fmt: skip
_LEFT_OUT = frozenset({"metadata_block_picture", "coverart", "lyrics", "encoder", "encodedby"})
_NUMBERS = frozenset({"year", "track", "disc", "bpm"})


@dataclass(frozen=True)
class FileTags:
    """What a file says of itself; empty where it says nothing.

    Parameters
    ----------
    title, artist : str
    tags : mapping
        Everything else, names in lower case.
    """

    title: str = ""
    artist: str = ""
    tags: dict[str, Scalar] = field(default_factory=dict)


def read_tags(path: str) -> FileTags:
    """Read the tags inside a source.

    Tags are a courtesy: whatever is wrong with them, or with the file, gives fewer tags and no
    error.

    Parameters
    ----------
    path : str
        A source as `earmark.sources` names it.

    Returns
    -------
    FileTags
    """
    pairs: list[tuple[str, Any]] = []
    # What mutagen raises on odd bytes is open-ended; a list's `extend` keeps what came before.
    with contextlib.suppress(*_ODD), open_source(path) as source:
        pairs.extend(_mutagen_pairs(source))
    if not pairs:
        with contextlib.suppress(*_ODD), open_source(path) as source:
            pairs.extend(_container_pairs(source))
    return _collect(pairs)


def _mutagen_pairs(source: str | BinaryIO) -> Iterator[tuple[str, Any]]:
    import mutagen

    if not isinstance(source, str):
        source.seek(0)
    try:
        file = mutagen.File(source)
    except mutagen.MutagenError:
        return
    if file is None or not file.tags:
        return
    for key in list(file.tags.keys()):
        with contextlib.suppress(mutagen.MutagenError, *_ODD):
            yield from _values(str(key), file.tags[key])


def _container_pairs(source: str | BinaryIO) -> Iterator[tuple[str, Any]]:
    """Tags that mutagen does not know (RIFF INFO, Matroska, CAF, AVI), from FFmpeg."""
    yield from container_tags(source).items()


def _values(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of one raw tag: an ID3 frame, an MP4 atom, a list of texts."""
    if hasattr(value, "FrameID"):
        yield from _id3(value)
    elif key in _MP4 or key.startswith("----:"):
        name = _MP4.get(key, key.rsplit(":", 1)[-1])
        for item in value if isinstance(value, list) else [value]:
            pair = isinstance(item, tuple)
            yield name, "/".join(str(n) for n in item if n) if pair else item
    elif key.isprintable() and key.isascii():
        for item in value if isinstance(value, list) else [value]:
            yield key.removeprefix("WM/"), getattr(item, "value", item)


def _id3(frame: Any) -> Iterator[tuple[str, Any]]:
    kind = frame.FrameID
    if kind == "COMM":
        if not frame.desc.startswith(("iTun", "ID3v1")):
            yield "comment", "; ".join(frame.text)
    elif kind == "TXXX":
        yield frame.desc, "; ".join(frame.text)
    elif kind == "TCON":
        yield "genre", "; ".join(frame.genres)
    elif kind in _ID3:
        yield _ID3[kind], "; ".join(str(text) for text in frame.text)


def _collect(pairs: Iterable[tuple[str, Any]]) -> FileTags:
    texts: dict[str, list[str]] = {}
    for raw_name, value in pairs:
        text = _text(value)
        name = field_name(raw_name)
        name = _RENAMED.get(name, name)
        if text and name and name not in _LEFT_OUT and text not in texts.setdefault(name, []):
            texts[name].append(text)
    joined = {name: "; ".join(values)[:_MAX_TEXT] for name, values in texts.items() if values}
    title, artist = joined.pop("title", ""), joined.pop("artist", "")
    return FileTags(title, artist, _numbered(joined))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace") if len(value) <= _MAX_TEXT else ""
    text = str(value).replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    return text.strip()


def _numbered(texts: Mapping[str, str]) -> dict[str, Scalar]:
    """Make numbers of the tags that are numbers by their nature."""
    tags: dict[str, Scalar] = dict(texts)
    if "date" in texts and "year" not in texts and (match := _YEAR.match(texts["date"])):
        tags["year"] = match[1]
    for name in _NUMBERS & tags.keys():
        first, _, total = str(tags[name]).partition("/")
        if (number := as_number(first.strip().lstrip("0") or "0")) is not None:
            tags[name] = number
            if (count := as_number(total.strip())) is not None:
                tags[f"{name}total"] = count
    return tags
