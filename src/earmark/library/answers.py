"""The answer to a question: which encoders are asked, and how answers are fused.

Recordings, stored tracks and their opposites (`audio`, `like`, `unlike`) are one ranking per
encoder; words are a ranking of their own: of the metadata, and of each encoder that understands
text.  Several rankings are fused by rank, never by score (`match.fuse`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark import match
from earmark import where as filters
from earmark.errors import QueryError, nearest
from earmark.library import probes
from earmark.library.hits import Hits, Renderer
from earmark.library.probes import Liked
from earmark.library.questions import Question, name_of
from earmark.library.searching import Options, search_probes
from earmark.match import TrackMatch
from earmark.types import (
    Encoded,
    Encoder,
    EncoderSpec,
    Float64Array,
    Hit,
    Int64Array,
    Store,
    TextEncoder,
    Track,
)

METADATA = "metadata"
"""The name under which words in title, artist, path and tags answer."""

_ASKED_BY_NAME = frozenset({"identify", "hum"})
"""Kinds that find the same recording or tune, not what resembles it: they have commands of their
own and answer a search only if `by` names them."""

FUSED_DEPTH = 3
"""Each ranking is read this many times deeper than asked for before it is fused."""

GetEncoder = Callable[[str], Encoder]


@dataclass(frozen=True)
class _Ranking:
    """What one encoder, or the metadata, answered."""

    name: str
    tracks: Mapping[int, TrackMatch | None]
    scores: Mapping[int, float]


def answer(
    store: Store,
    question: Question,
    *,
    get_encoder: GetEncoder,
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
    tracks = None if question.where is None else store.track_ids(filters.parse(question.where))
    rankings = _by_resemblance(store, question, asked, tracks, get_encoder, salvage=salvage)
    if question.text is not None:
        rankings += _by_words(store, question, asked, tracks, get_encoder)
    fused = _fuse(rankings, question.k)
    found = {t.id: t for t in store.tracks([track for track, _, _ in fused])}
    hits = tuple(
        _hit(found[track], score, ranks, rankings, show)
        for track, score, ranks in fused
        if track in found
    )
    return Hits(hits, question.to_json(), show)


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
        if by not in specs and by not in kinds and by != METADATA:
            known = sorted({*specs, *kinds, METADATA})
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


def _by_resemblance(
    store: Store,
    question: Question,
    asked: Mapping[str, EncoderSpec],
    tracks: Int64Array | None,
    get_encoder: GetEncoder,
    *,
    salvage: bool,
) -> list[_Ranking]:
    """One ranking per encoder for recordings and tracks to resemble, or not."""
    liked = [Liked(None, question.audio)] if question.audio is not None else []
    liked += [probes.resolve(store, thing, missing_ok=True) for thing in question.like]
    unliked = [probes.resolve(store, thing, missing_ok=True) for thing in question.unlike]
    if not liked:
        return []
    good = [_rows_of(store, thing, asked, get_encoder, salvage=salvage) for thing in liked]
    bad = [_rows_of(store, thing, asked, get_encoder, salvage=salvage) for thing in unliked]
    own = _own_tracks(store, liked)
    options = Options(
        k=question.k if len(asked) == 1 and question.text is None else FUSED_DEPTH * question.k,
        tracks=tracks,
        exclude=own if question.exclude_self else frozenset(),
        prefer=own,
        exact=question.exact,
    )
    rankings = []
    for name, spec in asked.items():
        present = [rows[name] for rows in good if len(rows[name].rows)]
        avoided = [rows[name] for rows in bad if len(rows[name].rows)]
        if present:
            matches = search_probes(store, spec, present, avoided, options)
            rankings.append(_ranking(name, matches))
    if not rankings:
        raise QueryError(
            f"a query must hold sound, got only silence in {name_of(liked[0].audio)}",
            hint="choose a louder or longer moment",
        )
    return rankings


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


def _rows_of(
    store: Store,
    thing: Liked,
    asked: Mapping[str, EncoderSpec],
    get_encoder: GetEncoder,
    *,
    salvage: bool,
) -> dict[str, Encoded]:
    """Rows by encoder: stored ones of a track, fresh ones of audio outside the library."""
    if thing.track is None:
        encoders = {name: get_encoder(name) for name in asked}
        return probes.encode_audio(thing.audio, encoders, salvage=salvage)
    rows = {}
    for name, spec in asked.items():
        stored = probes.stored_rows(store, name, thing.track.id, start=thing.start, end=thing.end)
        empty = Encoded(np.zeros((0, spec.rows.width), np.float32), np.zeros((0, 2)))
        rows[name] = stored or empty
    return rows


def _by_words(
    store: Store,
    question: Question,
    asked: Mapping[str, EncoderSpec],
    tracks: Int64Array | None,
    get_encoder: GetEncoder,
) -> list[_Ranking]:
    """Rankings for the words: the metadata's, and one of each encoder that understands text."""
    text = question.text or ""
    depth = FUSED_DEPTH * question.k
    rankings = []
    if not question.by or METADATA in question.by:
        expr = None if question.where is None else filters.parse(question.where)
        found = store.find_text(text, depth, where=expr)
        rankings.append(
            _Ranking(METADATA, {m.track: None for m in found}, {m.track: m.score for m in found})
        )
    for name, spec in asked.items():
        encoder = get_encoder(name)
        if not isinstance(encoder, TextEncoder):
            continue
        # Words have no place in time: the NaN never leaves this module.
        nowhere: Float64Array = np.full((1, 2), np.nan)
        probe = Encoded(encoder.encode_text([text]), nowhere)
        options = Options(k=depth, tracks=tracks, exact=question.exact)
        label = name if question.audio is None and not question.like else f"{name}/text"
        rankings.append(_ranking(label, search_probes(store, spec, [probe], [], options)))
    if not rankings:
        raise QueryError(
            f"nothing that 'by' allows understands words, got {', '.join(question.by)}",
            hint=f"try --by {METADATA}",
        )
    return rankings


def _fuse(rankings: Sequence[_Ranking], k: int) -> list[tuple[int, float, Mapping[str, int]]]:
    """Track, score and ranks of the best k; a lone ranking keeps its own scores."""
    answered = [r for r in rankings if r.tracks]
    if len(answered) == 1:
        only = answered[0]
        return [
            (track, only.scores[track], {only.name: rank})
            for rank, track in enumerate(list(only.tracks)[:k], start=1)
        ]
    fused = match.fuse([(r.name, list(r.tracks)) for r in answered])
    return [(f.track, f.score, f.ranks) for f in fused[:k]]


def _hit(
    track: Track,
    score: float,
    ranks: Mapping[str, int],
    rankings: Sequence[_Ranking],
    show: Renderer | None,
) -> Hit:
    """A hit whose moment is that of the ranking that liked the track best and knows a place."""
    by_name = {r.name: r for r in rankings}
    placed = [by_name[n].tracks[track.id] for n in sorted(ranks, key=lambda n: ranks[n])]
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
        by="+".join(ranks),
        ranks=ranks,
        show=_one_by_one(show),
    )
