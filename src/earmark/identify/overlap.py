"""The same sound in two tracks: where, how long, and how fast, from the rows of both.

Unlike a query, two tracks are equally dense and equally long, so that all rows of one are compared
with all rows of the other along lines only, never with each other.

Conventions: those of `earmark.identify.sequence`; the line is ``time in b = offset + speed * time
in a``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array, Float64Array, Int64Array

Stretch = tuple[Float64Array, Float32Array]
"""A part of a track: middles of segments, ascending, shape (n,), and unit rows, shape (n, d)."""

THRESHOLD = 0.4
"""Rows more similar than this speak for the same sound: a quarter of a second off the line, which
is the most that two tracks' rows can be, the same sound is about 0.6 alike."""

PLAIN, NEARLY = 0.97, 0.03
"""A line of speed 1 is taken if it is so nearly as good as one of another speed, so near to 1."""

OFF_THE_LINE = (-7.0, -3.0, -1.5, 1.5, 3.0, 7.0)
FREE_CHANCE = 0.25

LEAST = 1.5
"""Evidence of all rows along a line from which on it is worth a closer look."""

GAP = 3.0
"""Largest speed-corrected distance in seconds of a vote from the line that others vote for."""


@dataclass(frozen=True)
class Overlap:
    """A stretch of one track that is a stretch of another; times in seconds.

    `rows` counts compared pairs of rows, `similarity` is their mean, `evidence` the sum of what
    they exceed `THRESHOLD` by, and `chance` the mean similarity of rows seconds off the line:
    high where the sound hardly changes, and then being alike proves nothing.
    """

    offset: float
    speed: float
    a_start: float
    a_end: float
    b_start: float
    b_end: float
    rows: int
    similarity: float
    evidence: float
    chance: float

    @property
    def confidence(self) -> float:
        """Probability that it is the same sound.

        Ten seconds of rows as alike as those of a good copy count as sure, ten of rows just
        above the threshold as unlikely; a guess that experience bore out, not a fit.
        """
        distinct = self.evidence - self.rows * max(0.0, self.chance - FREE_CHANCE)
        logit = 1.5 * (distinct - 3.0) + 12.0 * (self.similarity - 0.55)
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))))


def through_votes(
    a_times: Float64Array, b_times: Float64Array, weights: Float64Array, *, reach: float = 0.07
) -> tuple[float, float, int]:
    """The line that most votes are near to.

    Parameters
    ----------
    a_times, b_times, weights : float64 arrays, shape (n,)
        Moments of both tracks that resemble each other, and how much they count.
    reach : float
        How far the speed may be from 1.

    Returns
    -------
    offset, speed : float
    votes : int
        How many are near to it.
    """
    best = (0.0, 1.0, -1.0)
    for speed in (1.0, *np.arange(0.94, 1.0601, 0.01)):
        offsets = b_times - speed * a_times
        order = np.argsort(offsets)
        sums = np.concatenate([[0.0], np.cumsum(weights[order])])
        # What of the votes lies within a second of each vote's offset.
        low = np.searchsorted(offsets[order], offsets[order] - 0.6)
        high = np.searchsorted(offsets[order], offsets[order] + 0.6, side="right")
        votes = sums[high] - sums[low]
        top = int(np.argmax(votes))
        if votes[top] > best[2] * 1.05:
            best = (float(offsets[order][top]), float(speed), float(votes[top]))
    offset, speed, _ = best
    near = np.abs(b_times - offset - speed * a_times) < GAP
    if near.sum() >= 3 and np.ptp(a_times[near]) >= 10.0:
        slope, shift = np.polyfit(a_times[near], b_times[near], 1, w=np.sqrt(weights[near]))
        if abs(slope - 1.0) <= reach:
            residual = np.abs(b_times[near] - shift - slope * a_times[near])
            before = np.abs(b_times[near] - offset - speed * a_times[near])
            if np.median(residual) < np.median(before):
                offset, speed = float(shift), float(slope)
    on_line = np.abs(b_times - offset - speed * a_times) < 1.0
    return offset, speed, int(on_line.sum())


def overlap(
    a: Stretch,
    b: Stretch,
    *,
    offset: float,
    speed: float,
    half: float = 0.5,
) -> Overlap | None:
    """The best stretch of the best line near a line.

    Parameters
    ----------
    a, b : Stretch
    offset, speed : float
        The line to begin with.
    half : float
        Half a segment, in seconds.

    Returns
    -------
    Overlap or None
        None if no rows speak for it.
    """
    a_times, b_times = a[0], b[0]
    if not len(a_times) or not len(b_times):
        return None
    plain = _plain(a, b, offset, speed)
    for step, turn in ((0.25, 0.004), (0.125, 0.001), (0.0625, 0.00025)):
        offset, speed, worth = _better(a, b, offset, speed, step, turn)
        if worth < LEAST:
            return None
    if plain is not None and plain[2] >= PLAIN * worth:
        offset, speed, _ = plain
    at, similarity = _along(a, b, offset, speed)
    if not len(at):
        return None
    sums = np.concatenate([[0.0], np.cumsum(similarity - THRESHOLD)])
    rises = sums - np.minimum.accumulate(sums)
    last = int(np.argmax(rises))
    if last == 0:
        return None
    first = int(np.argmin(sums[:last]))
    low, high = float(a_times[at[first]]) - half, float(a_times[at[last - 1]]) + half
    return Overlap(
        offset=offset,
        speed=speed,
        a_start=max(0.0, low),
        a_end=high,
        b_start=max(0.0, offset + speed * low),
        b_end=offset + speed * high,
        rows=last - first,
        similarity=float(similarity[first:last].mean()),
        evidence=float(rises[last]),
        chance=_chance((a_times[at[first:last]], a[1][at[first:last]]), b, offset, speed),
    )


