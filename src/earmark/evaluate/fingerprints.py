"""How well runs of fingerprints find their place (files: `fingerprint_files`).

Where it is known which recording each row is of, no candidate runs from one into the next.

A query is L consecutive rows.  Each asks for its `k_probe` nearest; a row found for the i-th less i
is a candidate; candidates are ranked by the mean inner product with the uncompressed rows.  Exact
is the very row, near one row beside it (Chang et al. 2021).  What the published evaluation leaves
out: from which score on an answer may be believed.  Nothing is ever written.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import UsageError
from earmark.evaluate.fingerprint_files import Bench
from earmark.evaluate.fingerprint_index import RowIndex
from earmark.types import Float32Array, Int64Array

LENGTHS = (1, 3, 5, 9, 11, 19)
K_PROBE = 20
TOPS = (1, 3, 10)
FALSE_ACCEPTS = 0.02


@dataclass(frozen=True)
class Report:
    """Shares found, by metric and length of query in rows; and of how many queries.

    `thresholds` are the scores from which on an answer is believed; empty where it is not known
    which rows are of one recording.
    """

    metrics: dict[str, dict[int, float]]
    queries: dict[int, int]
    thresholds: dict[int, float]


@dataclass(frozen=True)
class Ranked:
    """Candidates of one query, best first: where it may begin, and their scores; shape (n,)."""

    starts: Int64Array
    scores: Float32Array


def choose_ids(bench: Bench, wanted: str, *, seed: int) -> Int64Array:
    """Choose the rows at which queries begin.

    Parameters
    ----------
    bench : Bench
    wanted : str
        ``all``; a number, as many drawn by the seed, first of those from which the longest of the
        usual queries can be asked; or a file: ``.npy``, or text with a number a line.
    seed : int

    Returns
    -------
    int64 array, shape (n,), ascending unless they are from a file

    Raises
    ------
    UsageError
        If they are none of these, or rows that there are not.
    """
    truth = bench.truth()
    known = np.flatnonzero(truth >= 0)
    if wanted == "all":
        return known
    if wanted.isascii() and wanted.isdigit():
        if int(wanted) < 1:
            raise UsageError(f"--test-ids must be at least 1, got {wanted}")
        drawn = np.random.default_rng(seed).permutation(known)
        short = _room(bench, truth)[drawn] < max(LENGTHS)
        return np.sort(drawn[np.argsort(short, kind="stable")][: int(wanted)])
    return _ids_of_file(Path(wanted), len(bench.query.values))


def _ids_of_file(path: Path, rows: int) -> Int64Array:
    try:
        if path.suffix == ".npy":
            read = np.load(path, allow_pickle=False)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a file without numbers
                read = np.loadtxt(path, delimiter=_delimiter(path), ndmin=1)
        numbers = np.asarray(read, np.float64).reshape(-1)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(
            f"--test-ids must be 'all', a number, or a file of row numbers; {path}: {reason}"
        ) from error
    wrong = ~((numbers >= 0) & (numbers < rows) & (numbers == np.floor(numbers)))
    if len(numbers) == 0 or wrong.any():
        which = f"{numbers[wrong][0]:g} ({wrong.sum()} in all)" if len(numbers) else "nothing"
        raise UsageError(
            f"the ids must be rows of the queries, whole numbers from 0 to {rows - 1}; "
            f"{path} has {which}",
            hint="ids belong to one test set; --test-ids 2000 draws others",
        )
    return numbers.astype(np.int64)


def _delimiter(path: Path) -> str | None:
    """A comma if the first line has one, else white space."""
    with path.open(encoding="utf-8") as file:
        return "," if "," in file.readline() else None


def _room(bench: Bench, truth: Int64Array) -> Int64Array:
    """How many rows can be asked from each row on: to the end of the query's and the true
    recording, whichever comes first; shape (n,)."""
    n = len(truth)
    room = bench.query.ends - np.arange(n)
    ends = bench.ends()
    there = truth >= 0
    room[there] = np.minimum(room[there], ends[truth[there]] - truth[there])
    room[~there] = 0
    return room


def evaluate(
    bench: Bench,
    index: RowIndex,
    ids: Int64Array,
    *,
    lengths: Sequence[int] = LENGTHS,
    k_probe: int = K_PROBE,
) -> Report:
    """Ask all queries of all lengths.

    Parameters
    ----------
    bench : Bench
    index : RowIndex
        Over ``bench.parts``, in their order.
    ids : int64 array, shape (n,)
        Rows of the queries at which they begin; those from which a length runs out of the
        recording are left out of it, and of the count.
    lengths : sequence of int
        In rows.
    k_probe : int
        Nearest rows that each row asks for.

    Returns
    -------
    Report
        ``top1_exact``, ``top1_near`` and so on for 1, 3 and 10.  Where recordings are known also
        ``top1_track``, the first is of the right recording; and ``recall_2fa``, the first is
        near and its score above all but 2 % of the best scores that other recordings reach (which
        would be the answers if the right one were not there).

    Raises
    ------
    UsageError
        If no query of any length is left.
    """
    truth, ends = bench.truth(), bench.ends()
    room = _room(bench, truth)[ids]
    known = all(part.tracks is not None for part in bench.parts)
    metrics: dict[str, dict[int, float]] = {}
    counts: dict[int, int] = {}
    thresholds: dict[int, float] = {}
    if room.max(initial=0) < min(lengths):
        raise UsageError(
            f"no query is left: none of {len(ids)} has {min(lengths)} rows in one recording"
        )
    near_rows = _near_rows(bench, index, ids, int(min(max(lengths), room.max())), k_probe)
    for length in lengths:
        asked = np.flatnonzero(room >= length)
        counts[length] = len(asked)
        if not len(asked):
            continue
        ranked = [_ranked(bench, int(ids[i]), length, near_rows[i], ends) for i in asked]
        right = truth[ids[asked]]
        shares = _shares([r.starts for r in ranked], right, ends if known else None)
        if known:
            thresholds[length], shares["recall_2fa"] = _believed(ranked, right, ends)
        for name, share in shares.items():
            metrics.setdefault(name, {})[length] = share
    return Report(metrics, counts, thresholds)


def _near_rows(
    bench: Bench, index: RowIndex, ids: Int64Array, longest: int, k_probe: int
) -> Int64Array:
    """Nearest rows of each row that any query asks with, shape (n, longest, k_probe)."""
    at = ids[:, None] + np.arange(longest)[None]
    wanted = np.unique(np.minimum(at, len(bench.query.values) - 1))
    k = min(k_probe, bench.size)
    found = np.concatenate(
        [
            index.search(np.asarray(bench.query.values[wanted[i : i + 4096]]), k)
            for i in range(0, len(wanted), 4096)
        ]
    )
    places = np.searchsorted(wanted, np.minimum(at, len(bench.query.values) - 1))
    rows: Int64Array = found[places]
    return rows


def _ranked(bench: Bench, first: int, length: int, near: Int64Array, ends: Int64Array) -> Ranked:
    """Candidates of one query of rows ``first`` to ``first + length - 1``."""
    shifted = near[:length] - np.arange(length)[:, None]
    found = np.unique(shifted[(near[:length] >= 0) & (shifted >= 0)])
    found = found[found + length <= ends[found]]
    if not len(found):
        return Ranked(found, np.zeros(0, np.float32))
    rows = bench.rows(found[:, None] + np.arange(length)[None])
    query = np.asarray(bench.query.values[first : first + length])
    scores = np.einsum("clk,lk->c", rows, query) / np.float32(length)
    order = np.argsort(-scores, kind="stable")
    return Ranked(found[order], scores[order])


def _believed(ranked: Sequence[Ranked], truth: Int64Array, ends: Int64Array) -> tuple[float, float]:
    """The score that 98 % of wrong answers stay below or at, and the share of right ones above."""
    wrong, right = [], []
    for found, start in zip(ranked, truth, strict=True):
        others = found.scores[ends[found.starts] != ends[start]]
        wrong.append(float(others[0]) if len(others) else -1.0)
        near = len(found.starts) > 0 and abs(int(found.starts[0]) - int(start)) <= 1
        right.append(float(found.scores[0]) if near else -np.inf)
    threshold = float(np.quantile(wrong, 1.0 - FALSE_ACCEPTS, method="higher"))
    return threshold, float(np.mean(np.array(right) > threshold))


def _shares(
    ranked: Sequence[Int64Array], truth: Int64Array, ends: Int64Array | None
) -> dict[str, float]:
    """Shares of queries whose answer is among the first few."""
    out: dict[str, list[bool]] = {}
    for found, right in zip(ranked, truth, strict=True):
        off = np.abs(found - right)
        for top in TOPS:
            out.setdefault(f"top{top}_exact", []).append(bool((off[:top] == 0).any()))
            out.setdefault(f"top{top}_near", []).append(bool((off[:top] <= 1).any()))
        if ends is not None:
            same = len(found) > 0 and ends[found[0]] == ends[right]
            out.setdefault("top1_track", []).append(bool(same))
    return {name: float(np.mean(values)) for name, values in out.items()}


def to_json(
    report: Report, bench: Bench, index: RowIndex, *, seed: int, k_probe: int
) -> dict[str, Any]:
    """Return a report as one JSON document: a number for each metric and length, and what it is of.

    ``top1_exact@5`` is that of queries of five rows; `threshold` and `queries` likewise.
    """
    numbers: dict[str, dict[int, Any]] = {
        **report.metrics,
        "threshold": dict(report.thresholds),
        "queries": dict(report.queries),
    }
    return {
        **{f"{name}@{n}": value for name, by in numbers.items() for n, value in by.items()},
        "lengths": list(report.queries),
        "encoder": bench.encoder,
        "index": index.kind,
        "index_parameters": index.parameters,
        "k_probe": k_probe,
        "library_size": bench.size,
        "seed": seed,
    }
