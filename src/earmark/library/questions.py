"""What one search can ask, checked: a frozen value that any front end can make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.errors import QueryError
from earmark.library import probes
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike, TrackLike
from earmark.types import Clip, Hit, Track


@dataclass(frozen=True)
class Question:
    """All that one search can ask; see `Library.search` for the fields."""

    text: str | None = None
    audio: AudioLike | None = None
    like: tuple[TrackLike, ...] = ()
    unlike: tuple[TrackLike, ...] = ()
    by: tuple[str, ...] = ()
    where: str | None = None
    aspect: Mapping[str, float] = field(default_factory=dict)
    within: tuple[TrackLike, ...] | None = None
    k: int = 10
    exclude_self: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise QueryError(f"k must be at least 1, got {self.k}")
        if self.text is not None and not self.text.strip():
            raise QueryError("the text of a search must not be empty")
        if self.text is None and self.audio is None and not self.like:
            raise QueryError(
                "a search needs words, a recording or a track to resemble, got none of them",
                hint="give TEXT, --audio FILE or --like ID",
            )
        if self.aspect and self.audio is None and not self.like:
            raise QueryError(
                "aspects are weighed against a recording, got none",
                hint="add --audio FILE or --like ID",
            )
        if self.unlike and self.audio is None and not self.like and self.text is None:
            raise QueryError(
                "'unlike' needs something to resemble besides, got only what to avoid",
                hint="add TEXT, --like ID or --audio FILE",
            )

    def to_json(self) -> dict[str, Any]:
        """Return what was asked, without what was not."""
        values: dict[str, Any] = {
            "text": self.text,
            "audio": None if self.audio is None else name_of(self.audio),
            "like": [name_of(x) for x in self.like],
            "unlike": [name_of(x) for x in self.unlike],
            "by": list(self.by),
            "where": self.where,
            "aspect": dict(self.aspect),
            "within": None if self.within is None else len(self.within),
            "exclude_self": self.exclude_self,
            "exact": self.exact,
        }
        return {name: value for name, value in values.items() if value} | {"k": self.k}


def name_of(thing: AudioLike | TrackLike) -> str | int:
    """Return what to call a recording or a track in an answer.

    Examples
    --------
    >>> name_of("a.wav#0:30-"), name_of(7)
    ('a.wav#30-', 7)
    """
    if isinstance(thing, int):
        return thing
    if isinstance(thing, Track):
        return thing.id
    if isinstance(thing, Clip):
        return thing.source
    if isinstance(thing, probes.Words):
        return str(thing)
    moment = probes.as_moment(thing)
    if moment is None:
        return "samples"
    if not moment.start and moment.end is None:
        return moment.source
    return f"{moment.source}#{moment.start:g}-{'' if moment.end is None else f'{moment.end:g}'}"


def several(things: Any) -> tuple[Any, ...]:
    """Return one thing or a sequence of them as a tuple; hits stand for their tracks.

    Examples
    --------
    >>> several(3), several([3, 4])
    ((3,), (3, 4))
    """
    if isinstance(things, (list, tuple, Hits)):
        return tuple(h.track if isinstance(h, Hit) else h for h in things)
    return (things.track,) if isinstance(things, Hit) else (things,)
