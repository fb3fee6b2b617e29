"""How weights of fused encoders and the correction of hubs were found, on real recordings.

For each task of the manifest (leave one out; same protocol as ``earmark evaluate retrieval``): each
encoder alone, plain and corrected for hubs, then reciprocal rank fusion over a grid of weights.
Half of the queries (even) choose the weights, the other half (odd) measure them.

    python benchmarks/fusion.py LIBRARY MANIFEST --tasks env,events,inst

The library holds the tasks' files with all encoders that are to be compared.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np

import earmark
from earmark.evaluate import metrics, retrieval

RRF = (10, 30, 60)
GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
NEAREST = 10


def table(lib: earmark.Library, name: str, tracks: list[int]) -> np.ndarray:
    """Mean over a query's rows of the distance of the nearest row: shape (queries, items)."""
    spec = lib.store.encoders()[name]
    rows, owners = retrieval.load(lib.store, spec, tracks)
    present = np.unique(owners)
    return np.stack(
        [
            retrieval.distances_of(spec, rows, owners, q, present, len(tracks))
            for q in range(len(tracks))
        ]
    )


def corrected(away: np.ndarray, kind: str) -> np.ndarray:
    """Distances without the advantage of hubs: CSLS or local scaling over the columns."""
    both = np.where(np.isfinite(away), away, np.nan)
    np.fill_diagonal(both, np.nan)
    near = np.nanmean(np.sort(both, axis=0)[:NEAREST], axis=0)
    if kind == "csls":
        return away - near[None, :]
    if kind == "half":
        return away - near[None, :] / 2
    return away / np.sqrt(np.maximum(near[None, :], 1e-6))


def figures(
    ranked: np.ndarray, items: list[retrieval.Item], queries: range
) -> tuple[float, float, float]:
    """precision@1, map, and the skewness of how often items are among the first ten."""
    labels = np.array([i.label for i in items])
    groups = np.array([i.group for i in items])
    first, mean = [], []
    for q in queries:
        others = np.arange(len(items)) != q
        if groups[q]:
            others &= groups != groups[q]
        relevant = others & (labels == labels[q])
        if not relevant.any():
            continue
        order = ranked[q]
        found = relevant[order[others[order]]]
        first.append(metrics.precision_at(found, 1))
        mean.append(metrics.average_precision(found, total=int(relevant.sum())))
    often = np.bincount(ranked[:, 1:11].ravel(), minlength=len(items))
    skew = float(((often - often.mean()) ** 3).mean() / max(often.std(), 1e-9) ** 3)
    return float(np.mean(first)), float(np.mean(mean)), skew


def ranks_of(away: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Items by distance for each query, the query's own first."""
    own = away.copy()
    np.fill_diagonal(own, -np.inf)
    return np.stack([np.lexsort((tie, row)) for row in own])


def fused(ranked: list[np.ndarray], weights: tuple[float, ...], k: int) -> np.ndarray:
    """Reciprocal rank fusion for each query."""
    total = np.zeros(ranked[0].shape)
    for order, weight in zip(ranked, weights, strict=True):
        place = np.argsort(order, axis=1)
        total += weight / (k + place)
    return np.argsort(-total, axis=1, kind="stable")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--tasks", default="env,events,inst,music")
    parser.add_argument("--groups", default="env", help="tasks whose groups are left out")
    args = parser.parse_args()
    with earmark.open(args.library, create=False) as lib:
        names = sorted(lib.store.encoders())
        for task in args.tasks.split(","):
            items = retrieval.read_manifest(args.manifest, where=f"task = '{task}'")
            if task not in args.groups.split(","):
                items = [replace(item, group="") for item in items]
            tracks = retrieval._tracks(lib.store, items)
            tie = np.random.default_rng(0).permutation(len(items))
            even, odd = range(0, len(items), 2), range(1, len(items), 2)
            whole = range(len(items))
            print(f"\n{task}: {len(items)} tracks", flush=True)
            plain, best = {}, {}
            for name in names:
                away = table(lib, name, tracks)
                for kind in ("plain", "csls", "half", "scaled"):
                    made = away if kind == "plain" else corrected(away, kind)
                    order = ranks_of(made, tie)
                    p1, mean, skew = figures(order, items, whole)
                    print(f"  {name:12} {kind:7} p@1 {p1:.3f} map {mean:.3f} skew {skew:.2f}")
                    if kind == "plain":
                        plain[name] = order
                    if name not in best or mean > best[name][0]:
                        best[name] = (mean, order)
            for label, chosen in (
                ("plain", [plain[n] for n in names]),
                ("best", [best[n][1] for n in names]),
            ):
                found = []
                for k in RRF:
                    for weights in itertools.product(GRID, repeat=len(names)):
                        if max(weights) < 1:
                            continue
                        order = fused(chosen, weights, k)
                        found.append((figures(order, items, even)[:2], k, weights))
                found.sort(key=lambda f: -f[0][1])
                for (_, mean), k, weights in found[:3]:
                    p1, other, _ = figures(fused(chosen, weights, k), items, odd)
                    w = " ".join(f"{n}={x:g}" for n, x in zip(names, weights, strict=True))
                    print(f"  fused {label:6} k={k:2} {w}: even map {mean:.3f}, "
                          f"odd p@1 {p1:.3f} map {other:.3f}", flush=True)  # fmt: skip
                for k in RRF:
                    p1, mean, _ = figures(fused(chosen, (1.0,) * len(names), k), items, whole)
                    print(f"  fused {label:6} k={k:2} equal: all p@1 {p1:.3f} map {mean:.3f}")


if __name__ == "__main__":
    main()
