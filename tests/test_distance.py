"""Distances agree with their definitions; the nearest come in a fixed order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark import distance
from earmark.types import AnyArray, Metric


def slow(metric: str, q: AnyArray, x: AnyArray) -> float:
    if metric == "hamming":
        return sum(bin(int(a) ^ int(b)).count("1") for a, b in zip(q, x, strict=True))
    a, b = [float(v) for v in q], [float(v) for v in x]
    dot = sum(u * v for u, v in zip(a, b, strict=True))
    if metric == "inner_product":
        return -dot
    if metric == "l2":
        return float(np.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True))))
    norms = np.sqrt(sum(u * u for u in a) * sum(v * v for v in b))
    return float(1 - dot / norms) if norms else 1.0


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "l2"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_metrics_agree_with_twin(metric: Metric, dtype: type) -> None:
    rng = np.random.default_rng(3)
    q, x = rng.normal(size=(3, 9)).astype(dtype), rng.normal(size=(17, 9)).astype(dtype)
    expected = [[slow(metric, a, b) for b in x] for a in q]
    result = distance.pairwise(metric, q, x)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 16, 32])
def test_hamming_agrees_with_twin(width: int) -> None:
    rng = np.random.default_rng(width)
    q = rng.integers(0, 256, (3, width), dtype=np.uint8)
    x = rng.integers(0, 256, (17, width), dtype=np.uint8)
    expected = [[slow("hamming", a, b) for b in x] for a in q]
    assert distance.hamming(q, x).tolist() == expected


def test_blocks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 256, (50, 16), dtype=np.uint8)
    rows = rng.normal(size=(50, 4)).astype(np.float32)
    whole = distance.hamming(bits[:2], bits), distance.l2(rows[:2], rows)
    monkeypatch.setattr(distance, "_BLOCK_BYTES", 7 * 16)
    assert np.array_equal(distance.hamming(bits[:2], bits), whole[0])
    assert np.array_equal(distance.l2(rows[:2], rows), whole[1])


def test_strided_rows() -> None:
    bits = np.random.default_rng(0).integers(0, 256, (6, 32), dtype=np.uint8)[:, ::2]
    assert distance.hamming(bits, bits).diagonal().tolist() == [0] * 6


@pytest.mark.parametrize("metric", ["cosine", "l2", "hamming"])
def test_a_row_is_at_distance_zero_from_itself(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows: AnyArray = rng.normal(size=(40, 33)).astype(np.float32) * 100
    if metric == "hamming":
        rows = rows.astype(np.int64).astype(np.uint8)
    table = distance.pairwise(metric, rows, rows)
    assert table.diagonal().max() <= 1e-6
    assert table.min() >= 0


def test_l2_of_near_rows_keeps_its_digits() -> None:
    a = np.full((1, 4), 1000, np.float32)
    b = a + np.float32(0.01)
    assert distance.l2(a, b)[0, 0] == pytest.approx(2 * (b - a)[0, 0], rel=1e-5)


def test_zero_rows_are_far_under_cosine() -> None:
    table = distance.cosine(np.zeros((1, 3), np.float32), np.ones((2, 3), np.float32))
    assert table.tolist() == [[1, 1]]


def test_no_rows() -> None:
    for metric in ("cosine", "inner_product", "l2"):
        table = distance.pairwise(metric, np.ones((2, 3), np.float32), np.ones((0, 3), np.float32))  # type: ignore[arg-type]
        assert table.shape == (2, 0)
    assert distance.hamming(np.ones((2, 3), np.uint8), np.ones((0, 3), np.uint8)).shape == (2, 0)


def test_what_does_not_belong_together_is_refused() -> None:
    ones = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="must be of shape"):
        distance.pairwise("l2", ones, np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="must be of shape"):
        distance.pairwise("l2", ones[0], ones)
    with pytest.raises(ValueError, match="must be uint8"):
        distance.pairwise("hamming", ones, ones)
    with pytest.raises(ValueError, match="metric must be one of"):
        distance.pairwise("manhattan", ones, ones)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="metric must be one of"):
        distance.score("manhattan", 3, 1.0)  # type: ignore[arg-type]


@given(
    values=st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0, np.inf]), min_size=6, max_size=6),
        min_size=1,
        max_size=3,
    ),
    k=st.integers(1, 9),
)
def test_top_k_is_the_head_of_a_stable_sort(values: list[list[float]], k: int) -> None:
    table = np.array(values, np.float32)
    positions, nearest = distance.top_k(table, k)
    for row, at, near in zip(values, positions.tolist(), nearest.tolist(), strict=True):
        order = [i for i in sorted(range(6), key=lambda i: row[i]) if row[i] < np.inf][:k]
        missing = k - len(order)
        assert at == order + [-1] * missing
        assert near == [row[i] for i in order] + [np.inf] * missing


def test_top_k_of_nothing() -> None:
    positions, nearest = distance.top_k(np.empty((2, 0), np.float32), 3)
    assert (positions == -1).all()
    assert np.isinf(nearest).all()
    with pytest.raises(ValueError, match="at least 1"):
        distance.top_k(np.empty((2, 0), np.float32), 0)


@pytest.mark.parametrize(
    ("metric", "near", "far", "best"),
    [
        ("cosine", 0.0, 0.5, 1.0),
        ("l2", 0.0, 3.0, 1.0),
        ("hamming", 0.0, 64.0, 1.0),
        ("inner_product", -2.0, 1.0, 2.0),
    ],
)
def test_scores_are_large_when_good(metric: Metric, near: float, far: float, best: float) -> None:
    assert distance.score(metric, 128, near) == best > distance.score(metric, 128, far)


def test_scores_golden() -> None:
    assert distance.score("hamming", 128, 64) == 0.5
    assert distance.score("l2", 4, 3) == 0.25
    assert distance.score("cosine", 4, 0.25) == 0.75
