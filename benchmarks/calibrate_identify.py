"""Fit the confidence of `earmark identify` on evidence that `identify.py` wrote.

    python benchmarks/identify.py MUSIC... --background OTHER... --strangers S --evidence A.npz
    python benchmarks/calibrate_identify.py A.npz [B.npz...]

The best match of each query is right or not; a logistic regression on its evidence for each second
of the query, with weights that are not negative, makes that a probability.  Then the bias is
lowered until no more than `ALLOWED` of the queries of no track reach `BAR`.  Printed are the
constants of `earmark.identify.confidence`, and for each condition what share is found and let in.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from earmark.identify.confidence import Calibration, features

BAR = 0.7
KINDS = ("", "other music", "noise and tones", "speech")
ALLOWED = {1: 0.013, 2: 0.05, 3: 0.02}
"""Share of each kind of stranger that may reach `BAR`; noise and tones are made to be hard."""

ALONE = 20.0
"""Not fitted: what codes above all strangers' are worth by themselves."""


@dataclass(frozen=True)
class Table:
    """Best matches: evidence (n, 4), right, kind of stranger (0: none), seconds, condition."""

    evidence: np.ndarray
    right: np.ndarray
    kind: np.ndarray
    seconds: np.ndarray
    condition: np.ndarray
    rows: int


def read(paths: list[Path]) -> Table:
    """Read the best match of every query."""
    parts, names, rows = [], [], 0
    for path in paths:
        with np.load(path) as data:
            rows = max(rows, int(data["rows"].max()))
            for name in data.files:
                if name == "rows":
                    continue
                table = data[name].reshape(-1, 10)
                best = table[table[:, 0] == 0]
                parts.append(best)
                names += [name.rpartition(",")[0]] * len(best)
    all_ = np.concatenate(parts)
    return Table(
        all_[:, 6:10],
        all_[:, 1].astype(bool),
        all_[:, 2].astype(int),
        all_[:, 3],
        np.array(names),
        rows,
    )


def fit(table: Table, name: str) -> Calibration:
    """Logistic regression, then the bias that lets in few enough strangers."""
    known = features(table.evidence, table.seconds)
    columns = np.column_stack([known[:, :3], np.ones(len(known))])
    sign = np.where(table.right, 1.0, -1.0)

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0.0, -sign * (columns @ w)).sum() + 1e-2 * w @ w)

    free = [(0.0, None if name != without else 0.0) for without in ("CODES_ALONE", "VECTORS_ALONE")]
    w = minimize(loss, np.zeros(4), bounds=[*free, (None, None), (None, None)], method="L-BFGS-B").x
    alone = 0.0 if name == "VECTORS_ALONE" else ALONE
    logits = columns @ w + alone * known[:, 3]
    worst = 0.0
    for kind, allowed in ALLOWED.items():
        of = logits[table.kind == kind]
        if len(of):
            worst = max(worst, float(np.quantile(of, 1.0 - allowed)) - np.log(BAR / (1.0 - BAR)))
    vectors, codes, seconds = (round(float(x), 2) for x in w[:3])
    bias = round(float(w[3] - worst) - 0.005, 2)
    return Calibration(vectors, codes, seconds, bias, alone=alone, fitted_rows=table.rows)


def report(table: Table, calibration: Calibration) -> None:
    """Print what is let through at `BAR`, by condition, length and kind."""
    weights = [calibration.vectors, calibration.codes, calibration.seconds, calibration.alone]
    logits = features(table.evidence, table.seconds) @ np.array(weights) + calibration.bias
    sure = 1.0 / (1.0 + np.exp(-logits))
    passed = sure >= BAR
    for kind in np.unique(table.kind[table.kind > 0]):
        some = table.kind == kind
        print(f"  let in, {KINDS[kind]}: {passed[some].mean():.3f} of {some.sum()}")
    lengths = np.unique(table.seconds)
    for name in np.unique(table.condition):
        cells = []
        for seconds in lengths:
            of = (table.condition == name) & (table.seconds == seconds)
            asked, strangers = of & (table.kind == 0), of & (table.kind > 0)
            if asked.any():
                found = (passed & table.right)[asked].mean()
                cells.append(f"{seconds:g} s: {found:.2f}, {passed[strangers].mean():.3f}")
        print(f"  {name}: {'; '.join(cells)}")
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 0.98), (0.98, 1.01)):
        some = (sure >= low) & (sure < high)
        if some.any():
            print(f"  said {low:g} to {high:g}: {table.right[some].mean():.3f} of {some.sum()}")


def main() -> None:
    """Fit all three, print constants and figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("evidence", nargs="+", type=Path)
    table = read(parser.parse_args().evidence)
    strangers = int((table.kind > 0).sum())
    print(f"{len(table.right)} queries, {strangers} of them of no track; {table.rows} rows")
    for name in ("BOTH", "VECTORS_ALONE", "CODES_ALONE"):
        calibration = fit(table, name)
        print(f"{name} = {calibration}")
        report(table, calibration)


if __name__ == "__main__":
    main()
