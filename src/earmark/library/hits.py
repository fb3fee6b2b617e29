"""What a search gives back: a sequence of hits that knows its question and shows itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from earmark.types import Hit

Renderer = Callable[["Sequence[Hit]"], str]


@dataclass(frozen=True)
class Hits(Sequence[Hit]):
    """The answers to one question, best first.

    Parameters
    ----------
    items : tuple of Hit
    query : mapping
        The question, as JSON.
    show : callable, optional
        Renders hits as HTML for a notebook (the library sets it).
    notes : tuple of str
        What the asker may want to know: who could not answer, what would answer better.

    Examples
    --------
    >>> len(Hits()), Hits(query={"text": "rain"}).to_json()
    (0, {'query': {'text': 'rain'}, 'hits': []})
    """

    items: tuple[Hit, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    show: Renderer | None = field(default=None, repr=False, compare=False)
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> Hits: ...

    def __getitem__(self, index: int | slice) -> Hit | Hits:
        if isinstance(index, slice):
            return Hits(self.items[index], self.query, self.show, self.notes)
        return self.items[index]

    def to_json(self, *, explain: bool = False) -> dict[str, Any]:
        """Return the question and its hits as the command line and the server print them.

        Parameters
        ----------
        explain : bool
            Add to each hit its rank with everything that found it, and its aspects.
        """
        hits = [h.to_json() | (_why(h) if explain else {}) for h in self.items]
        return {"query": dict(self.query), "hits": hits}

    def _repr_html_(self) -> str | None:
        return self.show(self.items) if self.show else None


def _why(hit: Hit) -> dict[str, Any]:
    aspects = {"aspects": dict(hit.aspects)} if hit.aspects else {}
    return {"ranks": dict(hit.ranks)} | aspects
