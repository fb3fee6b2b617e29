"""Suggestions: tracks like some and unlike others that are not all the same; and paths of tracks.

Recommending is a search whose answers are chosen one by one by maximal marginal relevance
(Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
producing summaries", SIGIR 1998): each is the best by ``(1 - d) relevance - d likeness`` to what
was chosen before.  Relevance is the score between the worst and the best candidate's, likeness the
cosine of the tracks' vectors (`spaces`), both in 0 ... 1.

A playlist from A to B is the path of exactly `length` tracks of least cost among those that never
turn back: along it the share ``d(A, x) / (d(A, x) + d(x, B))`` rises, so no track comes twice and
dynamic programming finds the best path exactly.  A step costs its squared distance, by which equal
steps are the cheapest, and `EVEN` times the squared deviation of its gain in share from an even
one: else a path would leap into a crowd of copies of one sound and stay there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from earmark.errors import QueryError, UsageError
from earmark.library.hits import Hits
from earmark.library.spaces import TrackVectors
from earmark.types import Float32Array, Float64Array, Hit, Int64Array, Track

ONE_PER = ("file", "artist", "none")
DEPTH = 10
"""Suggestions are chosen among this many times more candidates."""

EVEN = 3.0
"""How much an uneven gain costs beside squared distances."""

MAX_STATIONS = 1500
"""Most tracks between A and B that a path is looked for among."""


@dataclass(frozen=True)
class Taste:
    """How suggestions are chosen.

    Parameters
    ----------
    k : int
        How many.
    diversity : float
        0: the best ones; towards 1: unlike each other.
    one_per : {'file', 'artist', 'none'}
        No two of the same content, or of the same artist besides; tracks without an artist count
        as their own.
    """

    k: int = 10
    diversity: float = 0.3
    one_per: str = "file"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k must be at least 1, got {self.k}")
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"diversity must be within 0 and 1, got {self.diversity}")
        if self.one_per not in ONE_PER:
            raise UsageError(f"one_per must be one of {', '.join(ONE_PER)}, got {self.one_per!r}")


def identity(track: Track, one_per: str) -> tuple[str, ...]:
    """Return the names under which a track counts as the same as another."""
    if one_per == "none":
        return (f"id:{track.id}",)
    names = (f"content:{track.content_hash}",)
    if one_per == "artist" and track.artist.strip():
        return (*names, f"artist:{track.artist.strip().casefold()}")
    return names


def diverse(hits: Sequence[Hit], vectors: TrackVectors, taste: Taste) -> list[Hit]:
    """Choose among candidates, best first, by maximal marginal relevance.

    Candidates without a vector count as unlike all others.
    """
    if not hits:
        return []
    scores = np.array([hit.score for hit in hits])
    low, high = scores.min(), scores.max()
    relevance = (scores - low) / (high - low) if high > low else np.ones(len(hits))
    rows = _rows_of(vectors, [hit.track.id for hit in hits])
    likeness = np.zeros(len(hits))
    chosen: list[int] = []
    seen: set[str] = set()
    open_ = np.ones(len(hits), bool)
    while len(chosen) < taste.k and open_.any():
        gain = (1 - taste.diversity) * relevance - taste.diversity * likeness
        best = int(np.argmax(np.where(open_, gain, -np.inf)))
        open_[best] = False
        names = identity(hits[best].track, taste.one_per)
        if seen.intersection(names):
            continue
        seen.update(names)
        chosen.append(best)
        likeness = np.maximum(likeness, np.clip(rows @ rows[best], 0, 1))
    return [hits[i] for i in chosen]


def _rows_of(vectors: TrackVectors, tracks: Sequence[int]) -> Float32Array:
    rows = np.zeros((len(tracks), vectors.rows.shape[1]), np.float32)
    for place, track in enumerate(tracks):
        at = vectors.at(track)
        if at >= 0:
            rows[place] = vectors.rows[at]
    return rows


# --- paths -------------------------------------------------------------------------------------


def path(vectors: TrackVectors, first: int, last: int, length: int) -> list[int]:
    """Return the ids of a smooth path; shorter than `length` where there are too few tracks.

    Parameters
    ----------
    vectors : TrackVectors
        With both ends.
    first, last : int
        Ids.
    length : int
        Tracks in all, both ends included; at least 2.

    Raises
    ------
    QueryError
        If an end has no vector (silence), or both are the same track.
    """
    if length < 2:
        raise UsageError(f"a path needs a length of at least 2, got {length}")
    if first == last:
        raise QueryError(
            "a path needs two different ends, got the same track twice",
            hint="--like X makes a radio of one track",
        )
    begin, end = vectors.at(first), vectors.at(last)
    for track, place in ((first, begin), (last, end)):
        if place < 0:
            raise QueryError(
                f"track {track} has no rows to compare, so no path leads there",
                hint="silence and scores have no rows of sound; else earmark index adds them",
            )
    stations, share = _stations(vectors.rows, begin, end)
    order = _shortest(vectors.rows[stations], share, length)
    return [int(vectors.ids[stations[i]]) for i in order]


def _distance(rows: Float32Array, row: Float32Array) -> Float32Array:
    """Euclidean distances on the sphere."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * (rows @ row), 0)), np.float32)


