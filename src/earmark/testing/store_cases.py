"""What the rules of a store share: synthetic content, slow answers, how a broken rule is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from earmark.errors import (
    EarmarkError,
)
from earmark.types import (
    AnyArray,
    AudioInfo,
    Encoded,
    EncoderSpec,
    Float32Array,
    Float64Array,
    Metric,
    RowSpec,
    RowType,
    Scalar,
    Store,
    TrackRecord,
)


class Case:
    """A store under test with makers of synthetic content."""

    def __init__(
        self,
        store: Store,
        reopen: Callable[[Store], Store] | None,
        rng: np.random.Generator,
        tolerance: float,
    ) -> None:
        self.store = store
        self.reopen = reopen
        self.rng = rng
        self.tolerance = tolerance

    def rows(self, spec: RowSpec, count: int) -> AnyArray:
        if spec.dtype == "bits":
            return self.rng.integers(0, 256, (count, spec.width), dtype=np.uint8)
        rows: Float32Array = self.rng.standard_normal((count, spec.width), dtype=np.float32)
        if spec.metric == "cosine":
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def encoded(self, spec: EncoderSpec, count: int) -> Encoded:
        refine = None if spec.refine is None else self.rows(spec.refine, count)
        return Encoded(self.rows(spec.rows, count), segments(count), refine)

    def fill(self, spec: EncoderSpec, counts: Sequence[int]) -> tuple[list[int], list[Encoded]]:
        """Commit one track per count; return ids and what was put."""
        made = [self.encoded(spec, count) for count in counts]
        with self.store.writer() as writer:
            writer.put_encoder(spec, {})
            ids = [
                writer.put_track(record(f"/t/{i}.wav"), {spec.name: m}) for i, m in enumerate(made)
            ]
            writer.commit()
        return ids, made


def segments(count: int) -> Float64Array:
    """Return windows of one second, half a second apart, shape (count, 2)."""
    starts = np.arange(count) * 0.5
    return np.stack([starts, starts + 1.0], axis=1)


def spec_of(
    name: str = "enc",
    *,
    metric: Metric = "cosine",
    dtype: RowType = "float16",
    ndim: int = 32,
    revision: str = "1",
    refine: RowSpec | None = None,
) -> EncoderSpec:
    """Return a spec for tests."""
    rows = RowSpec(dtype, ndim, metric)
    return EncoderSpec(name, "similar", rows, 16_000, 1.0, 0.5, revision, refine=refine)


def record(
    path: str,
    *,
    content: str = "",
    duration: float = 3.0,
    title: str = "",
    artist: str = "",
    **tags: Scalar,
) -> TrackRecord:
    """Return a record for tests."""
    info = AudioInfo(duration, 44_100, 2, "pcm_s16le", "wav", 1_411_200)
    return TrackRecord(path, content or f"hash of {path!r}", 1000, 7, info, title, artist, tags)


def distances(metric: Metric, queries: AnyArray, rows: AnyArray) -> Float64Array:
    """Return distances, shape (q, n): the slow twin of every store's search."""
    if metric == "hamming":
        return np.array([[_bits(q, x) for x in rows] for q in queries], np.float64)
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric == "l2":
        squares: Float64Array = np.square(q[:, None, :] - x[None, :, :]).sum(axis=2)
        return np.sqrt(squares)
    if metric == "cosine":
        q = q / np.linalg.norm(q, axis=1, keepdims=True)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    products: Float64Array = q @ x.T
    return 1 - products if metric == "cosine" else -products


def _bits(a: AnyArray, b: AnyArray) -> int:
    return (int.from_bytes(a.tobytes(), "big") ^ int.from_bytes(b.tobytes(), "big")).bit_count()


def require(holds: bool, rule: str, came: object) -> None:
    if not holds:
        raise AssertionError(f"{rule}; got {came!r}")


def refuses(kind: type[EarmarkError], call: Callable[[], object], rule: str) -> None:
    try:
        came = call()
    except kind:
        return
    raise AssertionError(f"{rule} ({kind.__name__}); got {came!r}")


# --- the rules ---------------------------------------------------------------------------------
