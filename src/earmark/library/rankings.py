"""Rankings of tracks for a question: by resemblance, and by words.

Recordings, stored tracks and their opposites (`audio`, `like`, `unlike`) are one ranking per
encoder; words are rankings of their own: of the metadata, of the labels that taggers gave, and of
each encoder that reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from earmark import fusing
from earmark.errors import QueryError
from earmark.library import aspects, probes
from earmark.library.hubs import Hubs
from earmark.library.probes import Liked
from earmark.library.questions import Question, name_of
from earmark.library.searching import Options, Weighted, search_probes
from earmark.library.wishes import Wish, Wishes
from earmark.library.wording import GetEncoder, TextVectors, as_probe, by_labels, readers
from earmark.match import TrackMatch
from earmark.types import (
    AspectEncoder,
    Encoded,
    Encoder,
    EncoderSpec,
    Expr,
    Int64Array,
    Store,
    Tagger,
    TextMatch,
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

FUSED_DEPTH = 3
"""Each ranking is read this many times deeper than asked for before it is fused, ..."""

LEAST_DEPTH = 50
"""... and at least so deep."""


@dataclass(frozen=True)
class Ranking:
    """What one encoder, or the metadata, answered."""

    name: str
    tracks: Mapping[int, TrackMatch | None]
    scores: Mapping[int, float]
    weight: float = 1.0


@dataclass(frozen=True)
class Search:
    """A question, resolved, with all that answering it needs."""

    store: Store
    question: Question
    asked: Mapping[str, EncoderSpec]
    wishes: Wishes
    where: Expr | None
    tracks: Int64Array | None
    get_encoder: GetEncoder
    texts: TextVectors
    hubs: Hubs
    salvage: bool

    @property
    def depth(self) -> int:
        """How far each of several rankings is read."""
        return max(FUSED_DEPTH * self.question.k, LEAST_DEPTH)

    def allows(self, name: str) -> bool:
        """Say whether words may be looked for there."""
        return not self.question.by or name in self.question.by


def rankings_of(search: Search) -> tuple[list[Ranking], tuple[str, ...]]:
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


def _by_resemblance(search: Search, reading: Mapping[str, Encoder]) -> list[Ranking]:
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
    weights = dict.fromkeys(asked, 1.0)
    if len(asked) > 1:
        weights = fusing.weights_for(asked, _task(search, wishes.sounds[0], good[0][0]))
    rankings = []
    for name, spec in asked.items():
        present = [Weighted(rows[name], w) for rows, w in good if len(rows[name].rows)]
        avoided = [
            Weighted(rows[name], w) for rows, w in bad if name in rows and len(rows[name].rows)
        ]
        if present:
            if name in weighed:
                encoder, given = weighed[name]
                matches = aspects.search(
                    search.store, spec, encoder, present, avoided, given, options
                )
            else:
                matches = search_probes(search.store, spec, present, avoided, options)
            if len(asked) > 1:
                matches = search.hubs.corrected(search.store, spec, matches)
            rankings.append(replace(_ranking(name, matches), weight=weights[name]))
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


def _task(search: Search, wish: Wish, rows: Mapping[str, Encoded]) -> str:
    """What kind of sound is asked with, by the labels that a tagger gave it or gives it now."""
    if wish.thing is None:
        return fusing.task_of(None, 0.0)
    track = wish.thing.track
    if track is not None:
        stored = search.store.labels([track.id]).get(track.id)
        scores = {x.name: x.score for given in stored.values() for x in given} if stored else None
        return fusing.task_of(scores, track.duration)
    for name, encoded in rows.items():
        encoder = search.get_encoder(name)
        if encoded.label_scores is not None and isinstance(encoder, Tagger) and len(encoded.rows):
            best = encoded.label_scores.max(axis=0)
            seconds = float(encoded.segments[-1, 1] - encoded.segments[0, 0])
            return fusing.task_of(dict(zip(encoder.labels, best.tolist(), strict=True)), seconds)
    return fusing.task_of(None, 0.0)


def _ranking(name: str, matches: Sequence[TrackMatch]) -> Ranking:
    return Ranking(name, {m.track: m for m in matches}, {m.track: m.score for m in matches})


def _own_tracks(store: Store, liked: Sequence[Liked]) -> frozenset[int]:
    """The tracks that are what the query resembles, under whatever path."""
    own: set[int] = set()
    for thing in liked:
        if thing.track is not None:
            own |= {thing.track.id} | probes.same_content(store, [thing.track.content_hash])
        else:
            own |= probes.same_recording(store, thing.audio)
    return frozenset(own)


def _rows_of(search: Search, wish: Wish, reading: Mapping[str, Encoder]) -> dict[str, Encoded]:
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


def _by_words(search: Search, reading: Mapping[str, Encoder]) -> list[Ranking]:
    """Rankings for the words: the metadata's, the labels', and one of each encoder that reads."""
    wishes, question = search.wishes, search.question
    rankings = []
    if search.allows(METADATA) and (question.text is not None or not (wishes.sounds or reading)):
        rankings.append(_of_texts(METADATA, _in_metadata(search)))
    if search.allows(TAGS):
        rankings.append(
            _of_texts(TAGS, by_labels(search.store, wishes.words, search.depth, search.where))
        )
    options = Options(k=FUSED_DEPTH * question.k, tracks=search.tracks, exact=question.exact)
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


def _in_metadata(search: Search) -> list[TextMatch]:
    """Tracks whose metadata has the text, or, without one, any of the liked words: best first."""
    text = search.question.text
    asked = [text.strip()] if text is not None else [wish.text for wish in search.wishes.words]
    found: dict[int, TextMatch] = {}
    for one in asked:
        for match in search.store.find_text(one, search.depth, where=search.where):
            if match.track not in found or match.score > found[match.track].score:
                found[match.track] = match
    return sorted(found.values(), key=lambda match: -match.score)


def _of_texts(name: str, found: Sequence[TextMatch], *, weight: float = 1.0) -> Ranking:
    """A ranking of tracks found by words; labels know a moment, metadata does not."""
    nan = float("nan")
    return Ranking(
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
