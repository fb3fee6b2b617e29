"""Checks at the door: rows and queries on their way into the store."""

from __future__ import annotations

import re
import zlib

import numpy as np

from earmark.errors import InvalidVectors, UsageError
from earmark.stores.local import flat
from earmark.types import AnyArray, Encoded, EncoderSpec, Float64Array, RowSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def check_spec(spec: EncoderSpec) -> None:
    """Raise `InvalidVectors` or `UsageError` for a spec that this store cannot hold."""
    if not _NAME.fullmatch(spec.name):
        raise UsageError(
            "the name of an encoder must be letters, digits, '_', '-' and '.', "
            f"beginning with a letter or digit, got {spec.name!r}"
        )
    for rows in (spec.rows, spec.refine):
        if rows is None:
            continue
        if (rows.dtype == "bits") != (rows.metric == "hamming"):
            raise InvalidVectors(
                f"bits go with hamming and only with it, got {rows.dtype} with {rows.metric}"
            )
        if rows.ndim < 1 or (rows.dtype == "bits" and rows.ndim % 8):
            raise InvalidVectors(f"bits must come in eights and ndim be 1 or more, got {rows.ndim}")


def check_encoded(
    name: str, spec: EncoderSpec, encoded: Encoded
) -> tuple[AnyArray, AnyArray | None]:
    """Return the rows, and the rows of the second form, as they are stored.

    Raises
    ------
    InvalidVectors
        For anything that is not what the spec says.
    """
    count = len(encoded.rows)
    check_segments(name, encoded.segments, count)
    rows = stored_rows(f"rows of {name!r}", encoded.rows, spec.rows)
    if (encoded.refine is None) != (spec.refine is None):
        has = "none" if encoded.refine is None else "one"
        raise InvalidVectors(f"the spec of {name!r} decides on a second form of rows, got {has}")
    if spec.refine is None or encoded.refine is None:
        return rows, None
    refine = stored_rows(f"refine rows of {name!r}", encoded.refine, spec.refine)
    if len(refine) != count:
        raise InvalidVectors(f"{name!r} must have a refine row per row: {len(refine)} for {count}")
    return rows, refine


def check_segments(name: str, segments: Float64Array, count: int) -> None:
    """Raise `InvalidVectors` unless there is one well-formed segment per row, in order."""
    segments = np.asarray(segments)
    if segments.shape != (count, 2):
        raise InvalidVectors(
            f"segments of {name!r} must have the shape ({count}, 2), got {segments.shape}"
        )
    if not np.isfinite(segments).all() or (segments < 0).any() or (segments > 1e9).any():
        raise InvalidVectors(f"segments of {name!r} must be seconds, finite and not negative")
    if (segments[:, 1] < segments[:, 0]).any() or (np.diff(segments[:, 0]) < 0).any():
        raise InvalidVectors(f"segments of {name!r} must be in order of time, start before end")


def stored_rows(what: str, rows: AnyArray, spec: RowSpec) -> AnyArray:
    """Return rows in the stored dtype, of unit length under cosine.

    Raises
    ------
    InvalidVectors
    """
    rows = check_rows(what, rows, spec)
    if spec.dtype == "bits":
        return np.ascontiguousarray(rows, np.uint8)
    values = unit_rows(rows) if spec.metric == "cosine" else rows
    if spec.dtype == "float16" and len(values):
        largest = float(np.abs(values).max())
        if largest > 65504:
            raise InvalidVectors(
                f"{what} are stored as float16 and must be within 65504, got {largest:g}"
            )
    if spec.dtype == "int8":
        if len(values) and (largest := float(np.abs(values).max())) > 1.0 + 1e-5:
            raise InvalidVectors(
                f"{what} are stored as int8 and must be within -1 and 1, got {largest:g}"
            )
        values = np.rint(values * flat.INT8_SCALE)
    return np.ascontiguousarray(values, spec.numpy_dtype)


def check_rows(what: str, rows: AnyArray, spec: RowSpec) -> AnyArray:
    """Return rows as uint8 or float32 after checking shape, dtype and values.

    Raises
    ------
    InvalidVectors
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != spec.width:
        raise InvalidVectors(f"{what} must have the shape (n, {spec.width}), got {rows.shape}")
    if spec.dtype == "bits":
        if rows.dtype != np.uint8:
            raise InvalidVectors(f"{what} must be bits packed into uint8, got {rows.dtype}")
        return rows
    if rows.dtype.kind != "f":
        raise InvalidVectors(f"{what} must be floating point, got {rows.dtype}")
    with np.errstate(over="ignore"):  # what overflows is refused in the next line
        rows = rows.astype(np.float32, copy=False)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InvalidVectors(
            f"{what} must be finite, but row {int(np.argmin(finite))} has NaN or infinity"
        )
    if spec.metric == "cosine" and (zero := ~rows.any(axis=1)).any():
        raise InvalidVectors(
            f"{what} are compared by angle and must not be zero, but row {int(np.argmax(zero))} is"
        )
    return rows


def unit_rows(rows: AnyArray) -> AnyArray:
    """Return rows divided by their length; safe for very small and very large values."""
    if not len(rows):
        return rows
    scaled = rows / np.abs(rows).max(axis=1, keepdims=True)
    unit: AnyArray = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return unit.astype(np.float32, copy=False)


def check_queries(queries: AnyArray, spec: RowSpec, k: int) -> AnyArray:
    """Return queries as they are compared: uint8, or float32 (of unit length under cosine).

    Raises
    ------
    InvalidVectors, UsageError
    """
    if k < 1:
        raise UsageError(f"k must be 1 or more, got {k}")
    rows = check_rows("queries", queries, spec)
    if spec.metric == "cosine":
        rows = unit_rows(rows)
    return np.ascontiguousarray(rows)


def crc(rows: AnyArray, start: int = 0) -> int:
    """Return the CRC32 of rows' bytes, going on from `start`."""
    return zlib.crc32(byte_view(rows), start)


def byte_view(rows: AnyArray) -> memoryview:
    """Return an array's bytes in C order."""
    flat = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
    return memoryview(flat)  # type: ignore[arg-type]  # numpy before 2.4 says no Buffer
