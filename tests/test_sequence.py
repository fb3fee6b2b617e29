"""Votes and alignment: slow twins, borders between tracks, speed, the matched stretch."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.identify.sequence import Fine, align, vote

Near = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def planted(
    rng: np.random.Generator,
    *,
    rows: int = 20,
    k: int = 8,
    tracks: int = 30,
    speed: float = 1.0,
    track: int = 7,
    kept: float = 0.5,
) -> Near:
    """Random neighbors, among which a share of the rows has the true one, 40 s into a track."""
    times = np.arange(rows) * 0.25 + 0.5
    similarities = rng.uniform(0.2, 0.5, (rows, k)).astype(np.float32)
    owners = rng.integers(0, tracks, (rows, k))
    places = rng.uniform(0, 200, (rows, k))
    for i in np.flatnonzero(rng.random(rows) < kept):
        owners[i, 3], similarities[i, 3] = track, 0.6
        places[i, 3] = np.round((40.0 + speed * times[i]) * 2) / 2
    return similarities, owners, places, times


def slow_votes(near: Near, *, width: float) -> dict[tuple[int, int], float]:
    """Weight of each (track, bin) at speed 1, one vote of a query row each."""
    best: dict[tuple[int, int, int], float] = {}
    for i, time in enumerate(near[3]):
        row = list(zip(near[0][i], near[1][i], near[2][i], strict=True))
        floor = min(s for s, t, _ in row if t >= 0)
        for s, t, p in row:
            if t >= 0:
                cell = (int(t), int(np.floor((p - time) / width)), i)
                best[cell] = max(best.get(cell, 0.0), float(s - floor) + 1e-3)
    votes: dict[tuple[int, int], float] = {}
    for (t, b, _), weight in best.items():
        votes[t, b] = votes.get((t, b), 0.0) + weight
    return votes


@pytest.mark.parametrize("seed", range(20))
def test_votes_agree_with_the_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = planted(rng, tracks=4)
    near[1][rng.random(near[1].shape) < 0.1] = -1
    votes = slow_votes(near, width=0.5)
    best = max((votes[t, b] + votes.get((t, b + 1), 0.0), t) for t, b in votes)
    lines = vote(*near, speeds=(1.0,), keep=5)
    assert lines[0].votes == pytest.approx(best[0], rel=1e-5)
    assert lines[0].track == best[1]


@pytest.mark.parametrize("speed", [0.95, 0.98, 1.0, 1.02, 1.05])
def test_the_planted_line_wins_at_any_speed(speed: float) -> None:
    near = planted(np.random.default_rng(3), speed=speed, kept=0.6)
    line = vote(*near)[0]
    assert line.track == 7
    middle = near[3].mean()
    assert line.offset + line.speed * middle == pytest.approx(40.0 + speed * middle, abs=0.6)


def test_no_line_crosses_from_one_track_to_the_next() -> None:
    times = np.arange(10) * 0.5
    owners = np.where(np.arange(10) < 5, 1, 2)[:, None]
    places = (np.arange(10) % 5 * 0.5)[:, None].astype(float)
    lines = vote(np.ones((10, 1), np.float32), owners, places, times, speeds=(1.0,))
    assert {line.track for line in lines} == {1, 2}
    assert max(line.votes for line in lines) < 5 * 1.1e-3


def test_no_neighbors_no_lines() -> None:
    nothing = np.full((3, 2), -1)
    assert vote(np.zeros((3, 2), np.float32), nothing, np.zeros((3, 2)), np.arange(3.0)) == []


def test_lines_of_one_track_are_limited_and_distinct() -> None:
    near = planted(np.random.default_rng(0), tracks=1, track=0)
    lines = vote(*near, keep_per_track=3)
    assert len(lines) == 3
    middle = near[3].mean()
    places = sorted(line.offset + line.speed * middle for line in lines)
    assert np.diff(places).min() >= 1.0


def rows_of(times: np.ndarray, seed: int = 0) -> np.ndarray:
    """Unit vectors that change smoothly with time."""
    grid = np.random.default_rng(seed).standard_normal((400, 32))
    at = np.clip(times / 0.5, 0, 398)
    low = at.astype(int)
    part = (at - low)[:, None]
    rows = (1 - part) * grid[low] + part * grid[low + 1]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_align(
    similarity: np.ndarray, query_times: np.ndarray, row_times: np.ndarray, fine: Fine
) -> float:
    """Evidence of the best stretch of any line around offset 0.1 and speed 1, by trying all."""
    n = round(fine.offset_reach / fine.offset_step)
    m = round(fine.speed_reach / fine.speed_step)
    step = query_times[1] - query_times[0]
    lines = []
    for turn in range(-m, m + 1):
        speed = 1.0 + turn * fine.speed_step
        for shift in range(-n, n + 1):
            offset = 0.1 + shift * fine.offset_step - (speed - 1.0) * query_times.mean()
            along = []
            passed = 0
            for j, time in enumerate(row_times):
                at = (time - offset) / speed
                i = int(np.argmin(np.abs(query_times - at)))
                close = abs(query_times[i] - at) <= fine.slack * step
                along.append(similarity[i, j] - fine.threshold if close else 0.0)
                passed += close
            rise = max(
                sum(along[a : b + 1]) for a in range(len(along)) for b in range(a, len(along))
            )
            lines.append((max(0.0, rise), passed, fine.speed_cost * 100 * abs(speed - 1.0)))
    mean = np.mean([passed for _, passed, _ in lines])
    rise, _, cost = max(lines, key=lambda x: x[0] * mean / max(1, x[1]) - x[2])
    return rise - cost


@pytest.mark.parametrize("seed", range(3))
def test_align_agrees_with_the_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query_times = np.arange(12) * 0.25 + 0.5
    row_times = np.arange(9) * 0.5 + 0.5
    similarity = rng.uniform(-0.3, 0.9, (12, 9)).astype(np.float32)
    fine = Fine(offset_reach=0.25, offset_step=0.0625, speed_reach=0.01, speed_step=0.01)
    found = align(similarity, query_times, row_times, offset=0.1, speed=1.0, fine=fine)
    slow = slow_align(similarity, query_times, row_times, fine)
    assert found.evidence == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("speed", [0.96, 1.0, 1.03])
@pytest.mark.parametrize("offset", [20.0, 33.17])
def test_align_finds_the_line(offset: float, speed: float) -> None:
    query_times = np.arange(37) * 0.125 + 0.5
    row_times = np.arange(int(offset * 2) - 2, int(offset * 2) + 16) * 0.5 + 0.5
    similarity = rows_of(offset + speed * query_times) @ rows_of(row_times).T
    found = align(similarity, query_times, row_times, offset=offset + 0.2, speed=speed + 0.008)
    middle = query_times.mean()
    assert found.offset + found.speed * middle == pytest.approx(offset + speed * middle, abs=0.11)
    assert found.speed == pytest.approx(speed, abs=0.031)
    assert found.similarity > 0.9


def test_only_the_matching_stretch_is_returned() -> None:
    query_times = np.arange(80) * 0.125 + 0.5
    row_times = np.arange(24) * 0.5 + 0.5
    query = rows_of(query_times)
    query[40:] = rows_of(query_times, seed=9)[40:]
    found = align(query @ rows_of(row_times).T, query_times, row_times, offset=0.0, speed=1.0)
    assert row_times[found.first] == pytest.approx(0.5)
    assert row_times[found.last] == pytest.approx(5.25, abs=0.8)


def test_nothing_similar_is_no_match() -> None:
    nothing = np.full((5, 6), -0.1, np.float32)
    found = align(nothing, np.arange(5) * 0.5, np.arange(6) * 0.5, offset=0.0, speed=1.0)
    assert found.evidence == 0.0
    assert found.first == -1


def test_equal_evidence_means_the_plain_speed() -> None:
    similarity = np.full((9, 5), 0.9, np.float32)
    found = align(similarity, np.arange(9) * 0.25, np.arange(5) * 0.5, offset=0.0, speed=1.0)
    assert found.speed == 1.0


def test_no_rows_is_no_match() -> None:
    found = align(np.zeros((4, 0), np.float32), np.arange(4.0), np.zeros(0), offset=0.0, speed=1.0)
    assert found.evidence == 0.0


def test_a_drone_is_no_evidence_of_a_moment() -> None:
    query_times = np.arange(37) * 0.125 + 0.5
    row_times = np.arange(14) * 0.5
    drone = np.full((37, 14), 0.8, np.float32)
    found = align(drone, query_times, row_times, offset=0.0, speed=1.0)
    assert found.evidence > 4.0
    assert found.distinct == pytest.approx(0.0, abs=1e-4)
    moments = rows_of(query_times) @ rows_of(row_times).T
    found = align(moments, query_times, row_times, offset=0.0, speed=1.0)
    assert found.distinct > 0.9 * found.evidence


def test_what_is_a_little_alike_beside_a_good_match_is_no_part_of_it() -> None:
    times = np.arange(20) * 0.5
    similarity = np.zeros((20, 20), np.float32)
    np.fill_diagonal(similarity, [0.28] * 5 + [0.9] * 10 + [0.28] * 5)
    best = align(similarity, times, times, offset=0.0, speed=1.0)
    assert (best.first, best.last) == (5, 14)
    # All of it counts as evidence, and a match that is weak throughout keeps its length.
    assert best.evidence == pytest.approx(10 * 0.7 + 10 * 0.08, abs=1e-3)
    np.fill_diagonal(similarity, 0.3)
    weak = align(similarity, times, times, offset=0.0, speed=1.0)
    assert (weak.first, weak.last) == (0, 19)


def test_no_line_is_faster_than_can_be() -> None:
    times = np.arange(40) * 0.5
    similarity = np.zeros((40, 40), np.float32)
    for i in range(36):
        similarity[i, round(i * 1.1)] = 1.0
    found = align(similarity, times, times, offset=0.0, speed=1.06)
    assert found.speed <= 1.07 + 1e-9
