"""Other versions of a song: tracks whose melody has the same passages, in any key and tempo.

The song's contour is cut into passages; each is looked for as a hum would be, and a track scores by
how near the passages that fit it best come on the average.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from earmark import where
from earmark.encoders import melody
from earmark.errors import QueryError
from earmark.library import humming, probes
from earmark.library.hits import Hits, Renderer
from earmark.library.humming import GetEncoder
from earmark.library.questions import Question
from earmark.melody import matching
from earmark.melody.notes import HOP
from earmark.types import Float32Array, Hit, Store

NAMES = frozenset({"cover", "hum", melody.NAME})
"""What `by` may say to search by melody."""

PASSAGE_SECONDS = 12.0
MOST_PASSAGES = 8
_MISSING = 1.6
"""What a passage costs that has no place in a track, in semitones."""


def asks_for_melody(question: Question) -> bool:
    """Whether a question is about melodies and nothing else."""
    return bool(question.by) and set(question.by) <= NAMES and question.text is None


def find(
    store: Store,
    question: Question,
    *,
    get_encoder: GetEncoder,
    salvage: bool = False,
    show: Renderer | None = None,
) -> Hits:
    """Find other versions of one recording or track; see `Library.search`.

    Raises
    ------
    QueryError
        If the library has no melodies, or the question is not one recording or track.
    """
    things = [*question.like, *([] if question.audio is None else [question.audio])]
    if len(things) != 1 or question.unlike:
        raise QueryError(
            f"a search by melody must have one recording or track to start from, got {len(things)}",
            hint="search --like ID --by cover",
        )
    encoder = humming.melody_encoder(store, get_encoder)
    own: int | None = None
    if question.audio is None:
        track = probes.find_track(store, question.like[0])
        line, own = humming.stored_contour(store, track.id), track.id
    else:
        line, _ = humming.contour_of(question.audio, salvage=salvage, mixtures=True)
    tracks = None if question.where is None else store.track_ids(where.parse(question.where))
    costs: dict[int, list[tuple[float, float, float, float]]] = defaultdict(list)
    passages = _passages(line)
    for begin, part in passages:
        for found in humming.look(store, encoder, part, tracks, starts=False).found:
            costs[found.track].append((found.cost, found.start, found.end, begin))
    ranked = _ranked(costs, len(passages))
    if question.exclude_self and own is not None:
        ranked = [item for item in ranked if item[1] != own]
    query = question.to_json()
    return Hits(_hits(store, ranked[: question.k], costs, show), query, show)


def _passages(line: Float32Array) -> list[tuple[float, Float32Array]]:
    """Passages of a contour with a tune in them, and where they begin in seconds."""
    size = round(PASSAGE_SECONDS / HOP)
    spare = max(0, len(line) - size)
    count = min(MOST_PASSAGES, 1 + int(np.ceil(spare / size)))
    passages = []
    for start in np.linspace(0, spare, count).astype(int).tolist():
        part, before = matching.trimmed(line[start : start + size])
        if not matching.has_tune(part):
            passages.append(((start + before) * HOP, part))
    return passages


def _ranked(
    costs: dict[int, list[tuple[float, float, float, float]]], passages: int
) -> list[tuple[float, int]]:
    """Mean cost of the better half of the passages, and the track; nearest first."""
    half = max(1, (passages + 1) // 2)
    ranked = []
    for track, found in costs.items():
        best = sorted(cost for cost, *_ in found)[:half]
        best += [_MISSING] * (half - len(best))
        ranked.append((float(np.mean(best)), track))
    return sorted(ranked)


def _hits(
    store: Store,
    ranked: list[tuple[float, int]],
    costs: dict[int, list[tuple[float, float, float, float]]],
    show: Renderer | None,
) -> tuple[Hit, ...]:
    tracks = {t.id: t for t in store.tracks([track for _, track in ranked])}
    hits = []
    for cost, number in ranked:
        if number not in tracks:
            continue
        track = tracks[number]
        _, start, end, begin = min(costs[number])
        hits.append(
            Hit(
                track=track,
                score=1.0 / (1.0 + max(0.0, cost)),
                start=round(min(max(0.0, start), track.duration), 3),
                end=round(min(track.duration, end), 3),
                query_start=round(begin, 3),
                query_end=round(begin + PASSAGE_SECONDS, 3),
                by="cover",
                show=None if show is None else lambda hit: show([hit]),
            )
        )
    return tuple(hits)