def _stations(rows: Float32Array, begin: int, end: int) -> tuple[Int64Array, Float64Array]:
    """Tracks near the way in the order of their share of it, and the shares: from 0 to 1."""
    from_a, to_b = _distance(rows, rows[begin]), _distance(rows, rows[end])
    detour = (from_a + to_b).astype(np.float64)
    share = from_a / np.maximum(detour, 1e-9)
    share[begin], share[end] = 0.0, 1.0
    detour[[begin, end]] = -1.0
    near = np.sort(np.argsort(detour, kind="stable")[: MAX_STATIONS + 2])
    near = near[(near != begin) & (near != end)]
    ordered: Int64Array = near[np.argsort(share[near], kind="stable")]
    ordered = np.concatenate([[begin], ordered, [end]])
    return ordered, share[ordered].astype(np.float64)


def _shortest(rows: Float32Array, share: Float64Array, length: int) -> list[int]:
    """The path of `length` stations of least cost, always ahead in their order."""
    count = len(rows)
    length = min(length, count)
    steps = np.maximum(2 - 2 * (rows @ rows.T), 0).astype(np.float64)  # squared distances
    gain = share[None, :] - share[:, None]
    steps += EVEN * (length - 1) * np.square(gain - 1 / max(length - 1, 1))
    steps[np.tril_indices(count)] = np.inf  # only ahead
    cost = np.full(count, np.inf)
    cost[0] = 0.0
    came: list[Int64Array] = []
    for _ in range(length - 1):
        total = cost[:, None] + steps
        before = np.argmin(total, axis=0)
        cost = total[before, np.arange(count)]
        came.append(before)
    at, order = count - 1, [count - 1]
    for before in reversed(came):
        at = int(before[at])
        order.append(at)
    return order[::-1]


def smooth(vectors: TrackVectors, tracks: Sequence[int]) -> list[int]:
    """Order tracks so that each is followed by the nearest that is left, the first one first."""
    if not tracks:
        return []
    rows = _rows_of(vectors, tracks)
    left = list(range(1, len(tracks)))
    order = [0]
    while left:
        best = int(np.argmax(rows[left] @ rows[order[-1]]))
        order.append(left.pop(best))
    return [tracks[i] for i in order]


def as_hits(
    found: Sequence[Track],
    vectors: TrackVectors,
    *,
    by: str,
    show: Callable[[Hit], str] | None,
) -> tuple[Hit, ...]:
    """Return the tracks of a path; each scores its likeness to the one before it, the first 1."""
    hits = []
    rows = _rows_of(vectors, [track.id for track in found])
    for place, track in enumerate(found):
        score = 1.0 if place == 0 else float(rows[place] @ rows[place - 1])
        hits.append(Hit(track, score, None, None, None, None, by, show=show))
    return tuple(hits)


def suggested(hits: Hits, vectors: TrackVectors, taste: Taste) -> Hits:
    """Return the chosen suggestions of a search, with the question they answer."""
    query = {name: value for name, value in hits.query.items() if name != "exclude_self"} | {
        "k": taste.k,
        "diversity": taste.diversity,
        "one_per": taste.one_per,
    }
    return replace(hits, items=tuple(diverse(hits.items, vectors, taste)), query=query)
