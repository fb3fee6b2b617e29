"""URLs through fsspec: ``http(s)://``, ``s3://``, ``memory://`` and whatever else it knows.

The only module that speaks to the network.  Every failure is a `SourceError`.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

from earmark.errors import SourceError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 32 << 20
_T = TypeVar("_T")


def is_url(path: str) -> bool:
    """Whether a source is a URL rather than a path.

    Examples
    --------
    >>> is_url("s3://bucket/a.wav"), is_url("/music/a.wav")
    (True, False)
    """
    return _URL.match(path) is not None


def _guarded(url: str, action: Callable[[], _T]) -> _T:
    """Run `action`; whatever the network or its library does wrong is a `SourceError`."""
    try:
        return action()
    except FileNotFoundError:
        raise SourceError(url, "there is no such file behind this URL") from None
    except ImportError as error:
        raise SourceError(
            url,
            f"this kind of URL needs another package: {error}",
            hint="pip install 'earmark[s3]'",
        ) from error
    except _network_errors() as error:
        raise SourceError(url, f"cannot be read: {error or type(error).__name__}") from error


def _network_errors() -> tuple[type[Exception], ...]:
    """What reading can raise, by the libraries that fsspec has loaded so far."""
    found: list[type[Exception]] = [OSError, ValueError, NotImplementedError]
    for module, name in (("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    found: tuple[Any, str] = _guarded(url, lambda: fsspec.core.url_to_fs(url))
    return found


def info(url: str) -> tuple[int, int]:
    """Size in bytes (0 if the server does not say) and a stamp that changes with the content."""
    fs, path = _filesystem(url)
    facts = _guarded(url, lambda: fs.info(path))
    return int(facts.get("size") or 0), _stamp(facts)


def _stamp(facts: Mapping[str, Any]) -> int:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = facts.get(key)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1e9)
        if isinstance(value, int | float):
            return int(value * 1e9)
    tag = facts.get("ETag") or facts.get("etag")
    return zlib.crc32(str(tag).encode()) if tag else 0


def is_folder(url: str) -> bool:
    """Whether there are files below the URL; servers that cannot list have no folders."""
    fs, path = _filesystem(url)
    if _is_http(fs):
        return False
    return bool(_guarded(url, lambda: fs.isdir(path)))


def files_below(url: str) -> Iterator[str]:
    """URLs of all files below a folder, in order."""
    fs, path = _filesystem(url)
    for found in sorted(_guarded(url, lambda: fs.find(path))):
        yield str(fs.unstrip_protocol(found))


def open_url(url: str) -> BinaryIO:
    """Open a URL as a seekable binary file.

    A server that cannot give parts of a file is read once into a temporary file, on disk beyond
    32 MB.

    Raises
    ------
    SourceError
        If it cannot be had.
    """
    fs, path = _filesystem(url)
    facts = _guarded(url, lambda: fs.info(path))
    # fsspec notices only at the second read that an HTTP server does not do ranges.
    in_parts = facts.get("partial", False) if _is_http(fs) else True
    block = _BLOCK_BYTES if in_parts and facts.get("size") is not None else 0
    file = _guarded(url, lambda: fs.open(path, "rb", block_size=block))
    if block and file.seekable():
        return _Remote(file, url)  # type: ignore[return-value]
    copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - returned
    with file:
        _guarded(url, lambda: shutil.copyfileobj(file, copy))
    copy.seek(0)
    return copy  # type: ignore[return-value]


def _is_http(fs: Any) -> bool:
    return "http" in ([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)


class _Remote:
    """A remote file whose failures are `SourceError`; only what decoders and zipfile use."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self.name = url

    def read(self, size: int = -1) -> bytes:
        data: bytes = _guarded(self.name, lambda: self._file.read(size))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(_guarded(self.name, lambda: self._file.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._file.tell())

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _Remote:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
