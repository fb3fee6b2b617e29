"""The five FAISS indexes of the published fingerprint system, over rows that lie on disk.

``l2`` is exhaustive; ``ivf`` has 400 lists; ``ivfpq`` 256 lists and codes of 64 bytes;
``ivfpq-rr`` the same with a second code of four bytes that what was found is ranked by anew;
``hnsw`` is a graph of 16 neighbors, built with 80.  Where there are too few rows for that, an
index is made smaller, and says how.

Sources: Johnson et al., "Billion-scale similarity search with GPUs" (2019); Chang et al. 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.errors import NotAvailable, UsageError, nearest
from earmark.types import Float32Array, Int64Array

KINDS = ("l2", "ivf", "ivfpq", "ivfpq-rr", "hnsw")
NPROBE = 40
LISTS = {"ivf": 400, "ivfpq": 256, "ivfpq-rr": 256}
CODE_BYTES, CODE_BITS = 64, 8
REFINE_BYTES, REFINE_BITS = 4, 4
HNSW_NEIGHBORS, HNSW_BUILD, HNSW_SEARCH = 16, 80, 64
MOST_TRAINING = 10_000_000
ROWS_PER_LIST = 39
"""FAISS wants as many rows for each list, or each of the centres, that it learns."""

_BLOCK = 65_536


@dataclass(frozen=True)
class RowIndex:
    """An index, and the parameters that it has in fact."""

    kind: str
    parameters: dict[str, int]
    faiss_index: Any

    @property
    def smaller(self) -> dict[str, tuple[int, int]]:
        """Parameters that few rows, or short ones, have made smaller: as it is, as published."""
        full = published(self.kind)
        return {
            name: (value, full[name])
            for name, value in self.parameters.items()
            if value < full.get(name, 0)
        }

    def search(self, queries: Float32Array, k: int) -> Int64Array:
        """Return the row numbers of the nearest, shape (n, k); -1 where there are no more."""
        _, found = self.faiss_index.search(np.ascontiguousarray(queries), k)
        rows: Int64Array = found.astype(np.int64, copy=False)
        return rows


def published(kind: str) -> dict[str, int]:
    """Return the parameters of an index as published, without `nprobe`, which is the caller's."""
    if kind not in LISTS:
        return {}
    codes = {"code_bytes": CODE_BYTES, "code_bits": CODE_BITS}
    fine = {"refine_bytes": REFINE_BYTES, "refine_bits": REFINE_BITS}
    return {"lists": LISTS[kind]} | ({"ivf": {}, "ivfpq": codes, "ivfpq-rr": codes | fine}[kind])


def build_index(
    kind: str,
    parts: Sequence[Float32Array],
    *,
    nprobe: int = NPROBE,
    most_training: int = MOST_TRAINING,
    on_rows: Callable[[int], None] | None = None,
) -> RowIndex:
    """Build an index over rows, the parts' rows numbered one after the other.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    parts : sequence of float32 arrays, shape (n, ndim)
        May be memory-mapped; only read, a block at a time.
    nprobe : int
        Lists that a search looks into.
    most_training : int
        Rows that lists and codes are learned from, at most.
    on_rows : callable, optional
        Called with the number of rows that are in.

    Raises
    ------
    UsageError
        For another kind, or without rows.
    """
    if kind not in KINDS:
        raise UsageError(
            f"the index must be one of {', '.join(KINDS)}, got {kind!r}", hint=nearest(kind, KINDS)
        )
    total = sum(len(part) for part in parts)
    if total == 0:
        raise UsageError("an index needs rows, got none")
    index, parameters = _empty(kind, parts[0].shape[1], total, nprobe)
    if not index.is_trained:
        index.train(_training_rows(parts, most_training))
    done = 0
    for part in parts:
        for first in range(0, len(part), _BLOCK):
            block = np.ascontiguousarray(part[first : first + _BLOCK], np.float32)
            index.add(block)
            done += len(block)
            if on_rows is not None:
                on_rows(done)
    return RowIndex(kind, parameters, index)


def _empty(kind: str, ndim: int, rows: int, nprobe: int) -> tuple[Any, dict[str, int]]:
    faiss = _faiss()
    if kind == "l2":
        return faiss.IndexFlatL2(ndim), {}
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(ndim, HNSW_NEIGHBORS)
        index.hnsw.efConstruction, index.hnsw.efSearch = HNSW_BUILD, HNSW_SEARCH
        names = ("neighbors", "build", "search")
        return index, dict(zip(names, (HNSW_NEIGHBORS, HNSW_BUILD, HNSW_SEARCH), strict=True))
    lists = max(1, min(LISTS[kind], rows // ROWS_PER_LIST))
    parameters = {"lists": lists, "nprobe": min(nprobe, lists)}
    quantizer = faiss.IndexFlatL2(ndim)
    if kind == "ivf":
        index = faiss.IndexIVFFlat(quantizer, ndim, lists)
    else:
        code = math.gcd(CODE_BYTES, ndim)
        bits = max(1, min(CODE_BITS, int(math.log2(rows))))
        parameters |= {"code_bytes": code, "code_bits": bits}
        if kind == "ivfpq":
            index = faiss.IndexIVFPQ(quantizer, ndim, lists, code, bits)
        else:
            refine = math.gcd(REFINE_BYTES, ndim)
            fine = min(REFINE_BITS, bits)
            parameters |= {"refine_bytes": refine, "refine_bits": fine}
            index = faiss.IndexIVFPQR(quantizer, ndim, lists, code, bits, refine, fine)
    index.own_fields = True
    quantizer.this.disown()
    index.nprobe = parameters["nprobe"]
    # Warnings about few rows go to standard output, which is not FAISS's.
    index.cp.min_points_per_centroid = 1
    if kind != "ivf":
        index.pq.cp.min_points_per_centroid = 1
    if kind == "ivfpq-rr":
        index.refine_pq.cp.min_points_per_centroid = 1
    return index, parameters


def _training_rows(parts: Sequence[Float32Array], most: int) -> Float32Array:
    """Rows evenly spread over all parts, `most` of them at most."""
    total = sum(len(part) for part in parts)
    step = max(1, -(-total // most))
    rows = np.concatenate([np.ascontiguousarray(part[::step], np.float32) for part in parts])
    return np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows  # a code has two centres at least


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise NotAvailable(
            "indexes need the package faiss-cpu", hint="pip install faiss-cpu"
        ) from error
    return faiss
