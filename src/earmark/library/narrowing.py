"""Searching within former answers: what names the tracks, and the filter that lets them through.

A former answer is the JSON that ``earmark search --json`` printed; a list of ids or paths, as JSON
or one a line, does as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from earmark.errors import QueryError
from earmark.library import probes
from earmark.library.probes import TrackLike
from earmark.types import And, Expr, In, Int64Array, Store

_RULE = "a former answer must be the JSON of a search, or a list of ids or paths"


def read(text: str) -> list[int | str]:
    """Read which tracks a text names.

    Parameters
    ----------
    text : str
        The JSON of an answer, a JSON list of ids, paths or hits, or one id or path a line.

    Returns
    -------
    list of int or str
        Ids and paths; empty if the answer had no hits.

    Raises
    ------
    QueryError
        If it is JSON of another form, or nothing.

    Examples
    --------
    >>> read('{"hits": [{"track": 3, "path": "a.wav"}]}'), read("3\\nb.wav\\n")
    ([3], [3, 'b.wav'])
    """
    stripped = text.strip()
    if not stripped:
        raise QueryError(f"{_RULE}, got nothing", hint="earmark search ... --json > FILE")
    if stripped[0] not in "[{":
        lines = [line.strip() for line in stripped.splitlines()]
        return [int(line) if line.isdecimal() else line for line in lines if line]
    try:
        data = json.loads(stripped)
    except json.JSONDecodeError as error:
        raise QueryError(f"{_RULE}, got broken JSON: {error}") from None
    if isinstance(data, dict):
        data = data.get("hits")
    if not isinstance(data, list):
        raise QueryError(f"{_RULE}, got JSON without 'hits'")
    return [name for entry in data for name in _names(entry)]


def _names(entry: Any) -> list[int | str]:
    if isinstance(entry, dict) and isinstance(entry.get("hits"), list):
        return [name for hit in entry["hits"] for name in _names(hit)]
    if isinstance(entry, dict):
        entry = entry.get("track", entry.get("path"))
    if isinstance(entry, bool) or not isinstance(entry, (int, str)):
        raise QueryError(f"{_RULE}, got an entry {entry!r}")
    return [entry]


def ids(store: Store, within: Sequence[TrackLike]) -> Int64Array:
    """Ids of the named tracks, ascending, without repetition.

    Raises
    ------
    TrackNotFound
        If one is not in the library.
    """
    found = {probes.find_track(store, thing).id for thing in within}
    return np.array(sorted(found), np.int64)


def tracks(
    store: Store, where: Expr | None, within: Sequence[TrackLike] | None
) -> Int64Array | None:
    """Ids that a filter and a former answer let through, ascending; None for all."""
    passed = None if where is None else store.track_ids(where)
    if within is None:
        return passed
    among = ids(store, within)
    return among if passed is None else np.intersect1d(among, passed)


def narrowed(store: Store, where: Expr | None, within: Sequence[TrackLike] | None) -> Expr | None:
    """The same as a filter, for searches by words; None lets through all."""
    if within is None:
        return where
    among = In("id", tuple(ids(store, within).tolist()))
    return among if where is None else And((where, among))
