"""Which files are scores, and reading any of them."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from earmark.audio.suffixes import NOTE_LIST_SUFFIXES, SCORE_SUFFIXES, VAGUE_SUFFIXES
from earmark.errors import DecodeError
from earmark.melody import abc, midi, musicxml, note_lists
from earmark.melody.notes import HIGHEST, LOWEST, Score

MOST_BYTES = 64_000_000
"""A larger file is refused: no score is."""

_XML = (".musicxml", ".mxl", ".xml")


def is_score(path: str) -> bool:
    """Whether a file is a score, by its suffix.

    Examples
    --------
    >>> is_score("/music/tune.MID"), is_score("/music/tune.wav")
    (True, False)
    """
    return _suffix(path) in SCORE_SUFFIXES | VAGUE_SUFFIXES


def read_score(data: bytes, path: str) -> Score:
    """Read a score.

    Parameters
    ----------
    data : bytes
        The file's content.
    path : str
        Its name; the suffix says what it is.

    Returns
    -------
    Score

    Raises
    ------
    DecodeError
        If it is damaged, or has no melody.
    """
    if not data:
        raise DecodeError(path, "the file is empty")
    if len(data) > MOST_BYTES:
        raise DecodeError(path, f"a score must have at most {MOST_BYTES} bytes, got {len(data)}")
    suffix = _suffix(path)
    if suffix == ".abc":
        score = abc.read_abc(_text(data), name=path)
    elif suffix in _XML:
        score = musicxml.read_musicxml(data, name=path)
    elif suffix in NOTE_LIST_SUFFIXES:
        score = note_lists.read_note_list(data, suffix=suffix[1:], name=path)
    else:
        score = midi.read_midi(data, name=path)
    heard = (score.notes[:, 2] >= LOWEST) & (score.notes[:, 2] <= HIGHEST)
    if not np.any(heard):
        raise DecodeError(path, f"pitches must lie in {LOWEST:.0f} to {HIGHEST:.0f} semitones")
    return score


def _suffix(path: str) -> str:
    return PurePosixPath(path.split("?")[0] if "://" in path else path).suffix.lower()


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
