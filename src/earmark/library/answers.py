"""The answer to a question: which encoders are asked, and how answers are fused.

Recordings, stored tracks and their opposites (`audio`, `like`, `unlike`) are one ranking per
encoder; words are rankings of their own: of the metadata, of the labels that taggers gave, and of
each encoder that reads.  Several rankings are fused by rank, never by score (`match.fuse`); words
to avoid that no encoder reads push down by the rank of their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark import match
from earmark import where as filters
from earmark.errors import QueryError, nearest
from earmark.library import aspects, narrowing, probes
from earmark.library.hits import Hits, Renderer
from earmark.library.probes import Liked
from earmark.library.questions import Question, name_of
from earmark.library.searching import Options, Weighted, search_probes
from earmark.library.wishes import Wish, Wishes, wishes_of
from earmark.library.wording import GetEncoder, TextVectors, as_probe, by_labels, readers
from earmark.match import TrackMatch
from earmark.types import (
    AspectEncoder,
    Encoded,
    Encoder,
    EncoderSpec,
    Expr,
    Hit,
    Int64Array,
    Store,
    TextMatch,
    Track,
)

METADATA = "metadata"
"""The name under which words in title, artist, path and tags of files answer."""

TAGS = "tags"
"""The name under which words in the labels that taggers gave answer."""

NO_READER = (
    "words were looked for in the metadata and the stored tags; what words mean is found with a "
    "text model: pip install 'earmark[clap]', then earmark index PATH --encoders clap"
)
"""The note of an answer to words that no model read."""

_ASKED_BY_NAME = frozenset({"identify", "hum"})
"""Kinds that find the same recording or tune, not what resembles it: they have commands of their
own and answer a search only if `by` names them."""

FUSED_DEPTH = 3
"""Each ranking is read this many times deeper than asked for before it is fused."""


@dataclass(frozen=True)
class _Ranking:
    """What one encoder, or the metadata, answered."""

    name: str
    tracks: Mapping[int, TrackMatch | None]
    scores: Mapping[int, float]
    weight: float = 1.0


def answer(
    store: Store,
    question: Question,
    *,
    get_encoder: GetEncoder,
    texts: TextVectors | None = None,
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
    salvage : bool
        Take what can be decoded of a damaged query.
    show : callable, optional
        Renders hits for a notebook.

    Raises
    ------
    QueryError
        If nothing in the library can answer.
    """
    asked = _choose(store.encoders(), question)
    wishes = wishes_of(store, question)
    expr = None if question.where is None else filters.parse(question.where)
    search = _Search(
        store=store,
        question=question,
        asked=asked,
        wishes=wishes,
        where=narrowing.narrowed(store, expr, question.within),
        tracks=narrowing.tracks(store, expr, question.within),
        get_encoder=get_encoder,
        texts=texts or TextVectors(),
        salvage=salvage,
    )
    rankings, notes = _rankings(search)
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


@dataclass(frozen=True)
class _Search:
    """A question, resolved, with all that answering it needs."""

    store: Store
    question: Question
    asked: Mapping[str, EncoderSpec]
    wishes: Wishes
    where: Expr | None
    tracks: Int64Array | None
    get_encoder: GetEncoder
    texts: TextVectors
    salvage: bool

    @property
    def depth(self) -> int:
        """How far each of several rankings is read."""
        return FUSED_DEPTH * self.question.k

    def allows(self, name: str) -> bool:
        """Say whether words may be looked for there."""
        return not self.question.by or name in self.question.by


def _rankings(search: _Search) -> tuple[list[_Ranking], tuple[str, ...]]:
    wishes = search.wishes
    worded = bool(wishes.words or wishes.unliked_words)
    reading, notes = (
        readers(search.asked, search.get_encoder, search.question.by) if worded else ({}, ())
    )
    rankings = _by_resemblance(search, reading) if wishes.sounds else []
    if wishes.words:
        rankings += _by_words(search, reading)
        if not reading and search.allows(METADATA):
            notes = (*notes, NO_READER)
    if wishes.unliked_words and not reading and search.allows(TAGS):
        found = by_labels(search.store, wishes.unliked_words, 10 * search.depth, search.where)
        strength = max(wish.weight for wish in wishes.unliked_words)
        rankings.append(_of_texts(f"{TAGS}/unlike", found, weight=-strength))
    return rankings, notes


def _by_resemblance(search: _Search, reading: Mapping[str, Encoder]) -> list[_Ranking]:
    """One ranking per encoder for recordings and tracks to resemble, or not."""
    question, asked, wishes = search.question, search.asked, search.wishes
    weighed = _weighed(asked, question, search.get_encoder)
    if weighed:
        asked = {name: asked[name] for name in weighed}
    liked = [wish.thing for wish in wishes.sounds if wish.thing is not None]
    good = [(_rows_of(search, wish, reading), wish.weight) for wish in wishes.sounds]
    bad = [(_rows_of(search, wish, reading), wish.weight) for wish in wishes.unliked]
    own = _own_tracks(search.store, liked)
    alone = len(asked) == 1 and not wishes.words and not wishes.unliked_words
    options = Options(
        k=question.k if alone else search.depth,
        tracks=search.tracks,
        exclude=own if question.exclude_self else frozenset(),
        prefer=own,
        exact=question.exact,
    )
    rankings = []
    for name, spec in asked.items():
        present = [Weighted(rows[name], w) for rows, w in good if len(rows[name].rows)]
        avoided = [
            Weighted(rows[name], w) for rows, w in bad if name in rows and len(rows[name].rows)
        ]
        if present:
            if name in weighed:
                encoder, weights = weighed[name]
                matches = aspects.search(
                    search.store, spec, encoder, present, avoided, weights, options
                )
            else:
                matches = search_probes(search.store, spec, present, avoided, options)
            rankings.append(_ranking(name, matches))
    if not rankings:
        raise QueryError(
            f"a query must hold sound, got only silence in {name_of(liked[0].audio)}",
            hint="choose a louder or longer moment",
        )
    return rankings


