"""One source: its canonical name, its state, its bytes."""

from __future__ import annotations

import hashlib
import os
import stat as stat_module
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from earmark.errors import SourceError
from earmark.sources import archives, remote
from earmark.sources.remote import is_url

_HASH_BYTES = 20
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """A thing that can be decoded, with what tells whether it changed.

    Parameters
    ----------
    path : str
        Canonical.
    size : int
        In bytes; of a member, unpacked.
    mtime_ns : int
        Time of change in ns since 1970; of members and URLs any number that changes with the
        content.
    """

    path: str
    size: int
    mtime_ns: int


def canonical(path: str) -> str:
    """The canonical name of a path, a member or a URL.

    Examples
    --------
    >>> canonical("/music/../sounds/a.wav")
    '/sounds/a.wav'
    """
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path, errors="surrogateescape")
    return path if is_url(path) else os.path.abspath(path)  # noqa: PTH100 - links are kept


def split_member(path: str) -> tuple[str, str | None]:
    """Split the name of a source into archive and member; the member is None for other sources.

    A folder whose name ends in an exclamation mark is no archive: the part before the separator
    must be a file (or, in a URL, end in ``.zip``).
    """
    at = path.find(archives.SEPARATOR)
    if at < 0 or (not is_url(path) and os.path.lexists(path)):
        return path, None
    while at >= 0:
        archive, member = path[:at], path[at + len(archives.SEPARATOR) :]
        if is_remote_zip(archive) if is_url(path) else Path(archive).is_file():
            return archive, member
        at = path.find(archives.SEPARATOR, at + 1)
    return path, None


def is_remote_zip(url: str) -> bool:
    """Whether a URL, without its query, ends like an archive."""
    return archives.is_archive(urlsplit(url).path or url)


def display_name(path: str) -> str:
    """The last part of a source's name, printable whatever its bytes.

    Examples
    --------
    >>> display_name("/a/pack.zip!/kick/01.wav")
    '01.wav'
    """
    name = path.split("?")[0] if is_url(path) else path
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return last.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def stat(path: str) -> Source:
    """Look at a source without reading it.

    Raises
    ------
    SourceError
        If it is not there, or is no regular file.
    """
    path = canonical(path)
    archive, member = split_member(path)
    if member is not None:
        info = archives.get_info(open_archive(archive), member, path)
        return Source(path, info.file_size, archives.mtime_ns(info))
    if is_url(path):
        return Source(path, *remote.info(path))
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        raise SourceError(path, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise SourceError(path, f"cannot be read: {plain_reason(error)}") from error
    # A pipe or a device would block the reader for ever.
    if not stat_module.S_ISREG(found.st_mode):
        raise SourceError(path, "not a regular file")
    return Source(path, found.st_size, found.st_mtime_ns)


@contextmanager
def open_source(path: str) -> Iterator[str | BinaryIO]:
    """Give what `earmark.audio` takes: the path of a local file, else a seekable binary file.

    Raises
    ------
    SourceError
        If the source is missing, refused or damaged in its archive; also, later, from reads.
    """
    path = canonical(path)
    archive, member = split_member(path)
    if member is not None:
        with archives.open_member(open_archive(archive), member, path) as file:
            yield file
    elif is_url(path):
        with remote.open_url(path) as file:
            yield file
    else:
        stat(path)
        yield path


def read_bytes(path: str, most: int) -> bytes:
    """Return the first bytes of a source, at most so many.

    Raises
    ------
    SourceError
        As `open_source`.
    """
    with open_source(path) as source:
        try:
            with open(source, "rb") if isinstance(source, str) else nullcontext(source) as file:
                return file.read(most)
        except OSError as error:
            raise SourceError(path, f"cannot be read: {plain_reason(error)}") from error


def content_hash(path: str) -> str:
    """BLAKE2b of a source's bytes (a member's unpacked ones), 40 hexadecimal digits.

    Raises
    ------
    SourceError
        As `open_source`.
    """
    digest = hashlib.blake2b(digest_size=_HASH_BYTES)
    with open_source(path) as source:
        try:
            with open(source, "rb") if isinstance(source, str) else nullcontext(source) as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
        except OSError as error:
            raise SourceError(path, f"cannot be read: {plain_reason(error)}") from error
    return digest.hexdigest()


def plain_reason(error: BaseException) -> str:
    """What the system says, without number and name."""
    return str(getattr(error, "strerror", None) or error)


def open_archive(path: str) -> zipfile.ZipFile:
    """Open a zip archive, local or behind a URL.

    The last few stay open, as long as size and time are what they were: to read the directory of
    a large pack anew for each of its members would take longer than to decode them.

    Raises
    ------
    SourceError
        If it is missing, or is no zip archive.
    """
    found = stat(path)
    # The process is part of the key: children must not share a file position.
    return _archive(path, found.size, found.mtime_ns, os.getpid())


@lru_cache(maxsize=4)
def _archive(path: str, size: int, mtime_ns: int, process: int) -> zipfile.ZipFile:
    return archives.open_zip(remote.open_url(path) if is_url(path) else path, path)
