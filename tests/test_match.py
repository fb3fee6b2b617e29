"""Matchers: the merge of rows to tracks against a slow twin, ties, and fusion by rank."""

from __future__ import annotations

import numpy as np
import pytest

from earmark import distance
from earmark.match import RRF_K, TrackMatch, best_segment, fuse
from earmark.types import Neighbors, Segments


def merge(keys, distances, tracks, *, prefer=(), metric="hamming", ndim=128, most=None):
    """Call `best_segment`; row key r lies in tracks[r] at seconds r to r + 1."""
    keys = np.asarray(keys, np.int64)
    flat = keys.ravel()
    owner = np.array([tracks[k] if k >= 0 else -1 for k in flat], np.int64)
    segments = Segments(owner, flat.astype(float), flat.astype(float) + 1)
    times = np.stack([np.arange(len(keys)), np.arange(len(keys)) + 1], axis=1) * 10.0
    near = Neighbors(keys, np.asarray(distances, np.float32), exact=True)
    return best_segment(near, segments, times, metric=metric, ndim=ndim, prefer=prefer, most=most)


def test_no_more_than_wanted():
    all_of_them = merge([[0, 1, 2]], [[3, 1, 2]], [5, 6, 7])
    assert merge([[0, 1, 2]], [[3, 1, 2]], [5, 6, 7], most=2) == all_of_them[:2]


def slow_twin(keys, distances, tracks):
    """The same means, written as the definition says."""
    n = len(keys)
    found: dict[int, dict[int, float]] = {}
    for q in range(n):
        for key, d in zip(keys[q], distances[q], strict=True):
            if key >= 0:
                row = found.setdefault(tracks[key], {})
                row[q] = min(d, row.get(q, np.inf))
    worst = [
        max((d for key, d in zip(keys[q], distances[q], strict=True) if key >= 0), default=None)
        for q in range(n)
    ]
    rows = [q for q in range(n) if worst[q] is not None]
    return {t: sum(f.get(q, worst[q]) for q in rows) / len(rows) for t, f in found.items()}


def test_single_row_ranks_tracks_by_their_nearest_row():
    matches = merge([[0, 1, 2, 3]], [[1, 2, 3, 4]], [7, 5, 7, 9])
    assert [(m.track, m.distance) for m in matches] == [(7, 1.0), (5, 2.0), (9, 4.0)]
    assert (matches[0].start, matches[0].end) == (0.0, 1.0)


def test_rows_not_found_count_with_the_farthest_neighbor():
    # Track 1 is near to the first row only, track 2 fairly near to both.
    matches = merge([[0, 1], [2, 3]], [[0, 4], [5, 20]], [1, 2, 2, 3])
    assert {m.track: m.distance for m in matches} == {2: 4.5, 1: 10.0, 3: 12.0}


def test_moment_is_the_single_best_pair():
    match = merge([[4], [2]], [[9], [3]], [0, 0, 8, 0, 8])[0]
    assert (match.start, match.end) == (2.0, 3.0)
    assert (match.query_start, match.query_end) == (10.0, 20.0)


def test_equal_pairs_give_the_earliest_moment_of_the_query():
    match = merge([[4], [2]], [[3], [3]], [0, 0, 8, 0, 8])[0]
    assert match.query_start == 0.0


def test_ties_by_preference_then_id():
    tracks = [30, 10, 20]
    assert [m.track for m in merge([[0, 1, 2]], [[1, 1, 1]], tracks)] == [10, 20, 30]
    preferred = merge([[0, 1, 2]], [[1, 1, 1]], tracks, prefer={30})
    assert [m.track for m in preferred] == [30, 10, 20]
    nearer = merge([[0, 1, 2]], [[2, 1, 1]], tracks, prefer={30})
    assert [m.track for m in nearer] == [10, 20, 30]


def test_missing_neighbors_and_dead_rows_are_ignored():
    matches = merge([[0, -1], [-1, -1]], [[3, np.inf], [np.inf, np.inf]], [6])
    assert [(m.track, m.distance) for m in matches] == [(6, 3.0)]
    assert merge([[-1]], [[np.inf]], []) == []
    assert merge([[0, 1]], [[1, 2]], [-1, 4])[0].track == 4


def test_scores_are_those_of_the_metric():
    assert merge([[0]], [[32]], [1])[0].score == 0.75
    cosine = merge([[0]], [[0.25]], [1], metric="cosine", ndim=8)[0]
    assert cosine.score == pytest.approx(distance.score("cosine", 8, 0.25))


def test_agrees_with_the_slow_twin():
    rng = np.random.default_rng(5)
    for _ in range(50):
        n, k, rows = rng.integers(1, 6), rng.integers(1, 9), 60
        keys = np.stack([rng.choice(rows, k, replace=False) for _ in range(n)])
        distances = np.sort(rng.integers(0, 20, (n, k)), axis=1).astype(float)
        missing = rng.random((n, k)).cumsum(axis=1) > 5
        keys[missing], distances[missing] = -1, np.inf
        tracks = rng.integers(0, 9, rows).tolist()
        expected = slow_twin(keys, distances, tracks)
        found = merge(keys, distances, tracks)
        assert {m.track: m.distance for m in found} == pytest.approx(expected)
        assert [m.distance for m in found] == sorted(m.distance for m in found)


def test_shapes_must_belong_together():
    near = Neighbors(np.zeros((1, 2), np.int64), np.zeros((1, 2), np.float32), exact=True)
    one = Segments(np.zeros(1, np.int64), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="2 and 1 entries"):
        best_segment(near, one, np.zeros((1, 2)), metric="l2", ndim=4)


def test_match_is_plain_python():
    match = merge([[0]], [[1]], [3])[0]
    assert isinstance(match, TrackMatch)
    assert {type(v) for v in vars(match).values()} == {int, float, dict}


def test_fusion_sums_reciprocal_ranks():
    fused = fuse([("a", [1, 2]), ("b", [2, 3])])
    assert [f.track for f in fused] == [2, 1, 3]
    assert fused[0].score == pytest.approx(1 / (RRF_K + 2) + 1 / (RRF_K + 1))
    assert fused[0].ranks == {"a": 2, "b": 1}


def test_fusion_weights_and_ties():
    assert [f.track for f in fuse([("a", [1]), ("b", [2])], weights={"b": 2})] == [2, 1]
    assert [f.track for f in fuse([("a", [2]), ("b", [1])])] == [1, 2]
    assert fuse([]) == []