def _weighed(
    asked: Mapping[str, EncoderSpec], question: Question, get_encoder: GetEncoder
) -> dict[str, tuple[AspectEncoder, dict[str, float]]]:
    """Encoders that can weigh aspects, with the weights; empty if none are asked for."""
    if not question.aspect:
        return {}
    encoders = {name: get_encoder(name) for name in asked}
    found: dict[str, tuple[AspectEncoder, dict[str, float]]] = {
        name: (encoder, aspects.checked(question.aspect, encoder))
        for name, encoder in encoders.items()
        if isinstance(encoder, AspectEncoder)
    }
    if not found:
        raise QueryError(
            f"aspects need an encoder that knows them, got {', '.join(asked)}",
            hint="earmark rebuild --encoder timbre --profile default",
        )
    return found


def _ranking(name: str, matches: Sequence[TrackMatch]) -> _Ranking:
    return _Ranking(name, {m.track: m for m in matches}, {m.track: m.score for m in matches})


def _own_tracks(store: Store, liked: Sequence[Liked]) -> frozenset[int]:
    """The tracks that are what the query resembles, under whatever path."""
    own: set[int] = set()
    for thing in liked:
        if thing.track is not None:
            own |= {thing.track.id} | probes.same_content(store, [thing.track.content_hash])
        else:
            own |= probes.same_recording(store, thing.audio)
    return frozenset(own)


def _rows_of(search: _Search, wish: Wish, reading: Mapping[str, Encoder]) -> dict[str, Encoded]:
    """Rows by encoder: of a track the stored ones, of audio and words fresh ones."""
    if wish.thing is None:
        return {
            name: as_probe(search.texts.get(encoder, wish.text))
            for name, encoder in reading.items()
        }
    thing = wish.thing
    if thing.track is None:
        encoders = {name: search.get_encoder(name) for name in search.asked}
        return probes.encode_audio(thing.audio, encoders, salvage=search.salvage)
    rows = {}
    for name, spec in search.asked.items():
        stored = probes.stored_rows(
            search.store, name, thing.track.id, start=thing.start, end=thing.end
        )
        empty = Encoded(np.zeros((0, spec.rows.width), np.float32), np.zeros((0, 2)))
        rows[name] = stored or empty
    return rows


def _by_words(search: _Search, reading: Mapping[str, Encoder]) -> list[_Ranking]:
    """Rankings for the words: the metadata's, the labels', and one of each encoder that reads."""
    wishes, question = search.wishes, search.question
    rankings = []
    if search.allows(METADATA) and question.text is not None:
        found = search.store.find_text(question.text.strip(), search.depth, where=search.where)
        rankings.append(_of_texts(METADATA, found))
    if search.allows(TAGS):
        rankings.append(
            _of_texts(TAGS, by_labels(search.store, wishes.words, search.depth, search.where))
        )
    options = Options(k=search.depth, tracks=search.tracks, exact=question.exact)
    bad = [(_rows_of(search, wish, reading), wish.weight) for wish in wishes.unliked]
    for name, encoder in reading.items():
        liked = [
            Weighted(as_probe(search.texts.get(encoder, wish.text)), wish.weight)
            for wish in wishes.words
        ]
        avoided = [Weighted(rows[name], w) for rows, w in bad if len(rows[name].rows)]
        label = f"{name}/text" if wishes.sounds else name
        matches = search_probes(search.store, search.asked[name], liked, avoided, options)
        rankings.append(_ranking(label, matches))
    if not rankings and not wishes.sounds:
        raise QueryError(
            f"nothing that 'by' allows understands words, got {', '.join(question.by)}",
            hint=f"try --by {METADATA}",
        )
    return rankings


def _of_texts(name: str, found: Sequence[TextMatch], *, weight: float = 1.0) -> _Ranking:
    """A ranking of tracks found by words; labels know a moment, metadata does not."""
    nan = float("nan")
    return _Ranking(
        name,
        {
            m.track: None
            if m.start is None or m.end is None
            else TrackMatch(m.track, -m.score, m.score, m.start, m.end, nan, nan)
            for m in found
        },
        {m.track: m.score for m in found},
        weight,
    )


def _fuse(rankings: Sequence[_Ranking], k: int) -> list[tuple[int, float, Mapping[str, int]]]:
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
    )
    return [(f.track, f.score, f.ranks) for f in fused if f.track in liked][:k]


def _hit(
    track: Track,
    score: float,
    ranks: Mapping[str, int],
    rankings: Sequence[_Ranking],
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
