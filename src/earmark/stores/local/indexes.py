"""FAISS indexes: derived from the shards, checked by CRC when loaded, never trusted to be there.

Kinds: ``rabitq`` (IVF with RaBitQ codes; Gao and Long, SIGMOD 2024) is what the policy builds;
``ivf``, ``ivfpq``, ``ivfpq-rr`` and ``hnsw`` are there under FAISS's names.  Bit rows know ``ivf``
and ``hnsw``.  All but ``ivfpq`` give candidates only: their distances are computed from the shards.

An index has the ids ``key - first_key``.  Its probes are tuned when it is built, on stored rows
taken as queries, until nine hundred and ninety-five of a thousand neighbors are found.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import UsageError, nearest
from earmark.stores.local.catalog import IndexRow
from earmark.stores.local.files import file_crc
from earmark.stores.local.flat import faiss_module, few_threads, floats
from earmark.types import AnyArray, Int64Array, RowSpec

KINDS = ("auto", "flat", "ivf", "ivfpq", "ivfpq-rr", "hnsw")
POLICY = "rabitq"
_FLOAT_FACTORY = {
    "rabitq": "IVF{lists},RaBitQ",
    "ivf": "IVF{lists},Flat",
    "ivfpq": "IVF{lists},PQ{parts}",
    "ivfpq-rr": "IVF{lists},PQ{parts}",
    "hnsw": "IDMap2,HNSW32_SQfp16",
}
_PROBES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_RECALL = 0.995
_CHECK_CRC_BELOW = 1 << 30
"""Larger files are checked by size when loaded, and in full by `verify`."""


@dataclass(frozen=True)
class Loaded:
    """An index in memory (its lists are mapped from the file), and what it covers."""

    row: IndexRow
    index: Any
    lock: threading.Lock

    @property
    def end(self) -> int:
        """The first key that it does not cover."""
        return self.row.first_key + self.row.rows


def check_kind(kind: str, spec: RowSpec) -> None:
    """Raise `UsageError` unless rows of this form can have such an index."""
    allowed = ("auto", "flat", "ivf", "hnsw") if spec.dtype == "bits" else KINDS
    if kind not in allowed:
        raise UsageError(
            f"the index of {spec.dtype} rows must be one of {', '.join(allowed)}, got {kind!r}",
            hint=nearest(kind, allowed),
        )


def lists_for(rows: int, spec: RowSpec) -> int:
    """Return the number of inverted lists.

    Two to four times the root of the rows do equally well once the probes are tuned; training
    takes the square of it, so it is two; and two thirds for codes, of which millions are added
    at the cost of a comparison with every list.
    """
    wanted = (0.65 if spec.dtype == "bits" else 2.0) * math.sqrt(rows)
    return max(1, min(round(wanted), rows // 39))


def build(
    kind: str,
    spec: RowSpec,
    rows: int,
    sample: AnyArray,
    blocks: Iterator[tuple[Int64Array, AnyArray]],
) -> Any:
    """Train an index on a sample and add all rows.

    Parameters
    ----------
    rows : int
        Number of rows that will be added.
    sample : array, shape (n, spec.width)
    blocks : iterator of (ids, rows)
    """
    faiss = faiss_module()

    if spec.dtype == "bits":
        index = _binary(kind, spec, rows)
    else:
        metric = faiss.METRIC_INNER_PRODUCT if spec.metric == "inner_product" else faiss.METRIC_L2
        parts = next((p for p in (64, 32, 16, 8, 4, 2) if spec.ndim % (4 * p) == 0), 1)
        text = _FLOAT_FACTORY[kind].format(lists=lists_for(rows, spec), parts=parts)
        index = faiss.index_factory(spec.ndim, text, metric)
        if kind != "hnsw":
            _settle(index.cp)
        if kind.startswith("ivfpq"):
            _settle(index.pq.cp)
    train = sample if spec.dtype == "bits" else floats(sample)
    if not index.is_trained:
        index.train(train)
    add(index, spec, blocks)
    return index


def _binary(kind: str, spec: RowSpec, rows: int) -> Any:
    faiss = faiss_module()

    if kind == "hnsw":
        return faiss.IndexBinaryIDMap2(faiss.IndexBinaryHNSW(spec.ndim, 16))
    quantizer = faiss.IndexBinaryFlat(spec.ndim)
    index = faiss.IndexBinaryIVF(quantizer, spec.ndim, lists_for(rows, spec))
    index.own_fields = True
    quantizer.this.disown()
    _settle(index.cp)
    return index


def _settle(clustering: Any) -> None:
    """Cluster from a fixed seed, and without warnings on standard error for small samples."""
    clustering.seed, clustering.niter, clustering.min_points_per_centroid = 1234, 8, 1


def add(index: Any, spec: RowSpec, blocks: Iterator[tuple[Int64Array, AnyArray]]) -> None:
    """Add blocks of (ids, rows); ids of a graph must follow on each other."""
    for ids, rows in blocks:
        values = np.ascontiguousarray(rows if spec.dtype == "bits" else floats(rows))
        index.add_with_ids(values, ids)


def write(index: Any, spec: RowSpec, path: Path) -> None:
    """Write an index to a file."""
    faiss = faiss_module()

    (faiss.write_index_binary if spec.dtype == "bits" else faiss.write_index)(index, str(path))


def fault(folder: Path, file: str, size: int, crc: int | None) -> str:
    """Return what is wrong with an index file, or an empty text; without `crc`, by its size."""
    path = folder / file
    if not path.is_file():
        return "the file is missing"
    if path.stat().st_size != size or (crc is not None and file_crc(path) != crc):
        return "the file does not have the content that was stored"
    return ""


def load(folder: Path, row: IndexRow, spec: RowSpec, *, whole: bool = False) -> Any | None:
    """Return the index of a file, or None if it is missing or not what the catalog vouches for.

    Parameters
    ----------
    whole : bool
        Into memory (to add to it) instead of mapped.
    """
    faiss = faiss_module()

    path = folder / row.file
    try:
        if fault(folder, row.file, row.size, row.crc if row.size <= _CHECK_CRC_BELOW else None):
            return None
        if spec.dtype == "bits":
            return faiss.read_index_binary(str(path))
        flags = 0 if whole or row.kind == "hnsw" else faiss.IO_FLAG_MMAP_IFC
        return faiss.read_index(str(path), flags)
    except FileNotFoundError:
        return None
    except RuntimeError:  # FAISS cannot read it: as good as missing
        return None


def candidates(
    loaded: Loaded,
    spec: RowSpec,
    queries: AnyArray,
    count: int,
    probes: int,
    allowed: AnyArray | None,
) -> tuple[Int64Array, AnyArray]:
    """Return keys, shape (q, count) with -1 for none, and the index's own distances.

    Parameters
    ----------
    allowed : uint8 array, optional
        Bitmap over the covered ids, little end first.
    """
    faiss = faiss_module()

    count = min(count, loaded.row.rows)
    if spec.dtype == "bits":
        with loaded.lock:  # probes are a property of the index
            if loaded.row.kind == "hnsw":
                graph = faiss.downcast_IndexBinary(loaded.index.index)
                graph.hnsw.efSearch = max(2 * count, probes)
            else:
                loaded.index.nprobe = probes
            with few_threads(len(queries)):
                distances, ids = loaded.index.search(queries, count)
    else:
        options: dict[str, Any] = {}
        if allowed is not None:
            options["sel"] = faiss.IDSelectorBitmap(allowed)
        if loaded.row.kind == "hnsw":
            params = faiss.SearchParametersHNSW(efSearch=max(2 * count, probes), **options)
        else:
            params = faiss.SearchParametersIVF(nprobe=probes, **options)
        with few_threads(len(queries)):
            distances, ids = loaded.index.search(queries, count, params=params)
    return np.where(ids >= 0, ids + loaded.row.first_key, -1), distances


def tune(search: Any, truth: AnyArray, lists: int) -> tuple[int, float]:
    """Return the least number of probes that finds enough, and the recall it reached.

    Parameters
    ----------
    search : callable
        Takes probes, returns the distances found, shape (q, k), in the metric of `truth`.
    truth : float array, shape (q, k)
        Distances of the true neighbors.
    lists : int
    """
    recall = 0.0
    steps = [p for p in _PROBES if p < lists] + [lists]
    for probes in steps:
        recall = recall_by_distance(search(probes), truth)
        if recall >= _RECALL:
            return probes, recall
    return steps[-1], recall


def recall_by_distance(found: AnyArray, truth: AnyArray) -> float:
    """Return the share of found rows that are no farther than the farthest true neighbor.

    Ties are no misses.
    """
    limit = truth[:, -1:] + 1e-5 * np.abs(truth[:, -1:]) + 1e-6
    return float((found <= limit).mean()) if found.size else 1.0
