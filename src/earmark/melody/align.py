"""How well a query lies over a tune at given places, whatever its key and nearly its tempo.

Two steps.  A *line* is the query laid over a stretch of the tune at one tempo: the key is the
median of the differences, the cost their clipped mean.  A *warp* then lets the tempo breathe around
the best lines: dynamic programming in a band along the line, for all candidates at once, a column
of the band after the other.  Differences of about an octave count as a small error (trackers and
voices both jump octaves); rests of the query weigh little.

Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition"
(1978), with their slope constraint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.melody.notes import HOP
from earmark.melody.windows import hold
from earmark.types import Float32Array, Float64Array, Int64Array

LINE_POINTS = 40
"""Points of the query that a line looks at."""

GRID = 0.1
"""Seconds of the query between the points that a warp looks at."""

MOST_POINTS = 160

CAP = 3.0
"""Semitones beyond which a difference is simply wrong."""

FOLD_COST = 1.0
"""What a difference of an octave costs beside its rest, in semitones."""

BAND = 0.14
"""How far a warp may leave its line, in lengths of the query."""

STRETCH_COST = (0.25, 0.9)
"""What it costs to go half or twice as fast at a point, and to stop or go three times as fast."""


@dataclass(frozen=True)
class Points:
    """A query as alignment looks at it: held pitches and weights, each of shape (n,)."""

    pitches: Float32Array
    weights: Float32Array
    duration: float


@dataclass(frozen=True)
class Targets:
    """Contours of candidates, one after the other, with held pitches.

    `first` and `count` say where each contour lies, arrays of shape (candidates,).
    """

    pitches: Float32Array
    voiced: Float32Array
    first: Int64Array
    count: Int64Array


def query_points(line: Float32Array, *, points: int) -> Points:
    """Cut a query's contour, shape (frames,), into evenly spaced points."""
    held = hold(line[None])[0]
    at = np.minimum(
        ((np.arange(points) + 0.5) * len(line) / points).astype(np.int64), len(line) - 1
    )
    weights = np.where(line[at] > 0, 1.0, 0.15).astype(np.float32)
    return Points(held[at], weights / weights.sum(), len(line) * HOP)


def warp_points(line: Float32Array) -> Points:
    """Cut a query's contour into the points that a warp looks at."""
    points = int(np.clip(round(len(line) * HOP / GRID), 8, MOST_POINTS))
    return query_points(line, points=points)


def targets(contours: list[Float32Array]) -> Targets:
    """Put contours of candidates, each of shape (frames,), together."""
    count = np.array([len(c) for c in contours], np.int64)
    joined = np.concatenate([np.zeros(0, np.float32), *contours])
    first = np.cumsum(count) - count
    held = _held(joined, np.repeat(first, count))
    return Targets(held, (joined > 0).astype(np.float32), first, count)


def _held(joined: Float32Array, first: Int64Array) -> Float32Array:
    """`windows.hold` of contours in a row; `first` says where each frame's contour begins."""
    if not len(joined):
        return joined
    index = np.arange(len(joined))
    last = np.maximum.accumulate(np.where(joined > 0, index, -1))
    after = np.minimum.accumulate(np.where(joined > 0, index, len(joined) - 1)[::-1])[::-1]
    held: Float32Array = joined[np.where(last >= first, last, after)]
    return held


def folded(difference: Float32Array) -> Float32Array:
    """Return what differences in semitones cost: clipped, octaves folded."""
    octaves = np.rint(difference * np.float32(1 / 12))
    rest = np.abs(difference - 12 * octaves)
    rest += np.where(octaves == 0, np.float32(0), np.float32(FOLD_COST))
    out: Float32Array = np.minimum(rest, np.float32(CAP))
    return out