def likeness(
    a: Stretch,
    b: Stretch,
    *,
    offset: float,
    speed: float,
) -> float:
    """How alike two stretches are along a line that is right to a quarter of a second.

    Parameters
    ----------
    a, b : Stretch
        Of at least one row.
    offset, speed : float

    Returns
    -------
    float
        Median similarity of rows of `a` with what lies between rows of `b`; 0 if none meet.
    """
    found = (_between(a, b, offset + shift, speed) for shift in (0.0, -0.125, 0.125, -0.25, 0.25))
    return max(float(np.median(values)) if len(values) else 0.0 for values in found)


def _chance(
    a: Stretch,
    b: Stretch,
    offset: float,
    speed: float,
) -> float:
    """Mean similarity of rows that lie seconds off the line, 0 if there are none."""
    off = [_along(a, b, offset + shift, speed)[1] for shift in OFF_THE_LINE]
    values = np.concatenate(off)
    return float(values.mean()) if len(values) else 0.0


def _plain(
    a: Stretch,
    b: Stretch,
    offset: float,
    speed: float,
) -> tuple[float, float, float] | None:
    """The best line of speed 1 near a line that is nearly so: most copies have it."""
    if abs(speed - 1.0) > NEARLY:
        return None
    inside = a[0][(offset + speed * a[0] > b[0][0]) & (offset + speed * a[0] < b[0][-1])]
    middle = float(inside.mean()) if len(inside) else float(a[0].mean())
    offset += (speed - 1.0) * middle
    worth = 0.0
    for step in (0.25, 0.125, 0.0625):
        offset, _, worth = _better(a, b, offset, 1.0, step, 0.0)
    return offset, 1.0, worth


def _better(
    a: Stretch,
    b: Stretch,
    offset: float,
    speed: float,
    step: float,
    turn: float,
) -> tuple[float, float, float]:
    """The best of the lines around a line, turned about the middle of what it covers."""
    inside = a[0][(offset + speed * a[0] > b[0][0]) & (offset + speed * a[0] < b[0][-1])]
    middle = float(inside.mean()) if len(inside) else float(a[0].mean())
    # What a turn moves the ends by is to be about a step.
    length = float(np.ptp(inside)) if len(inside) else 1.0
    turn = min(turn, 2.0 * step / max(length, 1.0))
    best, found = -1.0, (offset, speed, 0.0)
    for turned in np.array([0, 1, -1, 2, -2] if turn else [0]) * turn:
        for shift in np.array([0, 1, -1, 2, -2]) * step:
            line = (offset + shift - turned * middle, speed + turned)
            similarity = _between(a, b, *line)
            worth = float(np.maximum(similarity - THRESHOLD, 0.0).sum()) if len(similarity) else 0.0
            if worth > best + 1e-9:
                best, found = worth, (float(line[0]), float(line[1]), worth)
    return found


def _along(
    a: Stretch,
    b: Stretch,
    offset: float,
    speed: float,
) -> tuple[Int64Array, Float64Array]:
    """Rows of a that have a row of b within a quarter of a second on the line, and their
    similarity."""
    (a_times, a_rows), (b_times, b_rows) = a, b
    wanted = offset + speed * a_times
    right = np.clip(np.searchsorted(b_times, wanted), 0, len(b_times) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(
        np.abs(b_times[left] - wanted) <= np.abs(b_times[right] - wanted), left, right
    )
    at = np.flatnonzero(np.abs(b_times[nearest] - wanted) <= 0.26)
    similarity: Float64Array = np.einsum(
        "ij,ij->i", a_rows[at], b_rows[nearest[at]], dtype=np.float64
    )
    return at, similarity


def _between(
    a: Stretch,
    b: Stretch,
    offset: float,
    speed: float,
) -> Float64Array:
    """Similarity of rows of a with what lies between two rows of b on the line.

    It is largest where the line is right to a fraction of the time between rows.
    """
    (a_times, a_rows), (b_times, b_rows) = a, b
    wanted = offset + speed * a_times
    right = np.clip(np.searchsorted(b_times, wanted), 0, len(b_times) - 1)
    left = np.maximum(right - 1, 0)
    at = np.flatnonzero(
        (wanted - b_times[left] <= 0.51) & (np.abs(b_times[right] - wanted) <= 0.51)
    )
    left, right, some = left[at], right[at], a_rows[at]
    step = np.maximum(b_times[right] - b_times[left], 1e-9)
    share = np.clip((wanted[at] - b_times[left]) / step, 0.0, 1.0)
    first: Float64Array = np.einsum("ij,ij->i", some, b_rows[left], dtype=np.float64)
    second: Float64Array = np.einsum("ij,ij->i", some, b_rows[right], dtype=np.float64)
    neighbours: Float64Array = np.einsum("ij,ij->i", b_rows[left], b_rows[right], dtype=np.float64)
    length = np.sqrt(share**2 + (1 - share) ** 2 + 2 * share * (1 - share) * neighbours)
    return ((1 - share) * first + share * second) / np.maximum(length, 0.1)
