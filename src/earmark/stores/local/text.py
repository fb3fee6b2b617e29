"""Words in the metadata: an FTS5 table beside the tracks, and the forgiving of typos.

Every word of a query must be found in a track, as a word or as the beginning of one.  A word that
no track has is replaced by the nearest words of the library: within one edit for 4 to 7 letters,
two for 8 and more (Damerau-Levenshtein, so a swap of neighbours is one edit).
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Mapping, Sequence

from earmark.stores.local.codec import path_text
from earmark.types import Scalar, TextMatch

_WEIGHTS = (10.0, 8.0, 5.0, 5.0, 3.0, 2.0)  # title, artist, album, genre, path, other tags
_MAX_WORDS = 32

ALL = "1"
"""The condition that every track meets."""
_MAX_REPLACEMENTS = 8


def document(
    path: str | bytes, title: str, artist: str, tags: Mapping[str, Scalar]
) -> tuple[str, ...]:
    """Return the texts of a track in the order of the table's columns."""
    others = " ".join(str(tags[n]) for n in sorted(tags) if n not in ("album", "genre"))
    plain = path_text(path).encode("utf-8", "replace").decode("utf-8")
    return title, artist, str(tags.get("album", "")), str(tags.get("genre", "")), plain, others


def put_words(con: sqlite3.Connection, track: int, texts: Sequence[str]) -> None:
    """Store the texts of a track, instead of those it had."""
    con.execute("delete from words where rowid = ?", (track,))
    con.execute(
        "insert into words (rowid, title, artist, album, genre, path, tags) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (track, *texts),
    )


def find(
    con: sqlite3.Connection, text: str, k: int, condition: str, parameters: Sequence[object]
) -> list[TextMatch]:
    """Return the best `k` tracks that have all words of `text`.

    Parameters
    ----------
    condition : str
        SQL on `tracks` with `parameters`; `ALL` for all tracks.
    """
    words = split_words(text)[:_MAX_WORDS]
    if not words:
        return []
    groups = []
    terms: list[str] | None = None
    for word in words:
        if _has_prefix(con, word):
            groups.append(f'("{word}" OR "{word}" *)')
            continue
        if terms is None:
            terms = [row[0] for row in con.execute("select term from vocabulary")]
        replacements = near_words(word, terms)
        if not replacements:
            return []
        groups.append("(" + " OR ".join(f'"{term}"' for term in replacements) + ")")
    weights = ", ".join(str(weight) for weight in _WEIGHTS)
    # Without a filter there is nothing to look up in `tracks`: a third of the time.
    joined = "" if condition == ALL else "join tracks on tracks.id = words.rowid"
    rows = con.execute(
        f"select words.rowid, bm25(words, {weights}) as rank from words {joined} "  # noqa: S608
        f"where words match ? and {condition} order by rank, words.rowid limit ?",
        (" AND ".join(groups), *parameters, k),
    ).fetchall()
    return [TextMatch(int(track), -float(rank)) for track, rank in rows]


def split_words(text: str) -> list[str]:
    """Cut a query to words as the table's tokenizer does: no case, no diacritics.

    Examples
    --------
    >>> split_words("Café_noir, 2. Take")
    ['cafe', 'noir', '2', 'take']
    """
    plain = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode("utf-8"))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).lower()
    plain = unicodedata.normalize("NFC", plain)  # Hangul was taken apart
    return re.findall(r"[^\W_]+", plain)


def _has_prefix(con: sqlite3.Connection, word: str) -> bool:
    row = con.execute(
        "select 1 from vocabulary where term >= ? and term < ? limit 1",
        (word, word + "\U0010ffff"),
    ).fetchone()
    return row is not None


def near_words(word: str, terms: Sequence[str]) -> list[str]:
    """Return the words nearest to one that is not there, all of the least distance allowed.

    Examples
    --------
    >>> near_words("thudner", ["thunder", "under", "rain"])
    ['thunder']
    """
    from rapidfuzz import process
    from rapidfuzz.distance import DamerauLevenshtein

    allowed = 0 if len(word) < 4 else 1 if len(word) < 8 else 2
    if not allowed:
        return []
    close = [term for term in terms if abs(len(term) - len(word)) <= allowed]
    found = process.extract(
        word, close, scorer=DamerauLevenshtein.distance, score_cutoff=allowed, limit=None
    )
    best = min((distance for _, distance, _ in found), default=0)
    return sorted(term for term, distance, _ in found if distance == best)[:_MAX_REPLACEMENTS]
