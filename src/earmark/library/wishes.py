"""What a search shall resemble and what not: tracks, recordings and words, each with a weight.

``X^2`` weighs twice, ``X^0.5`` half.  What names no track and no file, and does not look like the
name of one, is taken as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earmark.audio.suffixes import AUDIO_SUFFIXES
from earmark.errors import AudioError, QueryError, TrackNotFound
from earmark.library import probes
from earmark.library.probes import Liked, TrackLike, Words
from earmark.library.questions import Question
from earmark.types import Store

MAX_WORDS = 300
"""A longer text is refused: no model of words reads on, and the rest would be ignored."""

_WEIGHTED = re.compile(r"(?P<thing>.+)\^(?P<weight>\d+(?:\.\d*)?|\.\d+)", re.DOTALL)


@dataclass(frozen=True)
class Wish:
    """A thing to resemble: a track or recording (`thing`), or words (`text`)."""

    thing: Liked | None = None
    text: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """All that a question wants, and wants to avoid."""

    liked: tuple[Wish, ...] = ()
    unliked: tuple[Wish, ...] = ()

    @property
    def sounds(self) -> list[Wish]:
        """The liked tracks and recordings."""
        return [wish for wish in self.liked if wish.thing is not None]

    @property
    def words(self) -> list[Wish]:
        """The liked words."""
        return [wish for wish in self.liked if wish.thing is None]

    @property
    def unliked_words(self) -> list[Wish]:
        """The words to avoid."""
        return [wish for wish in self.unliked if wish.thing is None]


def check_text(text: str) -> str:
    """Return words without the space around them.

    Raises
    ------
    QueryError
        If there are none, or more than `MAX_WORDS`.
    """
    if not text.strip():
        raise QueryError("the text of a search must not be empty")
    if (count := len(text.split())) > MAX_WORDS:
        raise QueryError(
            f"the text of a search must have at most {MAX_WORDS} words, got {count}",
            hint="say what is to be heard in a sentence",
        )
    return text.strip()


def wishes_of(store: Store, question: Question) -> Wishes:
    """Resolve what a question likes and does not.

    Raises
    ------
    TrackNotFound, AudioError
        If something that looks like an id or a file is not there.
    """
    liked = [Wish(text=check_text(question.text))] if question.text is not None else []
    if question.audio is not None:
        liked.append(Wish(Liked(None, question.audio)))
    return Wishes(
        (*liked, *_resolved(store, question.like)), tuple(_resolved(store, question.unlike))
    )


def _resolved(store: Store, things: Iterable[TrackLike]) -> Iterable[Wish]:
    for thing in things:
        if isinstance(thing, Words):
            yield Wish(text=check_text(thing.text), weight=_checked(thing.weight, thing))
        else:
            yield _resolve(store, *weighed(thing))


def weighed(thing: TrackLike) -> tuple[TrackLike, float]:
    """Return a thing without its weight, and the weight.

    Raises
    ------
    QueryError
        If the weight is 0.

    Examples
    --------
    >>> weighed("voice^2"), weighed(42)
    (('voice', 2.0), (42, 1.0))
    """
    if not isinstance(thing, str) or Path(thing).exists():
        return thing, 1.0
    match = _WEIGHTED.fullmatch(thing)
    if match is None:
        return thing, 1.0
    return match["thing"], _checked(float(match["weight"]), thing)


def weighed_words(text: str) -> Words:
    """Return a text as words, with the weight at its end; nothing is looked for under its name.

    Examples
    --------
    >>> weighed_words("voice^2"), weighed_words("rain")
    (Words(text='voice', weight=2.0), Words(text='rain', weight=1.0))
    """
    match = _WEIGHTED.fullmatch(text)
    return Words(text) if match is None else Words(match["thing"], float(match["weight"]))


def _checked(weight: float, thing: object) -> float:
    if not 0 < weight <= 1e6:
        raise QueryError(f"a weight must be more than 0, got {str(thing)!r}", hint="leave it out")
    return weight


def _resolve(store: Store, thing: TrackLike, weight: float) -> Wish:
    try:
        return Wish(probes.resolve(store, thing, missing_ok=True), weight=weight)
    except (TrackNotFound, AudioError):
        if not isinstance(thing, str) or not is_words(thing):
            raise
    return Wish(text=check_text(thing), weight=weight)


def is_words(text: str) -> bool:
    """Say whether a text that names nothing looks like words, not like a mistyped name.

    Examples
    --------
    >>> is_words("a dog barking"), is_words("dog.wav"), is_words("42"), is_words("a/b")
    (True, False, False, False)
    """
    name = text.partition("#")[0].strip()
    looks_like_file = "/" in name or "\\" in name or Path(name).suffix.lower() in AUDIO_SUFFIXES
    return not (looks_like_file or name.isdecimal() or not name)
