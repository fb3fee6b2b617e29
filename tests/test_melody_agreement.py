"""Agreement of all windows of a query on places of tracks: against its slow twin, and odd input."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.melody import agreement
from earmark.melody.agreement import Rows

WINDOW, STEP = 4.0, 0.5


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def library(rng: np.random.Generator, sizes=(30, 50, 12), ndim=32) -> Rows:
    """Tracks 7, 9, 11 ... of so many rows, each with a gap of three steps in the middle."""
    tracks, starts, vectors = [], [], []
    for i, size in enumerate(sizes):
        at = np.delete(np.arange(size + 3), np.arange(size // 2, size // 2 + 3)) * STEP
        tracks.append(np.full(size, 7 + 2 * i))
        starts.append(at)
        vectors.append(unit(rng.standard_normal((size, ndim))))
    return Rows(np.concatenate(tracks), np.concatenate(starts), np.concatenate(vectors))


def query(rng, rows: Rows, track: int, start: float, ratio: float, noise: float):
    """Windows of a hum of a track from `start`, at `ratio` seconds a second, and of twice that."""
    segments, vectors = [], []
    for length in (ratio, 2 * ratio):
        for i in range(6):
            begin = i * STEP * ratio
            own = (rows.tracks == track) & np.isclose(rows.starts, start + begin / length)
            near = rows.vectors[own] if own.any() else rng.standard_normal((1, 32))
            segments.append((begin, begin + length * WINDOW))
            vectors.append(near[0] + noise * rng.standard_normal(32) / 32**0.5)
    return np.array(segments), unit(np.array(vectors))


def slowly(segments, vectors, rows: Rows) -> dict[tuple[int, float, float], float]:
    """Sum of what each window says for each line, one by one."""
    ratios = np.round((segments[:, 1] - segments[:, 0]) / WINDOW, 3)
    most = max((ratios == r).sum() for r in ratios)
    value = {
        (int(t), round(float(s) / STEP)): np.maximum(vectors @ v - agreement.FLOOR, 0)
        for t, s, v in zip(rows.tracks, rows.starts, rows.vectors, strict=True)
    }
    found = {}
    for ratio in np.unique(ratios):
        own = np.flatnonzero(ratios == ratio)
        for track in np.unique(rows.tracks).tolist():
            last = max(slot for t, slot in value if t == track)
            for slot in range(last + 1):
                total = 0.0
                for i in own:
                    at = slot + round(segments[i, 0] / ratio / STEP)
                    if at > last:
                        continue
                    near = [
                        weight * value[track, place][i]
                        for place, weight in ((at, 1), (at - 1, 0.9), (at + 1, 0.9))
                        if (track, place) in value
                    ]
                    total += max(near, default=0.0)
                worth = total / len(own) * (len(own) / most) ** agreement.CROWD
                found[track, float(ratio), slot] = worth
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_best_line_is_that_of_the_slow_twin(seed):
    rng = np.random.default_rng(seed)
    rows = library(rng)
    track = int(rng.choice([7, 9, 11]))
    segments, vectors = query(rng, rows, track, 1.0, 1.26, 0.5)
    lines = agreement.lines(segments, vectors, rows, window=WINDOW, step=STEP, most_tracks=10)
    twin = slowly(segments, vectors, rows)
    (best, ratio, slot), value = max(twin.items(), key=lambda item: item[1])
    assert (lines.tracks[0], lines.ratios[0]) == (best, ratio) == (track, 1.26)
    assert lines.votes[0] == pytest.approx(value, rel=1e-4)
    assert abs(lines.starts[0] - slot * STEP) <= STEP / 2
    assert abs(lines.starts[0] - 1.0) <= STEP


def test_a_line_ends_where_its_track_does():
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((8, 32)))
    # Two short tracks follow on each other as one long one would.
    joined = Rows(np.full(8, 1), np.arange(8) * STEP, vectors)
    halves = Rows(np.repeat([1, 2], 4), np.tile(np.arange(4) * STEP, 2), vectors)
    segments = np.stack([np.arange(8) * STEP, np.arange(8) * STEP + WINDOW], axis=1)
    whole, parts = (
        agreement.lines(segments, vectors, rows, window=WINDOW, step=STEP, most_tracks=10)
        for rows in (joined, halves)
    )
    assert whole.votes[0] == pytest.approx(1 - agreement.FLOOR, abs=1e-4)
    assert parts.votes.max() < 0.7 * whole.votes[0]


def test_only_beginnings_if_asked():
    rng = np.random.default_rng(3)
    rows = library(rng)
    segments, vectors = query(rng, rows, 9, 5.0, 1.0, 0.2)
    free = agreement.lines(segments, vectors, rows, window=WINDOW, step=STEP, most_tracks=10)
    bound = agreement.lines(
        segments, vectors, rows, window=WINDOW, step=STEP, most_tracks=10, starts_only=True
    )
    assert free.tracks[0] == 9
    assert free.starts[0] == pytest.approx(5.0, abs=STEP / 2)
    assert (bound.starts <= 1.5).all()


def test_nothing_to_agree_on():
    empty = Rows(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 32), np.float32))
    some = library(np.random.default_rng(0))
    segments = np.array([[0.0, 4.0]])
    one = unit(np.ones((1, 32)))
    for rows, vectors in ((empty, one), (some, np.zeros((0, 32), np.float32))):
        found = agreement.lines(
            segments[: len(vectors)], vectors, rows, window=WINDOW, step=STEP, most_tracks=10
        )
        assert not len(found.tracks)
