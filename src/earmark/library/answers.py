"""The answer to a question: which encoders are asked, and how answers are fused.

Recordings, stored tracks and their opposites (`audio`, `like`, `unlike`) are one ranking per
encoder; words are rankings of their own: of the metadata, of the labels that taggers gave, and of
each encoder that reads.  Several rankings are fused by rank, never by score (`match.fuse`); words
to avoid that no encoder reads push down by the rank of their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

import numpy as np

from earmark import fusing, match
from earmark import where as filters
from earmark.errors import QueryError, nearest
from earmark.library import narrowing
from earmark.library.hits import Hits, Renderer
from earmark.library.hubs import Hubs
from earmark.library.questions import Question
from earmark.library.rankings import METADATA, TAGS, Ranking, Search, rankings_of
from earmark.library.wishes import wishes_of
from earmark.library.wording import GetEncoder, TextVectors
from earmark.types import (
    EncoderSpec,
    Hit,
    Store,
    Track,
)

_ASKED_BY_NAME = frozenset({"identify", "hum"})
"""Kinds that find the same recording or tune, not what resembles it: they have commands of their
own and answer a search only if `by` names them."""


@runtime_checkable
class Steady(Protocol):
    """Capability of a store: many small reads at the price of one."""

    def reading(self) -> AbstractContextManager[None]:
        """Let the reads of this thread be of one snapshot."""


def answer(
    store: Store,
    question: Question,
    *,
    get_encoder: GetEncoder,
    texts: TextVectors | None = None,
    hubs: Hubs | None = None,
    salvage: bool = False,
    show: Renderer | None = None,
) -> Hits:
    """Answer a question from a store.

    Parameters
    ----------
    store : Store
    question : Question
    get_encoder : callable
        Gives the encoder that made the rows of a name, or raises `EncoderMismatch`.
    texts : TextVectors, optional
        Keeps the vectors of words.
    hubs : Hubs, optional
        Keeps what is known of hubs.
    salvage : bool
        Take what can be decoded of a damaged query.
    show : callable, optional
        Renders hits for a notebook.

    Raises
    ------
    QueryError
        If nothing in the library can answer.
    """
    with store.reading() if isinstance(store, Steady) else nullcontext():
        return _answer(
            store,
            question,
            get_encoder=get_encoder,
            texts=texts or TextVectors(),
            hubs=hubs or Hubs(),
            salvage=salvage,
            show=show,
        )


def _answer(
    store: Store,
    question: Question,
    *,
    get_encoder: GetEncoder,
    texts: TextVectors,
    hubs: Hubs,
    salvage: bool,
    show: Renderer | None,
) -> Hits:
    asked = _choose(store.encoders(), question)
    wishes = wishes_of(store, question)
    expr = None if question.where is None else filters.parse(question.where)
    search = Search(
        store=store,
        question=question,
        asked=asked,
        wishes=wishes,
        where=narrowing.narrowed(store, expr, question.within),
        tracks=narrowing.tracks(store, expr, question.within),
        get_encoder=get_encoder,
        texts=texts,
        hubs=hubs,
        salvage=salvage,
    )
    rankings, notes = rankings_of(search)
    fused = _fuse(rankings, question.k)
    found = {t.id: t for t in store.tracks([track for track, _, _ in fused])}
    hits = tuple(
        _hit(found[track], score, ranks, rankings, show)
        for track, score, ranks in fused
        if track in found
    )
    return Hits(hits, question.to_json(), show, notes)


def draw(
    store: Store, k: int, *, seed: int, where: str | None = None, show: Renderer | None = None
) -> Hits:
    """Draw at most `k` tracks at random, without repetition; the same seed draws the same."""
    ids = store.track_ids(None if where is None else filters.parse(where))
    rng = np.random.default_rng(seed)
    chosen = rng.choice(ids, size=min(k, len(ids)), replace=False).tolist() if k > 0 else []
    show_one = _one_by_one(show)
    hits = tuple(
        Hit(track, 0.0, None, None, None, None, "random", show=show_one)
        for track in store.tracks(chosen)
    )
    query = {"random": True, "seed": seed, "k": k} | ({"where": where} if where else {})
    return Hits(hits, query, show)


def _one_by_one(show: Renderer | None) -> Callable[[Hit], str] | None:
    return None if show is None else lambda hit: show([hit])


def _choose(specs: Mapping[str, EncoderSpec], question: Question) -> dict[str, EncoderSpec]:
    """The encoders that `by` lets through; without it all that tell what resembles what."""
    kinds = {spec.kind for spec in specs.values()}
    for by in question.by:
        if by not in specs and by not in kinds and by not in (METADATA, TAGS):
            known = sorted({*specs, *kinds, METADATA, TAGS})
            hint = nearest(by, known) or f"this library knows {', '.join(known)}"
            raise QueryError(
                f"'by' must be an encoder or a kind of this library, got {by!r}", hint=hint
            )
    chosen = {
        name: spec
        for name, spec in specs.items()
        if (name in question.by or spec.kind in question.by)
        or (not question.by and spec.kind not in _ASKED_BY_NAME)
    }
    if not chosen and (question.audio is not None or question.like):
        raise QueryError(
            "no encoder of this library can compare recordings"
            + (f" by {', '.join(question.by)}" if question.by else ": it is empty"),
            hint="index with one: earmark index PATH --encoders timbre",
        )
    return chosen


def _fuse(rankings: Sequence[Ranking], k: int) -> list[tuple[int, float, Mapping[str, int]]]:
    """Track, score and ranks of the best k; a lone ranking keeps its own scores."""
    answered = [r for r in rankings if r.tracks]
    if len(answered) == 1 and answered[0].weight > 0:
        only = answered[0]
        return [
            (track, only.scores[track], {only.name: rank})
            for rank, track in enumerate(list(only.tracks)[:k], start=1)
        ]
    liked = {track for ranking in answered if ranking.weight > 0 for track in ranking.tracks}
    fused = match.fuse(
        [(r.name, list(r.tracks)) for r in answered],
        weights={r.name: r.weight for r in answered},
        k=fusing.RANK_DAMPING,
    )
    return [(f.track, f.score, f.ranks) for f in fused if f.track in liked][:k]


def _hit(
    track: Track,
    score: float,
    ranks: Mapping[str, int],
    rankings: Sequence[Ranking],
    show: Renderer | None,
) -> Hit:
    """A hit whose moment is that of the ranking that liked the track best and knows a place."""
    by_name = {r.name: r for r in rankings}
    liked = [name for name in ranks if by_name[name].weight > 0]
    placed = [by_name[n].tracks[track.id] for n in sorted(liked, key=lambda n: ranks[n])]
    best = next((m for m in placed if m is not None), None)
    query: tuple[float | None, float | None] = (None, None)
    if best is not None and not np.isnan(best.query_start):
        query = (round(best.query_start, 6), round(best.query_end, 6))
    return Hit(
        track=track,
        score=score,
        start=None if best is None else best.start,
        end=None if best is None else best.end,
        query_start=query[0],
        query_end=query[1],
        by="+".join(liked),
        ranks=ranks,
        aspects={} if best is None else best.aspects,
        show=_one_by_one(show),
    )
