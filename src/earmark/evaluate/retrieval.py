"""Retrieval by example, leave one out: does each track find the others of its label?

Protocol.  The database is the tracks of the manifest, nothing else of the library.  Each track is a
query in turn; it, and the members of its group (cuts of the same recording), are neither hits nor
relevant for it.  Distances are those of `match.best_segment` over *all* stored rows: no index, no
neighbours cut off.  A query whose label nobody else has is not counted, for nothing could be right.
Where every track's group is its label, the groups say nothing of recordings (all that is right
would be left out) and are passed over.  Equal distances are ordered at random by the seed, the same
order for all queries: the order of a folder, often sorted by label, must not help.  Tracks without
rows (silent) rank last, and as queries find nothing.

Only reads the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark import distance as distances
from earmark import where as filters
from earmark.errors import QueryError, UnknownField, UsageError, nearest
from earmark.evaluate import manifests, metrics
from earmark.types import AnyArray, EncoderSpec, Float64Array, Int64Array, Scalar, Store

BLOCK_ROWS = 65_536
"""Stored rows that are compared at once: bounds memory."""

FUSED = "fused"
FUSED_KINDS = frozenset({"semantic", "similar", "timbre"})

QUERY_ROWS = 256
"""Rows of a query that are compared at once."""


@dataclass(frozen=True)
class Item:
    """A line of a manifest."""

    path: str
    label: str
    group: str = ""


@dataclass(frozen=True)
class Report:
    """The figures.

    Parameters
    ----------
    metrics : mapping
        Mean over the queries: precision@1, precision@k, recall@k, map, ndcg@k, mrr.
    intervals : mapping
        95 % bootstrap interval of each.
    encoder : str
    revision : str
    library_size : int
        Tracks of the manifest.
    queries : int
        Those that were counted.
    silent : int
        Tracks without rows.
    seed : int
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    encoder: str
    revision: str
    library_size: int
    queries: int
    silent: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures with what they were measured on."""
        return dict(self.metrics) | {
            "encoder": self.encoder,
            "revision": self.revision,
            "library_size": self.library_size,
            "queries": self.queries,
            "silent": self.silent,
            "seed": self.seed,
            "interval95": {name: list(ends) for name, ends in self.intervals.items()},
        }


def read_manifest(path: str | Path, *, where: str | None = None) -> list[Item]:
    """Read a CSV file with the columns ``path,label[,group]`` and any others.

    Parameters
    ----------
    path : path
    where : str, optional
        Keep only lines for which this filter over the columns holds.

    Raises
    ------
    UsageError
        If it is not such a file, or a line lacks a path or a label.
    UnknownField
        If the filter names a column that is not there.
    """
    manifest = manifests.read(path, ("path", "label"), example="path,label,group")
    expr = None if where is None else filters.parse(where)
    for name in sorted(filters.fields_of(expr)) if expr is not None else ():
        if name not in manifest.columns:
            hint = nearest(name, manifest.columns) or f"columns: {', '.join(manifest.columns)}"
            raise UnknownField(f"{manifest.path}: there is no column {name!r}", hint=hint)
    items = []
    for line in manifest.lines:
        values = {name: _typed(text) for name, text in line.values.items()}
        if expr is not None and not filters.matches(expr, values):
            continue
        file, label = manifest.file(line), line.get("label")
        if not file or not label:
            raise manifest.error(line, "path or label is empty")
        items.append(Item(file, label, line.get("group")))
    if not items:
        raise UsageError(f"{manifest.path}: no line is left to evaluate", hint="look at --where")
    return items


def _typed(text: str) -> Scalar:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def evaluate(
    store: Store, items: Sequence[Item], *, encoder: str | None = None, k: int = 10, seed: int
) -> Report:
    """Measure search by example on the items of a manifest.

    Parameters
    ----------
    store : Store
    items : sequence of Item
    encoder : str, optional
        May be left out if the library has one.  Several, separated by commas, are fused as a
        search does; 'fused' stands for all that a search by example asks.
    k : int
        The cut-off of precision, recall and ndcg.
    seed : int
        Orders ties and draws the bootstrap.

    Raises
    ------
    QueryError
        If the encoder is not in the library, or tracks of the manifest are not.
    """
    specs = _specs(store, encoder)
    tracks = _tracks(store, items)
    labels = np.array([item.label for item in items])
    groups = _groups(items)
    tie = np.random.default_rng(seed).permutation(len(items))
    rankings, present = _rankings(store, specs, tracks, tie)
    values: dict[str, list[float]] = {}
    for query in range(len(items)):
        others = np.arange(len(items)) != query
        if groups[query]:
            others &= groups != groups[query]
        relevant = others & (labels == labels[query])
        total = int(relevant.sum())
        if not total:
            continue
        ranking = rankings(query)
        found = relevant[ranking[others[ranking]]]
        for name, value in _figures(found, total, k).items():
            values.setdefault(name, []).append(value)
    if not values:
        raise QueryError("no label of the manifest has two tracks that are not of one group")
    return Report(
        metrics={name: float(np.mean(v)) for name, v in values.items()},
        intervals={n: metrics.bootstrap_interval(v, seed=seed) for n, v in values.items()},
        encoder=",".join(specs),
        revision=",".join(spec.revision for spec in specs.values()),
        library_size=len(items),
        queries=len(values["map"]),
        silent=len(items) - present,
        seed=seed,
    )


def _rankings(
    store: Store, specs: Mapping[str, EncoderSpec], tracks: Sequence[int], tie: Int64Array
) -> tuple[Callable[[int], Int64Array], int]:
    """What ranks all items for a query, by one encoder or fused; and how many items have rows."""
    if len(specs) > 1:
        from earmark.evaluate.fused import FusedRanking

        fused = FusedRanking(store, specs, tracks, tie)
        return fused.rank, fused.present
    spec = next(iter(specs.values()))
    rows, owners = load(store, spec, tracks)
    present = np.unique(owners)
    return lambda query: _rank(spec, rows, owners, query, present, tie), len(present)


def _figures(found: npt.NDArray[np.bool_], total: int, k: int) -> dict[str, float]:
    figures = {"precision@1": metrics.precision_at(found, 1)}
    figures[f"precision@{k}"] = metrics.precision_at(found, k)
    figures[f"recall@{k}"] = metrics.recall_at(found, k, total=total)
    figures["map"] = metrics.average_precision(found, total=total)
    figures[f"ndcg@{k}"] = metrics.ndcg_at(found, k, total=total)
    figures["mrr"] = metrics.reciprocal_rank(found)
    return figures


def _specs(store: Store, encoder: str | None) -> dict[str, EncoderSpec]:
    """The encoders that are named: one, several with commas, or 'fused' for all that compare."""
    specs = store.encoders()
    if encoder is None and len(specs) != 1:
        raise QueryError(
            f"an encoder must be named, the library has {', '.join(sorted(specs)) or 'none'}",
            hint="--encoder NAME, --encoder A,B or --encoder fused",
        )
    names = list(specs) if encoder is None else [n.strip() for n in encoder.split(",") if n.strip()]
    if names == [FUSED]:
        names = sorted(name for name, spec in specs.items() if spec.kind in FUSED_KINDS)
        if not names:
            raise QueryError("the library has no rows of an encoder that a search fuses")
    for name in names:
        if name not in specs:
            raise QueryError(
                f"the library has no rows of an encoder {name!r}",
                hint=nearest(name, specs) or f"it has {', '.join(sorted(specs)) or 'none'}",
            )
    return {name: specs[name] for name in dict.fromkeys(names)}


def _groups(items: Sequence[Item]) -> AnyArray:
    """Each item's group; none where groups only repeat the labels."""
    if all(item.group == item.label for item in items):
        return np.array([""] * len(items))
    return np.array([item.group for item in items])


