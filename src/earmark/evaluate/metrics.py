"""Metrics of rankings: pure functions of relevance, with no opinion about where it came from.

Conventions: ``relevant`` is a boolean array, shape (n,), best answer first: whether the answer at
that rank is relevant.  ``total`` is how many relevant items there are to be found, wherever they
ended up.  All metrics lie in [0, 1]; 1 is perfect.  Only binary relevance is used.

Sources: Manning, Raghavan and Schütze, *Introduction to Information Retrieval*, 2008, ch. 8;
nDCG: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002;
the bootstrap: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 13.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.types import Float64Array

Relevance = Sequence[bool] | npt.NDArray[np.bool_]


def _checked(relevant: Relevance, total: int | None = None, k: int = 1) -> npt.NDArray[np.bool_]:
    """The relevance as an array; ValueError for what cannot be one."""
    array = np.asarray(relevant)
    if array.ndim != 1:
        raise ValueError(f"relevance must have one dimension, got {array.ndim}")
    if array.size and array.dtype != np.bool_:
        raise ValueError(f"relevance must be boolean, got {array.dtype}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if total is not None and total < int(np.count_nonzero(array)):
        raise ValueError(
            f"total must count all relevant items, got {total} for "
            f"{int(np.count_nonzero(array))} in the ranking"
        )
    return array.astype(np.bool_)


def precision_at(relevant: Relevance, k: int) -> float:
    """Share of the first `k` ranks that hold a relevant answer; missing ranks count as wrong.

    Raises
    ------
    ValueError
        If k < 1 or relevance is not a boolean vector.

    Examples
    --------
    >>> precision_at([True, False, True], 2)
    0.5
    """
    return float(np.count_nonzero(_checked(relevant, k=k)[:k]) / k)


def recall_at(relevant: Relevance, k: int, *, total: int) -> float:
    """Share of the `total` relevant items that the first `k` ranks hold; 0 if there are none.

    Raises
    ------
    ValueError
        If k < 1, relevance is not a boolean vector, or it holds more than `total`.

    Examples
    --------
    >>> recall_at([True, False, True], 2, total=2)
    0.5
    """
    array = _checked(relevant, total, k)
    return float(np.count_nonzero(array[:k]) / total) if total else 0.0


def average_precision(relevant: Relevance, *, total: int) -> float:
    """Mean over the `total` relevant items of the precision at their rank; 0 if there are none.

    Items that are not in the ranking count 0.

    Raises
    ------
    ValueError
        If relevance is not a boolean vector, or it holds more than `total`.

    Examples
    --------
    >>> average_precision([True, False, True, False], total=2)
    0.8333333333333333
    """
    array = _checked(relevant, total)
    if not total:
        return 0.0
    ranks = np.flatnonzero(array) + 1
    return float(np.sum(np.arange(1, len(ranks) + 1) / ranks) / total)


def ndcg_at(relevant: Relevance, k: int, *, total: int) -> float:
    """Discounted gain ``sum 1 / log2(rank + 1)`` of the first `k` ranks over the best possible.

    0 if there is nothing relevant.

    Raises
    ------
    ValueError
        If k < 1, relevance is not a boolean vector, or it holds more than `total`.

    Examples
    --------
    >>> round(ndcg_at([False, True], 10, total=1), 4)
    0.6309
    """
    array = _checked(relevant, total, k)[:k]
    if not total:
        return 0.0
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return float(discounts[: len(array)][array].sum() / discounts[: min(total, k)].sum())


def reciprocal_rank(relevant: Relevance) -> float:
    """1 over the rank of the first relevant answer; 0 without one.

    Raises
    ------
    ValueError
        If relevance is not a boolean vector.

    Examples
    --------
    >>> reciprocal_rank([False, True, True])
    0.5
    """
    found = np.flatnonzero(_checked(relevant))
    return float(1 / (found[0] + 1)) if len(found) else 0.0


def bootstrap_interval(
    values: Sequence[float] | Float64Array,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of one value per query.

    Parameters
    ----------
    values : sequence of float, shape (n,)
    seed : int
        Of the resampling.
    resamples : int
        How often.
    level : float
        Probability that the interval covers, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper end; (0, 0) without values.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1 or there are no resamples.

    Examples
    --------
    >>> bootstrap_interval([1.0, 1.0, 1.0], seed=0)
    (1.0, 1.0)
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(
            f"level must be in (0, 1) and resamples at least 1, got {level} and {resamples}"
        )
    array = np.asarray(values, np.float64)
    if not array.size:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = np.array([rng.choice(array, array.size).mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
