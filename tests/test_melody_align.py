"""Alignment: key, tempo and place are found; the fast sums agree with slow ones."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.melody import align, matching, votes, windows
from earmark.melody.notes import HOP, contour_of_notes
from melody_factory import tune


def hummed(notes: np.ndarray, first: int, last: int, *, key: float, ratio: float) -> np.ndarray:
    """The contour of some notes, in another key, `ratio` seconds per second of the tune."""
    part = notes[first:last].copy()
    part[:, :2] = (part[:, :2] - part[0, 0]) * ratio
    part[:, 2] += key
    return contour_of_notes(part)


def slow_line(query: align.Points, target: np.ndarray, start: float, ratio: float) -> float:
    held = windows.hold(target[None])[0]
    n, differences, inside = len(query.pitches), [], []
    for i in range(n):
        frame = int(np.floor((start + (i + 0.5) / n * query.duration / ratio) / HOP))
        inside.append(0 <= frame < len(held))
        differences.append(query.pitches[i] - held[min(max(frame, 0), len(held) - 1)])
    key = float(np.median(np.float32(differences)))
    cost = 0.0
    for difference, ok, weight in zip(differences, inside, query.weights, strict=True):
        rest = difference - key
        octaves = round(rest / 12)
        one = min(abs(rest - 12 * octaves) + (align.FOLD_COST if octaves else 0), align.CAP)
        cost += (one if ok else align.CAP) * weight
    return cost


def slow_warp(
    query: align.Points, target: np.ndarray, start: float, ratio: float, key: float
) -> float:
    """The same dynamic programming, a cell at a time."""
    held = windows.hold(target[None])[0]
    n, half = len(query.pitches), align.band_width(query)
    unit = query.duration / n / 2

    def cost(i: int, offset: int) -> float:
        frame = int(np.floor((start + (2 * i + 1 + offset) * unit / ratio) / HOP))
        if not 0 <= frame < len(held):
            return align.CAP * query.weights[i]
        rest = query.pitches[i] - held[frame] - key
        octaves = round(rest / 12)
        one = abs(rest - 12 * octaves) + (align.FOLD_COST if octaves else 0)
        return min(one, align.CAP) * query.weights[i]

    near, far = align.STRETCH_COST
    score = {o: cost(0, o) for o in range(-half, half + 1)}
    for i in range(1, n):
        w = query.weights[i]
        score = {
            o: cost(i, o)
            + min(
                score[o + d] + c * w
                for d, c in ((0, 0), (-1, near), (1, near), (-2, far), (2, far))
                if o + d in score
            )
            for o in score
        }
    return min(score.values())


def test_lines_and_warps_agree_with_their_slow_twins():
    notes = tune(1)
    target = contour_of_notes(notes)
    query_line = hummed(notes, 5, 18, key=3.3, ratio=1.2)
    found = align.targets([contour_of_notes(tune(2)), target])
    starts = np.array([notes[5, 0], 1.0, -2.0, 11.3])
    ratios = np.array([1.2, 0.8, 1.0, 1.5])
    which = np.array([1, 1, 1, 1])
    query = align.query_points(query_line, points=align.LINE_POINTS)
    keys, costs = align.lines_cost(query, found, which, starts, ratios)
    slow = [slow_line(query, target, s, r) for s, r in zip(starts, ratios, strict=True)]
    np.testing.assert_allclose(costs, slow, atol=2e-3)
    bent = align.warp_points(query_line)
    fast = align.warp_cost(bent, found, which, starts, ratios, keys)
    slow = [
        slow_warp(bent, target, s, r, float(k))
        for s, r, k in zip(starts, ratios, keys, strict=True)
    ]
    np.testing.assert_allclose(fast, slow, atol=5e-3)


@pytest.mark.parametrize(("key", "ratio"), [(0.0, 1.0), (-7.4, 0.6), (5.0, 1.7)])
def test_match_finds_place_key_and_tempo(key, ratio):
    tunes = {i: tune(i) for i in range(20, 32)}
    query = hummed(tunes[25], 10, 26, key=key, ratio=ratio)
    lines = votes.Lines(
        np.array(list(tunes)),
        np.full(len(tunes), tunes[25][10, 0] + 0.4),
        np.full(len(tunes), ratio * 1.05),
        np.ones(len(tunes)),
    )
    aligned = matching.match(query, lines, lambda ids: [contour_of_notes(tunes[i]) for i in ids])
    best = aligned.found[0]
    assert best.track == 25
    assert best.distance < 0.25 < aligned.found[1].distance
    assert best.key == pytest.approx(key, abs=0.3)
    path = aligned.paths([best])[0]
    assert path.target_times[0] == pytest.approx(tunes[25][10, 0], abs=0.35)
    assert path.target_times[-1] == pytest.approx(tunes[25][25, 1], abs=0.35)
    assert np.median(np.abs(path.residuals)) < 0.2


def test_of_tunes_that_lie_as_well_the_one_is_first_whose_windows_agree():
    tune = np.stack(
        [np.arange(16) * 0.5, np.arange(16) * 0.5 + 0.5, 60 + np.arange(16) % 5], axis=1
    )
    query = contour_of_notes(tune[4:12] - [tune[4, 0], tune[4, 0], 0])
    agreed = {1: 0.1, 2: 0.3, 3: 0.2}
    places = np.full(3, tune[4, 0])
    lines = votes.Lines(np.array(list(agreed)), places, np.ones(3), np.array([*agreed.values()]))
    found = matching.match(query, lines, lambda ids: [contour_of_notes(tune) for _ in ids]).found
    assert [one.track for one in found] == [2, 3, 1]
    assert [one.agreement for one in found] == pytest.approx([0.3, 0.2, 0.1])
    assert found[2].cost - found[0].cost == pytest.approx(0.2 * matching.AGREED, abs=1e-5)
    assert found[0].distance == pytest.approx(found[2].distance)


def test_an_octave_costs_less_than_a_wrong_note():
    cost = align.folded(np.array([0, 0.5, 12, -12, 11, 24, 6], np.float32))
    assert cost.tolist() == pytest.approx([0, 0.5, 1.0, 1.0, 2.0, 1.0, 3.0])


def test_windows_that_agree_on_a_line_outvote_near_rows_that_do_not():
    segments = np.array([[t, t + 4.0] for t in np.arange(0, 5, 0.5)])
    tracks = np.array([[7, 3]] * len(segments))
    starts = np.stack([10 + segments[:, 0], np.linspace(0, 60, len(segments))[::-1]], axis=1)
    scores = np.array([[0.8, 0.9]] * len(segments), np.float32)
    scores = np.concatenate([scores, np.full((len(segments), 1), 0.5, np.float32)], axis=1)
    tracks = np.concatenate([tracks, np.full((len(segments), 1), 9)], axis=1)
    starts = np.concatenate([starts, np.zeros((len(segments), 1))], axis=1)
    found = votes.lines(segments, 4.0, tracks, starts, scores, most_tracks=3)
    assert found.tracks[0] == 7
    assert found.starts[0] == pytest.approx(10, abs=0.3)
    assert found.ratios[0] == 1.0


def test_no_near_rows_give_no_lines():
    none = np.full((2, 3), -1)
    found = votes.lines(
        np.array([[0, 4.0], [1, 5.0]]), 4.0, none, none * 1.0, none.astype(np.float32),
        most_tracks=5,
    )  # fmt: skip
    assert len(found.tracks) == 0


def test_held_points_fill_rests():
    points = np.array([[0, 60, 0, 62, 0], [0, 0, 0, 0, 0]], np.float32)
    assert windows.hold(points).tolist() == [[60, 60, 60, 62, 62], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (np.zeros(0, np.float32), "no pitch"),
        (np.full(10, 60, np.float32), "too little"),
        (np.full(100, 60, np.float32), "one note"),
        (np.repeat(np.array([60, 64, 62, 67], np.float32), 20), ""),
    ],
)
def test_what_is_no_tune_says_why(line, words):
    assert words in matching.has_tune(line)
    assert bool(words) == bool(matching.has_tune(line))
