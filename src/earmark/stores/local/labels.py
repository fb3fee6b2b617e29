"""Labels of tracks: what taggers heard, kept sparsely, and found by filter and by words.

A label of a track is one row of ``marks`` with its moments packed: start, end and score of each as
little-endian float32.  Names are kept once, in ``labels``; ``label_words`` is the full text index
of the names, with stemming ("barking" finds "Bark").
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.errors import DamagedLibrary, InvalidVectors
from earmark.stores.local.codec import row_check
from earmark.stores.local.text import ALL, split_words
from earmark.stores.local.tracks import chunks, clean_text, marks
from earmark.types import Float64Array, Label, TextMatch

_MAX_WORDS = 32
_STOP_WORDS = frozenset(
    {
        "a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "by", "for", "from", "with",
        "without", "is", "are", "it", "its", "this", "that", "as", "some", "sound", "sounds",
        "noise", "noises",
    }
)  # fmt: skip
"""Words that say nothing of which label is meant."""


def check_labels(name: str, labels: Sequence[Label]) -> None:
    """Raise `InvalidVectors` unless labels are named once, with scores and moments in order."""
    seen = set()
    for label in labels:
        moments = np.asarray(label.moments)
        sound = moments.ndim == 2 and moments.shape[1:] == (3,) and len(moments) > 0
        if not sound or not np.isfinite(moments).all() or not math.isfinite(label.score):
            raise InvalidVectors(
                f"a label of {name!r} must have finite moments of shape (n, 3), n > 0, "
                f"got {moments.shape} for {label.name!r}"
            )
        if not label.name.strip() or label.name in seen:
            raise InvalidVectors(f"labels of {name!r} must have names of their own: {label.name!r}")
        seen.add(label.name)


def pack(moments: Float64Array) -> bytes:
    """Return moments, shape (n, 3), as they are stored."""
    return np.ascontiguousarray(moments, "<f4").tobytes()


def unpack(blob: bytes) -> Float64Array:
    """Return moments, shape (n, 3); raises `DamagedLibrary` for what was never packed."""
    if not blob or len(blob) % 12:
        raise DamagedLibrary(
            f"the moments of a label must come in threes of float32, got {len(blob)} bytes",
            hint="see what is affected: earmark verify",
        )
    return np.frombuffer(blob, "<f4").astype(np.float64).reshape(-1, 3)


def put(con: sqlite3.Connection, track: int, encoder: int, labels: Iterable[Label]) -> None:
    """Store the labels that an encoder gave a track, instead of those it gave before."""
    con.execute("delete from marks where track = ? and encoder = ?", (track, encoder))
    for label in labels:
        values = (track, encoder, _number(con, label.name), float(label.score), pack(label.moments))
        con.execute("insert into marks values (?, ?, ?, ?, ?, ?)", (*values, row_check(*values)))


def _number(con: sqlite3.Connection, name: str) -> int:
    """Return the number of a name, giving it one if it is new."""
    name = clean_text(name)
    row = con.execute("select id from labels where name = ?", (name,)).fetchone()
    if row is not None:
        return int(row[0])
    number = int(con.execute("insert into labels (name) values (?)", (name,)).lastrowid or 0)
    con.execute("insert into label_words (rowid, name) values (?, ?)", (number, name))
    return number


def copy(con: sqlite3.Connection, source: int, track: int, encoder: int) -> None:
    """Give a track the labels that an encoder gave another."""
    rows = con.execute(
        "select label, score, moments from marks where track = ? and encoder = ?", (source, encoder)
    ).fetchall()
    con.execute("delete from marks where track = ? and encoder = ?", (track, encoder))
    for row in rows:
        values = (track, encoder, *row)
        con.execute("insert into marks values (?, ?, ?, ?, ?, ?)", (*values, row_check(*values)))


def load(con: sqlite3.Connection, ids: Sequence[int]) -> dict[int, dict[str, list[Label]]]:
    """Return labels of tracks by encoder, best first."""
    found: dict[int, dict[str, list[Label]]] = {}
    for some in chunks([int(i) for i in dict.fromkeys(ids)]):
        for track, encoder, name, score, blob in con.execute(
            "select track, encoders.name, labels.name, score, moments from marks "  # noqa: S608
            "join labels on labels.id = label join encoders on encoders.id = encoder "
            f"where track in ({marks(some)}) order by track, encoders.name, score desc, labels.id",
            some,
        ):
            label = Label(name, score, unpack(blob))
            found.setdefault(track, {}).setdefault(encoder, []).append(label)
    return found


def counts(
    con: sqlite3.Connection, k: int, condition: str, parameters: Sequence[object]
) -> tuple[list[tuple[str, int]], int]:
    """Return the `k` names that most tracks have, with how many have them, and the number of names.

    Parameters
    ----------
    condition : str
        SQL on `tracks` with `parameters`; `ALL` for all tracks.
    """
    joined = "" if condition == ALL else "join tracks on tracks.id = track"
    rows = con.execute(
        f"select label, count(distinct track) as tracks from marks {joined} "  # noqa: S608
        f"where {condition} group by label order by tracks desc, label",
        parameters,
    ).fetchall()
    names = dict(con.execute("select id, name from labels").fetchall())
    return [(names[label], int(count)) for label, count in rows[:k]], len(rows)


@dataclass(frozen=True)
class _Mark:
    label: int
    words: tuple[int, ...]
    score: float


def find(
    con: sqlite3.Connection, text: str, k: int, condition: str, parameters: Sequence[object]
) -> list[TextMatch]:
    """Return the best `k` tracks with labels that have any of the words of `text`.

    Parameters
    ----------
    condition : str
        SQL on `tracks` with `parameters`; `ALL` for all tracks.
    """
    words = [w for w in dict.fromkeys(split_words(text)) if w not in _STOP_WORDS][:_MAX_WORDS]
    total = int(con.execute("select count(*) from labels").fetchone()[0])
    having: dict[int, list[int]] = {}
    weights: list[float] = []
    for word in words:
        numbers = _labels_with(con, word)
        if numbers:
            for number in numbers:
                having.setdefault(number, []).append(len(weights))
            weights.append(math.log(1 + total / len(numbers)))
    if not having or k < 1:
        return []
    # The index of marks alone answers where no filter asks for the tracks themselves.
    tables, where = "marks", "label = ?"
    if condition != ALL:
        tables, where = "marks join tracks on tracks.id = track", f"label = ? and {condition}"
    by_track: dict[int, list[_Mark]] = {}
    for number, which in having.items():
        mark = tuple(which)
        for track, score in con.execute(
            f"select track, score from {tables} where {where}",  # noqa: S608
            (number, *(parameters if condition != ALL else ())),
        ):
            by_track.setdefault(track, []).append(_Mark(number, mark, score))
    share = np.array(weights) / sum(weights)
    scored = [(_score(found, share), track) for track, found in by_track.items()]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    return [_match(con, track, score, by_track[track], share) for score, track in scored[:k]]


def _labels_with(con: sqlite3.Connection, word: str) -> list[int]:
    """Return the labels whose name has a word, by its stem."""
    if not re.fullmatch(r"\w+", word):
        return []
    rows = con.execute("select rowid from label_words where label_words match ?", (f'"{word}"',))
    return [int(row[0]) for row in rows]


def _score(found: Sequence[_Mark], share: Float64Array) -> float:
    if len(found) == 1:
        mark = found[0]
        return round(mark.score * sum(float(share[word]) for word in mark.words), 9)
    best = [0.0] * len(share)
    for mark in found:
        for word in mark.words:
            best[word] = max(best[word], mark.score)
    return round(float(np.array(best) @ share), 9)


def _match(
    con: sqlite3.Connection,
    track: int,
    score: float,
    found: Sequence[_Mark],
    share: Float64Array,
) -> TextMatch:
    """Add the moment that has the most of the words."""
    at: dict[tuple[float, float], Float64Array] = {}
    for mark in found:
        for (blob,) in con.execute(
            "select moments from marks where track = ? and label = ?", (track, mark.label)
        ).fetchall():
            for start, end, here in unpack(blob).tolist():
                best = at.setdefault((start, end), np.zeros(len(share)))
                for word in mark.words:
                    best[word] = max(best[word], here)
    start, end = max(at, key=lambda moment: (float(at[moment] @ share), -moment[0]))
    return TextMatch(track, score, round(start, 3), round(end, 3))
