"""Matchers: from near rows to ranked tracks, and rank fusion of several rankings.

Conventions: distances are small when near, scores large when good.  Equal distances are settled
by the preferred tracks first (the query's own file), then by the smaller track id, so that the
same question always gets the same answer.

Sources: reciprocal rank fusion is Cormack, Clarke and Büttcher, "Reciprocal rank fusion
outperforms Condorcet and individual rank learning methods", SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from earmark import distance as distances
from earmark.types import Float64Array, Int64Array, Metric, Neighbors, Segments

RRF_K = 60
"""Ranks are damped by this constant: the value of the paper."""


@dataclass(frozen=True)
class TrackMatch:
    """How well one track matches a query, and where.

    Parameters
    ----------
    track : int
        Its id.
    distance : float
        Mean over the query's rows of the distance of the nearest row of the track.
    score : float
        The same, large when good.
    start, end : float
        The moment in the track, in seconds: the single best row.
    query_start, query_end : float
        The query's row that it answers, in seconds.
    aspects : mapping
        Similarity and differences by name, where aspects were weighed.
    """

    track: int
    distance: float
    score: float
    start: float
    end: float
    query_start: float
    query_end: float
    aspects: Mapping[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Fused:
    """A track's place after fusion: the summed score, and its 1-based rank in each ranking."""

    track: int
    score: float
    ranks: Mapping[str, int] = field(default_factory=dict)


def best_segment(
    neighbors: Neighbors,
    segments: Segments,
    query_segments: Float64Array,
    *,
    metric: Metric,
    ndim: int,
    prefer: Collection[int] = (),
    most: int | None = None,
) -> list[TrackMatch]:
    """Merge the neighbors of a query's rows to tracks, best first.

    The distance of a track is the mean over the query's rows of that row's nearest neighbor in
    the track.  A row that has no neighbor in the track counts with its farthest neighbor
    anywhere: the track cannot be nearer than that.  The moment is the single best pair of rows
    (the earliest of the query among equals).

    Parameters
    ----------
    neighbors : Neighbors
        Keys and distances, shape (n, k).
    segments : Segments
        Where the rows of ``neighbors.keys.ravel()`` lie, n * k entries; those with track -1 are
        ignored.
    query_segments : float64 array, shape (n, 2)
        Start and end of the query's rows, in seconds.
    metric : {'cosine', 'inner_product', 'l2', 'hamming'}
        Of the distances.
    ndim : int
        Numbers of a row, or bits of a code.
    prefer : collection of int
        Tracks that come first among equals.
    most : int, optional
        Tracks that are wanted at most.

    Returns
    -------
    list of TrackMatch
        Ascending distance; empty without neighbors.

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> near = Neighbors(np.array([[4, 7]]), np.array([[0.0, 16.0]], np.float32), exact=True)
    >>> where = Segments(np.array([2, 1]), np.array([0.5, 0.0]), np.array([1.2, 0.7]))
    >>> best_segment(near, where, np.array([[0.0, 0.7]]), metric="hamming", ndim=128)[0]
    TrackMatch(track=2, distance=0.0, score=1.0, start=0.5, end=1.2, query_start=0.0, query_end=0.7)
    """
    n, k = neighbors.keys.shape
    if len(segments.tracks) != n * k or len(query_segments) != n:
        raise ValueError(
            f"segments and query_segments must have {n * k} and {n} entries, "
            f"got {len(segments.tracks)} and {len(query_segments)}"
        )
    live = np.flatnonzero((segments.tracks >= 0) & (neighbors.keys.ravel() >= 0))
    if not len(live):
        return []
    near = neighbors.distances.ravel()[live].astype(np.float64)
    tracks, owner = np.unique(segments.tracks[live], return_inverse=True)
    means = _mean_distances(near, live // k, owner, n)
    # The best pair of each track: least distance, then the earliest position in the query.
    pair = live[_firsts(np.lexsort((live, near, owner)), owner)]
    preferred = np.isin(tracks, np.fromiter(prefer, np.int64))
    order = np.lexsort((tracks, ~preferred, means))[:most]
    return [
        TrackMatch(
            track=int(tracks[i]),
            distance=float(means[i]),
            score=float(distances.score(metric, ndim, float(means[i]))),
            start=float(segments.starts[pair[i]]),
            end=float(segments.ends[pair[i]]),
            query_start=float(query_segments[pair[i] // k, 0]),
            query_end=float(query_segments[pair[i] // k, 1]),
        )
        for i in order.tolist()
    ]


def _firsts(order: Int64Array, groups: Int64Array) -> Int64Array:
    """The first index of each group in an order that is sorted by group."""
    return order[np.r_[True, np.diff(groups[order]) != 0]]


def _mean_distances(
    near: Float64Array, query_row: Int64Array, owner: Int64Array, n: int
) -> Float64Array:
    """Mean over the query's rows of each track's nearest distance, shape (tracks,).

    Rows without any neighbor say nothing of any track and are left out.
    """
    bound = np.full(n, -np.inf)
    np.maximum.at(bound, query_row, near)
    answered = np.isfinite(bound)
    cell = owner * n + query_row
    best = _firsts(np.lexsort((near, cell)), cell)
    gain = np.bincount(owner[best], weights=near[best] - bound[query_row[best]])
    # Rounded, lest the order of summation decide between tracks that are equally near.
    rounded: Float64Array = np.round((bound[answered].sum() + gain) / answered.sum(), 9)
    return rounded


def fuse(
    rankings: Sequence[tuple[str, Sequence[int]]],
    *,
    weights: Mapping[str, float] | None = None,
    k: int = RRF_K,
) -> list[Fused]:
    """Merge rankings by reciprocal rank: a track scores the sum of ``weight / (k + rank)``.

    Parameters
    ----------
    rankings : sequence of (name, track ids best first)
        Names are unique.
    weights : mapping, optional
        Of a name; 1 for those that are not there.
    k : int
        The larger, the less the first ranks stand out.

    Returns
    -------
    list of Fused
        Best first, equal scores by track id.

    Examples
    --------
    >>> [f.track for f in fuse([("timbre", [1, 2, 3]), ("metadata", [3, 1])])]
    [1, 3, 2]
    """
    scores: dict[int, float] = {}
    ranks: dict[int, dict[str, int]] = {}
    for name, tracks in rankings:
        weight = (weights or {}).get(name, 1.0)
        for rank, track in enumerate(tracks, start=1):
            scores[track] = scores.get(track, 0.0) + weight / (k + rank)
            ranks.setdefault(track, {})[name] = rank
    order = sorted(scores, key=lambda track: (-scores[track], track))
    return [Fused(track, scores[track], ranks[track]) for track in order]