def _gather(
    found: Targets, which: Int64Array, times: Float64Array
) -> tuple[Float32Array, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Held pitches at times, shape (m, n), of candidates, and whether they lie inside."""
    index = np.floor(times / HOP).astype(np.int64)
    count = found.count[which][:, None]
    inside = (index >= 0) & (index < count)
    place = found.first[which][:, None] + np.clip(index, 0, count - 1)
    return found.pitches[place], inside


def lines_cost(
    query: Points,
    found: Targets,
    which: Int64Array,
    starts: Float64Array,
    ratios: Float64Array,
) -> tuple[Float32Array, Float32Array]:
    """Lay a query over candidates along straight lines.

    Parameters
    ----------
    query : Points
    found : Targets
    which : int64 array, shape (m,)
        Index of the candidate of each line.
    starts, ratios : float64 arrays, shape (m,)
        Where the query begins, in seconds of the candidate, and how many of its seconds go to one
        of the candidate.

    Returns
    -------
    keys, costs : float32 arrays, shape (m,)
        Semitones that the query lies above the candidate, and the mean cost, 0 to `CAP`.
    """
    n = len(query.pitches)
    along = (np.arange(n) + 0.5) / n * query.duration
    pitches, inside = _gather(found, which, starts[:, None] + along / ratios[:, None])
    difference = query.pitches - pitches
    keys = np.median(difference, axis=1, keepdims=True).astype(np.float32)
    cost = np.where(inside, folded(difference - keys), np.float32(CAP))
    return keys[:, 0], (cost * query.weights).sum(axis=1)


def warp_cost(
    query: Points,
    found: Targets,
    which: Int64Array,
    starts: Float64Array,
    ratios: Float64Array,
    keys: Float32Array,
) -> Float32Array:
    """Lay a query over candidates along lines that may bend.

    Parameters
    ----------
    query, found, which, starts, ratios
        As for `lines_cost`.
    keys : float32 array, shape (m,)

    Returns
    -------
    float32 array, shape (m,)
        The mean cost of the best path in the band, what its bends cost included.
    """
    score, _ = _warp(query, found, which, starts, ratios, keys, trace=False)
    best: Float32Array = score.min(axis=1)
    return best


def band_width(query: Points) -> int:
    """Half of the band, in half points of the query."""
    return max(4, round(BAND * 2 * len(query.pitches)))


def _warp(
    query: Points,
    found: Targets,
    which: Int64Array,
    starts: Float64Array,
    ratios: Float64Array,
    keys: Float32Array,
    *,
    trace: bool,
) -> tuple[Float32Array, list[Int64Array]]:
    """Costs of all ends of the band, shape (m, band), and the steps that led there."""
    n, half = len(query.pitches), band_width(query)
    unit = query.duration / n / 2
    along = (np.arange(2 * n + 2 * half + 1) - half + 1) * unit
    pitches, inside = _gather(found, which, starts[:, None] + along / ratios[:, None])
    shifted = pitches + keys[:, None]
    away = np.where(inside, np.float32(0), np.float32(CAP))
    score = np.zeros((len(which), 2 * half + 1), np.float32)
    steps: list[Int64Array] = []
    for i in range(n):
        here = slice(2 * i, 2 * i + 2 * half + 1)
        cost = np.maximum(folded(query.pitches[i] - shifted[:, here]), away[:, here])
        if i:
            score, step = _advance(score, float(query.weights[i]), trace=trace)
            steps.append(step)
        score = score + cost * query.weights[i]
    return score, steps


def _advance(score: Float32Array, weight: float, *, trace: bool) -> tuple[Float32Array, Int64Array]:
    """The best way to each place of the band, from the places one point earlier."""
    padded = np.pad(score, ((0, 0), (2, 2)), constant_values=np.inf)
    near, far = (np.float32(c * weight) for c in STRETCH_COST)
    width = score.shape[1]
    ways = [
        padded[:, 2 + d : 2 + d + width] + c
        for d, c in ((0, np.float32(0)), (-1, near), (1, near), (-2, far), (2, far))
    ]
    if not trace:
        best = ways[0]
        for way in ways[1:]:
            best = np.minimum(best, way)
        return best, np.zeros(0, np.int64)
    stacked = np.stack(ways)
    step = stacked.argmin(axis=0)
    moves = np.array([0, -1, 1, -2, 2])
    return np.take_along_axis(stacked, step[None], axis=0)[0], moves[step]


@dataclass(frozen=True)
class Path:
    """Where each point of a query lies in its tune.

    Parameters
    ----------
    query_times, target_times : float64 arrays, shape (n,)
        In seconds.
    residuals : float32 array, shape (n,)
        Query less tune less key, in semitones, octaves not folded.
    cost : float
    """

    query_times: Float64Array
    target_times: Float64Array
    residuals: Float32Array
    cost: float


def paths(
    query: Points,
    found: Targets,
    which: Int64Array,
    starts: Float64Array,
    ratios: Float64Array,
    keys: Float32Array,
) -> list[Path]:
    """Return the best path of each warp; the arguments are those of `warp_cost`."""
    score, steps = _warp(query, found, which, starts, ratios, keys, trace=True)
    n, half = len(query.pitches), band_width(query)
    rows = np.arange(len(which))
    at = score.argmin(axis=1)
    places = [at]
    for step in reversed(steps):
        at = at + step[rows, at]
        places.append(at)
    offsets = np.stack(places[::-1], axis=1) - half
    unit = query.duration / n / 2
    times = starts[:, None] + (2 * np.arange(n) + 1 + offsets) * unit / ratios[:, None]
    pitches, _ = _gather(found, which, times)
    query_times = (np.arange(n) + 0.5) / n * query.duration
    residuals = (query.pitches - pitches - keys[:, None]).astype(np.float32)
    return [Path(query_times, times[i], residuals[i], float(score[i].min())) for i in rows.tolist()]
