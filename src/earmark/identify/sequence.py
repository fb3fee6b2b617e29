"""Matching sequences: which tracks does a run of query rows follow, where, and how fast.

A query that is an excerpt of a track lies on a line in the plane of query time and track time::

    track time = offset + speed * query time

First the nearest rows of each query row vote for lines (`vote`), over a small grid of speeds and
in bins of offset; then each line with many votes is looked at exactly (`align`): the similarities
of all rows near it are summed along every line of a finer grid around it, and the best stretch of
the best line is the match.  A line belongs to one track: no match runs across two.

Conventions: times are in seconds and mean the middle of a row's segment; similarities are large
when good, near 0 for rows that have nothing to do with each other, and at most 1.  `speed` is
seconds of track per second of query: above 1 the query is played faster than the track.

Sources: offset votes are Wang, "An industrial-strength audio search algorithm", ISMIR 2003; the
best stretch is the maximum subarray (Bentley, "Programming Pearls", 1984) of similarity minus a
threshold, which is what local sequence alignment becomes without gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.types import Float32Array, Float64Array, Int64Array

BoolArray = npt.NDArray[np.bool_]

SPEEDS = (1.0, 0.98, 1.02, 0.96, 1.04, 0.94, 1.06)
"""Speeds that votes are counted at; the finer grid around them is `Fine`."""


@dataclass(frozen=True)
class Line:
    """A line that rows voted for: a track, an offset in seconds, a speed, the weight of votes."""

    track: int
    offset: float
    speed: float
    votes: float


@dataclass(frozen=True)
class Fine:
    """The finer grid around a line, and what counts as similar.

    Parameters
    ----------
    offset_reach, offset_step : float
        In seconds, at the middle of the query.
    speed_reach, speed_step : float
        Around the line's speed.
    threshold : float
        Rows more similar than this speak for a match, others against it.
    slack : float
        A row whose place on the line is farther than this from any query row, as a share of the
        distance between query rows, is not counted.
    speed_cost : float
        Taken from the evidence per percent of speed away from 1, so that equal evidence means
        the plain explanation.
    fastest : float
        Lines whose speed is farther from 1 are not looked at.
    far : float
        Rows farther than this from the line, in seconds, have no sound in common with it.
    """

    offset_reach: float = 0.5
    offset_step: float = 0.0625
    speed_reach: float = 0.02
    speed_step: float = 0.005
    threshold: float = 0.2
    slack: float = 0.6
    speed_cost: float = 0.01
    fastest: float = 0.07
    far: float = 1.2


@dataclass(frozen=True)
class Alignment:
    """The best stretch of the best line.

    Parameters
    ----------
    offset, speed : float
        The line.
    evidence : float
        Sum over the stretch of similarity minus threshold (less the cost of speed); 0 if no row
        spoke for a match.
    distinct : float
        The evidence that is left if rows count only for what they are more similar to the query
        on the line than away from it: near 0 where the sound hardly changes (a drone, a tone,
        hum), and any moment resembles any other.
    similarity : float
        Mean over the stretch.
    first, last : int
        Rows of the track, both included, of the part where rows are at least about half as
        similar as they are on the whole; -1 without a stretch.
    """

    offset: float
    speed: float
    evidence: float
    distinct: float
    similarity: float
    first: int
    last: int


def vote(
    similarities: Float32Array,
    tracks: Int64Array,
    times: Float64Array,
    query_times: Float64Array,
    *,
    speeds: Sequence[float] = SPEEDS,
    width: float = 0.5,
    keep: int = 30,
    keep_per_track: int = 3,
) -> list[Line]:
    """Count votes of near rows for lines.

    A row's vote weighs what its similarity exceeds that of the query row's farthest neighbor;
    a query row votes at most once for the same line.  Votes in two adjacent bins of offset are
    counted together, so that no line is split by the edge of a bin.

    Parameters
    ----------
    similarities : float32 array, shape (n, k)
        Of each query row's neighbors, in any order.
    tracks : int64 array, shape (n, k)
        Their tracks, -1 where there is no neighbor.
    times : float64 array, shape (n, k)
        Their middles.
    query_times : float64 array, shape (n,)
        The query rows' middles.
    speeds : sequence of float
        The grid.
    width : float
        Of a bin, in seconds.
    keep, keep_per_track : int
        How many lines to return, in all and of one track.

    Returns
    -------
    list of Line
        Most votes first; equal votes by speed's place in the grid, then track, then offset.
    """
    rows, columns = np.nonzero(tracks >= 0)
    if not len(rows):
        return []
    near = np.where(tracks >= 0, similarities, np.inf).min(axis=1)
    weight = similarities[rows, columns] - near[rows] + 1e-3
    track, time = tracks[rows, columns], times[rows, columns]
    found: list[tuple[float, int, int, float]] = []
    for place, speed in enumerate(speeds):
        for name, offset, votes in _count(
            track, time - speed * query_times[rows], rows, weight, width, keep
        ):
            found.append((-votes, place, name, offset))
    lines: list[Line] = []
    per_track: dict[int, int] = {}
    for votes, place, name, offset in sorted(found):
        line = Line(name, offset, speeds[place], -votes)
        if per_track.get(name, 0) >= keep_per_track or known(line, lines, query_times, width=width):
            continue
        per_track[name] = per_track.get(name, 0) + 1
        lines.append(line)
        if len(lines) == keep:
            break
    return lines


def _count(
    track: Int64Array,
    offset: Float64Array,
    row: Int64Array,
    weight: Float64Array,
    width: float,
    keep: int,
) -> list[tuple[int, float, float]]:
    """The (track, offset, votes) with most votes at one speed."""
    bins = np.floor(offset / width).astype(np.int64)
    low = int(bins.min())
    cells = track * (int(bins.max()) - low + 3) + (bins - low)
    # The best vote of each query row in each cell: sort by cell, row, falling weight.
    order = np.lexsort((-weight, row, cells))
    cells, rows, weights = cells[order], row[order], weight[order]
    first = np.r_[True, (np.diff(cells) != 0) | (np.diff(rows) != 0)]
    order, cells, weights = order[first], cells[first], weights[first]
    names, begin = np.unique(cells, return_index=True)
    votes = np.add.reduceat(weights, begin)
    sums = np.add.reduceat(weights * offset[order], begin)
    joined = np.flatnonzero(np.diff(names) == 1)
    votes[joined], sums[joined] = votes[joined] + votes[joined + 1], sums[joined] + sums[joined + 1]
    best = np.argsort(-votes, kind="stable")[: 2 * keep]
    owner = track[order[begin[best]]]
    return [
        (int(t), float(s / v), float(v))
        for t, s, v in zip(owner, sums[best], votes[best], strict=True)
    ]


def known(
    line: Line, lines: Sequence[Line], query_times: Float64Array, *, width: float = 0.5
) -> bool:
    """Whether a line passes the middle of the query where another one of its track does."""
    middle = float(query_times.mean()) if len(query_times) else 0.0
    place = line.offset + line.speed * middle
    return any(
        other.track == line.track and abs(other.offset + other.speed * middle - place) < 2 * width
        for other in lines
    )


def align(
    similarity: Float32Array,
    query_times: Float64Array,
    row_times: Float64Array,
    *,
    offset: float,
    speed: float,
    fine: Fine | None = None,
) -> Alignment:
    """Find the best stretch of the best line near a line.

    Parameters
    ----------
    similarity : float32 array, shape (n, m)
        Of each query row with each row of a stretch of one track.
    query_times : float64 array, shape (n,)
        Ascending; evenly spaced but for gaps.
    row_times : float64 array, shape (m,)
        Ascending.
    offset, speed : float
        The line to begin with.
    fine : Fine, optional

    Returns
    -------
    Alignment
    """
    fine = fine or Fine()
    offsets, speeds = _grid(offset, speed, float(query_times.mean()), fine)
    if not similarity.size:
        return _nothing(offset, speed)
    along, inside = _along(similarity, query_times, row_times, offsets, speeds, fine)
    # Maximum subarray of each line: the highest rise of the running sum.
    sums = np.concatenate([np.zeros((len(along), 1)), np.cumsum(along, axis=1)], axis=1)
    rises = sums - np.minimum.accumulate(sums, axis=1)
    cost = fine.speed_cost * 100.0 * np.abs(speeds - 1.0)
    # Lines differ in how many rows they pass; only the evidence of each row shall decide.
    passed = inside.sum(axis=1)
    worth = rises.max(axis=1) * passed.mean() / np.maximum(passed, 1)
    best = int(np.argmax(worth - cost))
    last = int(np.argmax(rises[best])) - 1
    if last < 0:
        return _nothing(offset, speed)
    first = int(np.argmin(sums[best, : last + 1]))
    rise = float(rises[best, last + 1])
    counted = max(1, int(np.count_nonzero(inside[best, first : last + 1])))
    at = (row_times[first : last + 1] - offsets[best]) / speeds[best]
    chance = _chance(similarity[:, first : last + 1], query_times, at, fine)
    mean = rise / counted + fine.threshold
    core = _core(along[best], inside[best], first, last, mean / 2 - fine.threshold)
    return Alignment(
        offset=float(offsets[best]),
        speed=float(speeds[best]),
        evidence=max(0.0, rise - float(cost[best])),
        distinct=max(0.0, rise - counted * max(0.0, chance - fine.threshold)),
        similarity=mean,
        first=core[0],
        last=core[1],
    )


def _core(
    along: Float64Array, inside: BoolArray, first: int, last: int, dearer: float
) -> tuple[int, int]:
    """The best part of a stretch if rows must be half as similar as they are on the whole.

    What resembles the query a little before and after a good match is no part of it.
    """
    if dearer <= 0.0:
        return first, last
    part = slice(first, last + 1)
    sums = np.concatenate([[0.0], np.cumsum(np.where(inside[part], along[part] - dearer, 0.0))])
    rises = sums - np.minimum.accumulate(sums)
    end = int(np.argmax(rises))
    if end == 0:
        return first, last
    return first + int(np.argmin(sums[:end])), first + end - 1


def _nothing(offset: float, speed: float) -> Alignment:
    return Alignment(offset, speed, 0.0, 0.0, 0.0, -1, -1)


def _chance(
    similarity: Float32Array, query_times: Float64Array, at: Float64Array, fine: Fine
) -> float:
    """Mean similarity of pairs of rows that are far from the line; 0 if all are near."""
    far = np.abs(query_times[:, None] - at[None]) > fine.far
    return float(similarity[far].mean()) if far.any() else 0.0


def _grid(
    offset: float, speed: float, middle: float, fine: Fine
) -> tuple[Float64Array, Float64Array]:
    """Lines around a line, the given one first; offsets are varied at the query's middle."""
    n = round(fine.offset_reach / fine.offset_step)
    shifts = np.array(sorted(range(-n, n + 1), key=abs)) * fine.offset_step
    n = round(fine.speed_reach / fine.speed_step)
    turns = np.array(sorted(range(-n, n + 1), key=abs)) * fine.speed_step
    turns = turns[(turns == 0.0) | (np.abs(speed + turns - 1.0) <= fine.fastest)]
    speeds = np.repeat(speed + turns, len(shifts))
    offsets = np.tile(offset + shifts, len(turns)) - (speeds - speed) * middle
    return offsets, speeds


def _along(
    similarity: Float32Array,
    query_times: Float64Array,
    row_times: Float64Array,
    offsets: Float64Array,
    speeds: Float64Array,
    fine: Fine,
) -> tuple[Float64Array, BoolArray]:
    """Similarity minus threshold of each row on each line, 0 off the query; and which are on it.

    Both of shape (lines, m).
    """
    steps = np.diff(query_times)
    step = float(steps.min()) if len(steps) else 0.5
    at = (row_times[None] - offsets[:, None]) / speeds[:, None]
    near = np.searchsorted(query_times[:-1] + steps / 2, at)
    inside = np.abs(query_times[near] - at) <= fine.slack * step
    values = similarity[near, np.arange(len(row_times))[None]].astype(np.float64)
    return np.where(inside, values - fine.threshold, 0.0), inside