def _tracks(store: Store, items: Sequence[Item]) -> list[int]:
    """The track of each item; an error names those that are missing or there twice."""
    found = [store.find_path(item.path) for item in items]
    missing = [item.path for item, track in zip(items, found, strict=True) if track is None]
    if missing:
        raise QueryError(
            f"{len(missing)} of {len(items)} tracks of the manifest are not in the library, "
            f"the first is {missing[0]}",
            hint="index them first, and keep the manifest where its relative paths hold",
        )
    ids = [track.id for track in found if track is not None]
    if len(set(ids)) < len(ids):
        raise QueryError("a manifest must name each track once")
    return ids


def load(store: Store, spec: EncoderSpec, tracks: Sequence[int]) -> tuple[AnyArray, Int64Array]:
    """All rows of the tracks in order, and the item that each belongs to."""
    form = spec.refine or spec.rows
    which = "rows" if spec.refine is None else "refine"
    parts, owners = [], []
    for item, track in enumerate(tracks):
        keys = store.keys(spec.name, track)
        if len(keys):
            parts.append(
                store.vectors(spec.name, keys, form="rows" if which == "rows" else "refine")
            )
            owners.append(np.full(len(keys), item, np.int64))
    if not parts:
        return np.zeros((0, form.width), np.float32), np.zeros(0, np.int64)
    return np.concatenate(parts), np.concatenate(owners)


def _rank(
    spec: EncoderSpec,
    rows: AnyArray,
    owners: Int64Array,
    query: int,
    present: Int64Array,
    tie: Int64Array,
) -> Int64Array:
    """Items, nearest first; none if the query has no rows."""
    if not (owners == query).any():
        return np.zeros(0, np.int64)
    return np.lexsort((tie, distances_of(spec, rows, owners, query, present, len(tie))))


def distances_of(
    spec: EncoderSpec,
    rows: AnyArray,
    owners: Int64Array,
    query: int,
    present: Int64Array,
    count: int,
) -> Float64Array:
    """Mean over the query's rows of the least distance in each item, infinite without rows."""
    form = spec.refine or spec.rows
    own = rows[owners == query]
    total: Float64Array = np.zeros(count)
    for at in range(0, len(own), QUERY_ROWS):
        some = own[at : at + QUERY_ROWS]
        for first, last, block, starts in _blocks(rows, owners, present):
            table = distances.pairwise(form.metric, some, block)
            least = np.minimum.reduceat(table, starts, axis=1)
            total[present[first:last]] += least.sum(axis=0, dtype=np.float64)
    if not len(own):
        return np.full(count, np.inf)
    # Rounded, lest the order of summation decide between tracks that are equally near.
    mean = np.round(total / len(own), 9)
    mean[np.setdiff1d(np.arange(count), present)] = np.inf
    return mean


def _blocks(
    rows: AnyArray, owners: Int64Array, present: Int64Array
) -> Iterator[tuple[int, int, AnyArray, Int64Array]]:
    """Blocks of whole items: the first and last of `present`, the rows, where items start."""
    starts = np.searchsorted(owners, present)
    ends = np.append(starts[1:], len(owners))
    first = 0
    while first < len(present):
        # As many whole items as fit the block, at least one.
        last = max(int(np.searchsorted(ends, starts[first] + BLOCK_ROWS, "right")), first + 1)
        block = rows[starts[first] : ends[last - 1]]
        yield first, last, block, starts[first:last] - starts[first]
        first = last
