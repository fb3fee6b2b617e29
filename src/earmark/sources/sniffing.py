"""Whether a file whose suffix says little is a score: a look at its first bytes.

Folders are full of CSV, JSON and XML files that have nothing to do with music; those that speak of
onsets and pitches, or are MusicXML, are taken for scores.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from earmark.audio.suffixes import SCORE_SUFFIXES, VAGUE_SUFFIXES

HEAD_BYTES = 2048

_TIMES = frozenset({"onset", "start", "time", "start_time", "onset_seconds"})
_LENGTHS = frozenset({"duration", "dur", "length", "end", "offset", "end_time"})
_PITCHES = frozenset({"pitch", "midi", "note", "midi_note", "pitch_midi", "frequency", "hz", "f0"})


def suffix(name: str) -> str:
    """The suffix of a name in lower case, with its dot."""
    return PurePosixPath(name).suffix.lower()


def is_vague(name: str) -> bool:
    """Whether one has to look inside to know."""
    return suffix(name) in VAGUE_SUFFIXES


def is_named_score(name: str) -> bool:
    """Whether the suffix alone says that it is a score."""
    return suffix(name) in SCORE_SUFFIXES


def is_score_file(path: str) -> bool:
    """Whether a local file is a score, by its suffix or by a look inside."""
    if is_named_score(path):
        return True
    if not is_vague(path):
        return False
    try:
        with open(path, "rb") as file:
            return looks_like_score(file.read(HEAD_BYTES), path)
    except OSError:
        return False


def looks_like_score(head: bytes, name: str) -> bool:
    """Whether the beginning of a CSV, JSON or XML file is that of a score.

    Examples
    --------
    >>> looks_like_score(b"onset,duration,pitch\\n0,1,60", "a.csv")
    True
    >>> looks_like_score(b"path,label\\na.wav,dog", "manifest.csv")
    False
    """
    text = head.decode("utf-8", "replace").lstrip("\ufeff \r\n\t").lower()
    if suffix(name) == ".xml":
        return "<score-partwise" in text or "<score-timewise" in text
    if suffix(name) == ".json":
        words = set(text.split('"')[1::2])
        return text[:1] in ("[", "{") and bool(words & _PITCHES) and bool(words & _TIMES)
    first = text.splitlines()[0] if text else ""
    names = {column.strip().strip('"') for column in first.replace(";", ",").split(",")}
    return bool(names & _PITCHES) and bool(names & _TIMES) and bool(names & _LENGTHS)
