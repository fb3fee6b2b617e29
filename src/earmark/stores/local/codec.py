"""How values become bytes in the catalog, and the checksums that go with them.

- Row checks: `row_check` is the CRC32 of a canonical text of the row's values.
- Times: starts and ends in whole microseconds, as deltas, little-endian int64, zlib.
- Paths: TEXT where they are UTF-8, else a BLOB of the raw bytes (`os.fsencode`).
- State: little-endian C-ordered bytes with dtype and shape; never objects, never pickles.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any, TypeAlias

import numpy as np

from earmark.errors import DamagedLibrary, InvalidVectors
from earmark.types import AnyArray, Float64Array, Int64Array

PathValue: TypeAlias = str | bytes


def row_check(*values: object) -> int:
    """Return the CRC32 of a catalog row's values (texts, bytes, numbers, None)."""
    return zlib.crc32("\x1f".join(_canonical(value) for value in values).encode("utf-8"))


def _canonical(value: object) -> str:
    if isinstance(value, bytes):
        return f"b{zlib.crc32(value)}:{len(value)}"
    if isinstance(value, float):
        return f"f{value!r}"
    if isinstance(value, int):
        return f"i{int(value)}"
    return f"s{value}" if isinstance(value, str) else "n"


def pack_times(segments: Float64Array) -> bytes:
    """Pack segments, shape (n, 2) in seconds, to whole microseconds."""
    if not len(segments):
        return b""
    micros = np.rint(np.asarray(segments, np.float64) * 1e6).astype("<i8")
    starts = np.diff(micros[:, 0], prepend=np.int64(0))
    lengths = np.diff(micros[:, 1] - micros[:, 0], prepend=np.int64(0))
    # Level 6 on twice-differenced regular hops is a few bytes per track.
    return zlib.compress(np.concatenate([np.diff(starts, prepend=np.int64(0)), lengths]).tobytes())


def unpack_times(blob: bytes, rows: int) -> Float64Array:
    """Return segments, shape (rows, 2) in seconds, from what `pack_times` gave.

    Raises
    ------
    DamagedLibrary
        If the blob is not what was packed.
    """
    if rows == 0:
        return np.zeros((0, 2))
    try:
        values = np.frombuffer(zlib.decompress(blob), "<i8").astype(np.int64)
    except (zlib.error, ValueError) as error:
        raise DamagedLibrary(f"the times of a track's segments cannot be read: {error}") from error
    if len(values) != 2 * rows:
        raise DamagedLibrary(
            f"a track with {rows} rows must have as many segments, got {len(values) // 2}"
        )
    starts = np.cumsum(np.cumsum(values[:rows]))
    lengths = np.cumsum(values[rows:])
    return np.stack([starts, starts + lengths], axis=1) / 1e6


def path_value(path: str) -> PathValue:
    """Return what the catalog stores for a path."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def path_text(value: PathValue) -> str:
    """Return the path for what the catalog stores; bytes that are not UTF-8 as surrogates."""
    return os.fsdecode(value) if isinstance(value, bytes) else value


def pack_array(name: str, array: AnyArray) -> tuple[str, str, bytes]:
    """Return dtype, shape (JSON) and bytes of a state array.

    Raises
    ------
    InvalidVectors
        If it is not an array of plain numbers.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise InvalidVectors(
            f"state arrays must hold plain numbers, but {name!r} has dtype {array.dtype}"
        )
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return array.dtype.str, json.dumps(list(array.shape)), array.tobytes()


def unpack_array(dtype: str, shape: str, data: bytes) -> AnyArray:
    """Return the array that `pack_array` took."""
    array: AnyArray = np.frombuffer(data, np.dtype(dtype)).reshape(json.loads(shape))
    return array.copy()


def ranges_to_keys(first: Int64Array, count: Int64Array) -> Int64Array:
    """Return all integers of the ranges ``[first, first + count)``, in order of the ranges."""
    total = int(count.sum())
    if total == 0:
        return np.zeros(0, np.int64)
    offsets = np.repeat(first - (np.cumsum(count) - count), count)
    return offsets + np.arange(total, dtype=np.int64)


def joined_ranges(first: Int64Array, count: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return ascending, disjoint ranges with those joined that touch."""
    if not len(first):
        return first, count
    last = first + count
    begins = np.append(True, first[1:] != last[:-1])
    starts = first[begins]
    return starts, last[np.append(begins[1:], True)] - starts


def json_text(value: Any) -> str:
    """Return canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
