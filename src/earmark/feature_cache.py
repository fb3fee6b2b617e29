"""Features kept on disk once they were computed, within a size limit.

One file per (content of the track, feature, parameters): NumPy's format followed by a CRC32 of
it.  A file that does not match its checksum is dropped and computed anew.  Files are written
under a temporary name and renamed, so that readers in other processes see whole ones only.  The
least recently used go first when the limit is exceeded; the time of use is the file's mtime.

Everything here can be lost without harm: a cache that cannot write (a full disk, a folder that
is read-only) only keeps nothing.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from earmark.types import Float32Array

_CRC_BYTES = 4
_KEEP = 0.9
"""Eviction goes down to this part of the limit, so that not each `put` has to evict."""

_SAFE = re.compile(r"[0-9A-Za-z._-]+")


class FeatureCache:
    """Keeps float32 arrays by track content and feature.

    Parameters
    ----------
    folder : path
        Made at the first `put`.
    limit_bytes : int
        Most that the files may occupy; 0 keeps nothing.  Each process counts what it writes on
        top of what it found, so several at once may exceed it until the next one counts.
    """

    def __init__(self, folder: str | os.PathLike[str], limit_bytes: int) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes must be 0 or more, got {limit_bytes}")
        self._folder = Path(folder)
        self._limit = limit_bytes
        self._used: int | None = None

    def get(self, content_hash: str, feature: str, params: str) -> Float32Array | None:
        """Return what was kept, or None.

        Parameters
        ----------
        content_hash : str
            Of the track's file.
        feature : str
            Its name.
        params : str
            All else that the numbers depend on (`FeatureSpec.params`).

        Raises
        ------
        ValueError
            If one of the three has characters other than letters, digits, ``.``, ``_``, ``-``.
        """
        path = self._path(content_hash, feature, params)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        rows = _unpack(data)
        with suppress(OSError):
            if rows is None:
                path.unlink()
                self._used = None
            else:
                os.utime(path)
        return rows

    def put(self, content_hash: str, feature: str, params: str, rows: Float32Array) -> bool:
        """Keep an array, and drop the least recently used ones beyond the limit.

        Parameters are those of `get`; `rows` is float32 of any shape.

        Returns
        -------
        bool
            Whether it was kept: not if it is larger than the limit or cannot be written.
        """
        path = self._path(content_hash, feature, params)
        data = _pack(rows)
        if len(data) > self._limit:
            return False
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._used is None:
                self._used = sum(size for _, size, _ in self._entries())
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            return False
        # What a file replaces is counted twice, until the limit seems reached: then all is counted.
        self._used += len(data)
        if self._used > self._limit:
            self._evict(keep=path)
        return True

    def get_or_compute(
        self, content_hash: str, feature: str, params: str, make: Callable[[], Float32Array]
    ) -> Float32Array:
        """Return what was kept, or else what `make` returns, which is then kept."""
        rows = self.get(content_hash, feature, params)
        if rows is None:
            rows = make()
            self.put(content_hash, feature, params, rows)
        return rows

    def size(self) -> int:
        """Bytes that the kept files occupy, as counted now."""
        return sum(size for _, size, _ in self._entries())

    def clear(self) -> None:
        """Drop everything."""
        for _, _, path in self._entries():
            with suppress(OSError):
                path.unlink()
        self._used = None

    def _path(self, content_hash: str, feature: str, params: str) -> Path:
        for part in (content_hash, feature, params):
            if not _SAFE.fullmatch(part) or part.startswith("."):
                raise ValueError(
                    f"parts of a cache key must be letters, digits, '.', '_' and '-', got {part!r}"
                )
        return self._folder / content_hash[:2] / f"{content_hash}~{feature}~{params}.npy"

    def _entries(self) -> list[tuple[int, int, Path]]:
        """Time of last use in ns, size in bytes and path of each file, oldest first.

        Temporary files of writers that died are among them, and go when their turn comes.
        """
        entries = []
        for path in self._folder.glob("*/*~*~*"):
            with suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns, stat.st_size, path))
        return sorted(entries)

    def _evict(self, *, keep: Path) -> None:
        entries = self._entries()
        used = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if used <= self._limit * _KEEP:
                break
            if path == keep:
                continue
            with suppress(OSError):
                path.unlink()
                used -= size
        self._used = used


def _pack(rows: Float32Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(rows, np.float32), allow_pickle=False)
    data = buffer.getvalue()
    return data + zlib.crc32(data).to_bytes(_CRC_BYTES, "little")


def _unpack(data: bytes) -> Float32Array | None:
    """The array, or None if the bytes are not what was written."""
    body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if len(crc) < _CRC_BYTES or zlib.crc32(body) != int.from_bytes(crc, "little"):
        return None
    rows: Float32Array = np.load(io.BytesIO(body), allow_pickle=False)
    return rows
