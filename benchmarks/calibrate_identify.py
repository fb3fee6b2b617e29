"""Fit the confidence of `earmark identify` on evidence that `identify.py` wrote.

    python benchmarks/identify.py MUSIC... --background OTHER... --strangers S --evidence A.npz
    python benchmarks/calibrate_identify.py A.npz [B.npz...]

The best match of each query is right or not; so is, if it was right, the best of another track.
For each length of a query a logistic regression with weights that are not negative makes a
probability of the evidence.  Then the bias is set so that no more than `ALLOWED` of the queries of
no track reach `BAR` at that length (it is raised by no more than `RAISED`).  Printed are the
constants of `earmark.identify.confidence`, and for each condition and length what share is found
and let in.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from earmark.identify.confidence import NAMES, Calibration, features, haste, margin, usual

BAR = 0.7
KINDS = ("", "other music", "noise and tones", "speech", "scenes")
ALLOWED = {1: 0.012, 2: 0.015, 3: 0.01, 4: 0.01}
"""Share of each kind of stranger that may reach `BAR`."""

RAISED = 1.0
"""As if half of the queries asked were of tracks in the library, not a quarter."""

SHORT_ALLOWED = 0.02
"""The same for all that is no music in clips of a second, which have a single row: a moment of a
tone is like a moment of music that holds one."""

COLUMNS = ("query", "rank", "right", "kind", "seconds", "speed", "confidence", *NAMES)


@dataclass(frozen=True)
class Table:
    """Matches: evidence (n, 7), right, kind of stranger (0: none), seconds, speed, condition."""

    evidence: np.ndarray
    right: np.ndarray
    kind: np.ndarray
    seconds: np.ndarray
    speed: np.ndarray
    condition: np.ndarray
    rows: int


def weights(evidence: np.ndarray, kinds: str) -> np.ndarray:
    """`Evidence.weight` by vectors, codes or both."""
    vectors = evidence[:, 2] + evidence[:, 0]
    codes = evidence[:, 3] + evidence[:, 1]
    return 0.5 * (vectors * ("VECTORS" in kinds) + codes * ("CODES" in kinds))


def read(paths: list[Path], name: str) -> Table:
    """Read the best match of every query, and the best wrong one where that is right.

    For one kind of rows alone the matches are ordered anew, and their margins found.
    """
    parts, names, rows = [], [], 0
    kinds = "VECTORS CODES" if name == "BOTH" else name
    for path in paths:
        with np.load(path) as data:
            rows = max(rows, int(data["rows"].max()))
            for condition in data.files:
                if condition == "rows":
                    continue
                table = data[condition].reshape(-1, len(COLUMNS))
                for query in np.unique(table[:, 0]):
                    chosen = _chosen(table[table[:, 0] == query], kinds, recorded=name == "BOTH")
                    parts += chosen
                    names += [condition.rpartition(",")[0]] * len(chosen)
    all_ = np.stack(parts)
    return Table(
        all_[:, 7:],
        all_[:, 2].astype(bool),
        all_[:, 3].astype(int),
        all_[:, 4],
        all_[:, 5],
        np.array(names),
        rows,
    )


def _chosen(matches: np.ndarray, kinds: str, *, recorded: bool) -> list[np.ndarray]:
    weight = weights(matches[:, 7:], kinds)
    if not recorded:
        order = np.argsort(-weight, kind="stable")
        matches, weight = matches[order].copy(), weight[order]
        for place in range(min(2, len(matches))):
            seconds = float(matches[place, 4])
            vectors, codes = matches[place, 11] * (kinds[0] == "V"), matches[place, 12]
            least = usual(seconds, vectors, codes * (kinds[0] == "C"))
            rival = max(least, *weight[place + 3 : place + 4], 0.0)
            matches[place, -1] = margin(float(weight[place]), rival)
    best = matches[0]
    if not best[2] or len(matches) == 1:
        return [best if best[3] or best[2] else _stranger(best)]
    # Nearly as good by codes, the other one may be the same sound.
    other = matches[1]
    same = other[10] > 0.6 * best[10] and other[9] > 0.6 * best[9]
    return [best] if same else [best, _stranger(other)]


def _stranger(match: np.ndarray) -> np.ndarray:
    """A wrong match of a query that has a right one counts as one of other music."""
    match = match.copy()
    match[3] = 1
    return match


def fit(table: Table, name: str) -> Calibration:
    """A logistic regression for each length, then biases that let in few enough strangers."""
    lengths = np.unique(table.seconds)
    known = np.column_stack([features(table.evidence, table.seconds), np.ones(len(table.right))])
    used = np.array([name != "CODES_ALONE", name != "VECTORS_ALONE"] * 2 + [True])
    cost = haste(table.speed, table.seconds)
    found = []
    for length in lengths:
        # From two seconds on, rows that say the same again are to be worth nothing.
        used[:2] &= length < 2.0
        bounds = [(0.0, None if use else 0.0) for use in used] + [(None, None)]
        some = table.seconds == length
        near = np.exp(-((np.log(table.seconds / length) / 0.4) ** 2))
        near[(table.seconds < 2.0) != (length < 2.0)] = 0.0
        w = _regression(known, cost, table.right, near, bounds)
        logits = known[some] @ w - cost[some]
        worst = -RAISED
        kinds = table.kind[some]
        if length < 2.0:
            kinds = np.minimum(kinds, 2)
        for kind, allowed in ALLOWED.items():
            of = logits[kinds == kind]
            share = SHORT_ALLOWED if length < 2.0 and kind > 1 else allowed
            if len(of):
                worst = max(worst, float(np.quantile(of, 1.0 - share)) - np.log(BAR / (1.0 - BAR)))
        w[-1] -= worst + 0.005
        found.append(tuple(round(float(x), 2) for x in w))
    if not any(found[0][:-1]):  # a second has no codes: what holds for two must do
        found[0] = found[1]
    seconds = tuple(float(x) for x in lengths)
    return Calibration(seconds, tuple(found), fitted_rows=table.rows)


def _regression(
    columns: np.ndarray,
    cost: np.ndarray,
    right: np.ndarray,
    near: np.ndarray,
    bounds: list[tuple[float | None, float | None]],
) -> np.ndarray:
    """Weights of columns; queries of other lengths count as far as they are `near`."""
    sign = np.where(right, 1.0, -1.0)

    def loss(w: np.ndarray) -> float:
        return float(near @ np.logaddexp(0.0, -sign * (columns @ w - cost)) + 5e-2 * w @ w)

    return minimize(loss, np.zeros(columns.shape[1]), bounds=bounds, method="L-BFGS-B").x


def said(table: Table, calibration: Calibration) -> np.ndarray:
    """Confidence of every match."""
    known = np.column_stack([features(table.evidence, table.seconds), np.ones(len(table.right))])
    each = np.array([calibration.weights_of(seconds) for seconds in table.seconds])
    logits = np.sum(known * each, axis=1) - haste(table.speed, table.seconds)
    return 1.0 / (1.0 + np.exp(-logits))


def report(table: Table, calibration: Calibration) -> None:
    """Print what is let through at `BAR`, by condition, length and kind."""
    sure = said(table, calibration)
    passed = sure >= BAR
    lengths = np.unique(table.seconds)
    for kind in np.unique(table.kind[table.kind > 0]):
        cells = []
        for seconds in lengths:
            some = (table.kind == kind) & (table.seconds == seconds)
            cells.append(f"{seconds:g} s: {passed[some].mean():.3f} of {some.sum()}")
        print(f"  let in, {KINDS[kind]}: {'; '.join(cells)}")
    for name in np.unique(table.condition):
        cells = []
        for seconds in lengths:
            of = (table.condition == name) & (table.seconds == seconds)
            asked = of & (table.kind == 0)
            if asked.any():
                cells.append(f"{seconds:g} s: {passed[asked].mean():.2f} of {asked.sum()}")
        print(f"  found of those right, {name}: {'; '.join(cells)}")
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 0.98), (0.98, 1.01)):
        some = (sure >= low) & (sure < high)
        if some.any():
            print(f"  said {low:g} to {high:g}: {table.right[some].mean():.3f} of {some.sum()}")


def halves(table: Table) -> None:
    """Fit on either half of the queries and report on the other, as one table."""
    half = np.arange(len(table.right)) // 7 % 2 == 0
    sure = np.zeros(len(half))
    for one in (half, ~half):
        some = replace(
            table,
            **{
                n: getattr(table, n)[one]
                for n in ("evidence", "right", "kind", "seconds", "speed", "condition")
            },
        )
        sure[~one] = said(table, fit(some, "BOTH"))[~one]
    for seconds in np.unique(table.seconds):
        cells = []
        for kind, name in enumerate(("right", *KINDS[1:])):
            some = (table.kind == kind) & (table.seconds == seconds)
            some &= table.right if kind == 0 else ~table.right
            if some.any():
                cells.append(f"{name} {(sure[some] >= BAR).mean():.3f}")
        print(f"  {seconds:g} s: {', '.join(cells)}")


def main() -> None:
    """Fit all three, print constants and figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("evidence", nargs="+", type=Path)
    paths = parser.parse_args().evidence
    for name in ("BOTH", "VECTORS_ALONE", "CODES_ALONE"):
        table = read(paths, name)
        strangers = int((table.kind > 0).sum())
        print(f"{len(table.right)} matches, {strangers} of them wrong; {table.rows} rows")
        calibration = fit(table, name)
        print(f"{name} = {calibration}")
        report(table, calibration)
        if name == "BOTH":
            print("each half by a fit on the other, passing:")
            halves(table)


if __name__ == "__main__":
    main()
