"""Views of the whole library that need a look at every track: orders, facets, albums.

Each is made once for a state of the library (`Served.keep`), reading tracks some at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from earmark import where as grammar
from earmark.server.context import Served
from earmark.server.problems import Problem
from earmark.types import Expr, Int64Array, Scalar, Track

_CHUNK = 2000
_MOST_VALUES = 40
_MOST_DISTINCT = 20_000

LABEL_FIELD = "tag"
"""What filters call the labels that taggers gave."""

SORTS = ("id", "title", "artist", "album", "path", "duration")


def each_track(served: Served, ids: Int64Array) -> Iterator[Track]:
    """Read tracks some at a time."""
    for at in range(0, len(ids), _CHUNK):
        yield from served.library.store.tracks(ids[at : at + _CHUNK].tolist())


def ids_of(served: Served, where: str | None) -> Int64Array:
    """Return the ids of the tracks that a filter lets through, ascending."""
    expr = None if where is None else grammar.parse(where)
    return served.library.store.track_ids(expr)


def ordered(served: Served, where: str | None, sort: str) -> Int64Array:
    """Return ids in the order of a field; a minus before its name turns it round.

    Raises
    ------
    Problem
        422 for a field that is none of `SORTS`.
    """
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise Problem(422, f"sort must be one of {', '.join(SORTS)} (or -NAME), got {sort!r}")

    def make() -> Int64Array:
        ids = ids_of(served, where)
        if name == "id":
            return ids[::-1] if sort.startswith("-") else ids
        keys = {track.id: _key(track, name) for track in each_track(served, ids)}
        named = sorted((i for i in keys if keys[i] != ""), key=lambda i: (keys[i], i))
        if sort.startswith("-"):
            named.reverse()
        # What has no such name comes last, whichever way.
        return np.array(named + sorted(i for i in keys if keys[i] == ""), np.int64)

    return served.keep(("order", where, sort), make)


def _key(track: Track, name: str) -> Any:
    if name == "duration":
        return track.duration
    if name == "path":
        return track.path
    if name == "album":
        return str(track.tags.get("album", "")).casefold()
    return (track.title if name == "title" else track.artist).casefold()


@dataclass
class _Field:
    values: Counter[Scalar] = field(default_factory=Counter)
    total: int = 0
    numbers: int = 0
    low: float = float("inf")
    high: float = float("-inf")

    def add(self, value: Scalar) -> None:
        self.total += 1
        if not isinstance(value, str):
            self.numbers += 1
            self.low, self.high = min(self.low, value), max(self.high, value)
        if len(self.values) < _MOST_DISTINCT or value in self.values:
            self.values[value] += 1

    def to_json(self, name: str) -> dict[str, Any]:
        kind = "number" if self.numbers == self.total else "text" if not self.numbers else "mixed"
        document: dict[str, Any] = {
            "name": name,
            "type": kind,
            "distinct": len(self.values),
            "values": [
                {"value": value, "count": count}
                for value, count in self.values.most_common(_MOST_VALUES)
            ],
        }
        if self.numbers and self.low <= self.high:
            document |= {"min": self.low, "max": self.high}
        return document


@runtime_checkable
class LabelCounts(Protocol):
    """Capability of a store: how many tracks have each of the labels that taggers gave."""

    def label_counts(
        self, k: int, *, where: Expr | None = None
    ) -> tuple[list[tuple[str, int]], int]:
        """The `k` labels that most tracks have, and how many labels there are."""


def _labels(served: Served, where: str | None) -> dict[str, Any] | None:
    """The facet of what taggers heard: ``tag = 'Dog'`` in filters; None if there are none."""
    store = served.library.store
    if not isinstance(store, LabelCounts):
        return None
    expr = None if where is None else grammar.parse(where)
    counts, distinct = store.label_counts(_MOST_VALUES, where=expr)
    if not counts:
        return None
    values = [{"value": name, "count": count} for name, count in counts]
    return {"name": LABEL_FIELD, "type": "text", "distinct": distinct, "values": values}


def facets(served: Served, where: str | None) -> dict[str, Any]:
    """Return the fields that tell tracks apart, with their most frequent values."""

    def make() -> dict[str, Any]:
        found: dict[str, _Field] = {}
        for track in each_track(served, ids_of(served, where)):
            values: Mapping[str, Scalar] = {
                "artist": track.artist,
                "codec": track.info.codec,
                **track.tags,
            }
            for name, value in values.items():
                if value != "":
                    found.setdefault(name, _Field()).add(value)
        fields = {name: found[name].to_json(name) for name in found}
        if heard := _labels(served, where):
            fields[LABEL_FIELD] = heard
        return {"fields": [fields[name] for name in sorted(fields)]}

    return served.keep(("facets", where), make)
