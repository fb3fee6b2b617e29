"""Zip archives as folders of audio, read where they lie: nothing is ever unpacked to disk.

A member is written ``pack.zip!/kick/01.wav``.  What an archive claims is not believed: members
that leave their archive by their names, that are encrypted, that overlap, or that grow beyond
reason are refused by name.  Source: PKWARE APPNOTE 6.3; D. Fifield, "A better zip bomb" (2019).
"""

from __future__ import annotations

import calendar
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from earmark.errors import SourceError

SEPARATOR = "!/"
"""Between the path of an archive and the name of its member."""

# A member up to this size is held in memory: seeking back in deflated data means inflating anew.
IN_MEMORY_BYTES = 32 << 20
# Deflate reaches 1,032 to 1, and digital silence is honestly that small, so only large growth
# counts as a bomb.
_BOMB_RATIO = 250
_BOMB_BYTES = 256 << 20

_READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def is_archive(path: str) -> bool:
    """Whether a path or URL has the suffix of an archive."""
    return path.lower().endswith(".zip")


def open_zip(file: str | BinaryIO, name: str) -> zipfile.ZipFile:
    """Open an archive.

    Raises
    ------
    SourceError
        If it is no zip archive, is cut off, or cannot be read.
    """
    try:
        return zipfile.ZipFile(file)
    except FileNotFoundError:
        raise SourceError(name, "there is no such file") from None
    except OSError as error:
        raise SourceError(name, f"cannot be read: {error.strerror or error}") from error
    except (*_READ_ERRORS, ValueError, struct.error, UnicodeDecodeError) as error:
        raise SourceError(name, f"not a zip archive, or cut off: {error}") from error


def members(
    archive: zipfile.ZipFile, size: int, name: str
) -> Iterator[tuple[zipfile.ZipInfo, str | None]]:
    """Files of an archive in order of name, each with the reason to refuse it or None.

    Parameters
    ----------
    size : int
        Bytes of the archive itself.
    name : str
        What to call it.

    Raises
    ------
    SourceError
        If the members together claim more bytes than the archive has.
    """
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.compress_size for info in infos) > size:
        raise SourceError(
            str(archive.filename),
            "a zip bomb: its members overlap, or claim more than it has",
        )
    seen: set[str] = set()
    for info in sorted(infos, key=lambda i: i.filename):
        if is_hidden(info.filename):
            continue
        reason = refusal(info)
        if reason is None and info.filename in seen:
            reason = "two members of the archive have this name"
        seen.add(info.filename)
        yield info, reason


def is_hidden(name: str) -> bool:
    """Whether a member lies in or is a hidden file, or is a resource fork of a Macintosh."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or any(p.startswith(".") and p not in (".", "..") for p in parts)


def refusal(info: zipfile.ZipInfo) -> str | None:
    """Say why a member must not be read, or None."""
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return "refused: its name points outside of the archive"
    if info.flag_bits & 0x41:
        return "encrypted"
    if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(1, info.compress_size):
        return f"refused as a zip bomb: {info.compress_size} bytes would become {info.file_size}"
    return None


def mtime_ns(info: zipfile.ZipInfo) -> int:
    """A member's time in ns since 1970, its nanoseconds standing in for its checksum.

    Zip keeps times to two seconds; with the checksum below the second, any change of content
    changes what we compare.
    """
    try:
        seconds = calendar.timegm((*info.date_time, 0, 0, 0))
    except (ValueError, OverflowError):
        seconds = 0
    return seconds * 1_000_000_000 + info.CRC % 1_000_000_000


def get_info(archive: zipfile.ZipFile, member: str, name: str) -> zipfile.ZipInfo:
    """The directory's entry of a member.  Raises `SourceError` if there is none."""
    try:
        return archive.getinfo(member)
    except KeyError:
        raise SourceError(name, "there is no such member in the archive") from None


def open_member(archive: zipfile.ZipFile, member: str, name: str) -> BinaryIO:
    """Open a member as a seekable file.

    Raises
    ------
    SourceError
        If it is not there, is refused, or is damaged.
    """
    info = get_info(archive, member, name)
    if reason := refusal(info):
        raise SourceError(name, reason)
    try:
        file = archive.open(info)
        if info.file_size <= IN_MEMORY_BYTES:
            with file:
                return io.BytesIO(file.read())
        return io.BufferedReader(_Member(file, name), 1 << 18)
    except OSError as error:
        raise SourceError(name, f"cannot be read: {error.strerror or error}") from error
    except (*_READ_ERRORS, ValueError) as error:
        raise SourceError(name, f"damaged in its archive: {error}") from error


class _Member(io.RawIOBase):
    """A large member; damage met on the way is a `SourceError`."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self.name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        try:
            data = self._file.read(len(view))
        except (*_READ_ERRORS, OSError, ValueError) as error:
            raise SourceError(self.name, f"damaged in its archive: {error}") from error
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (*_READ_ERRORS, OSError, ValueError) as error:
            raise SourceError(self.name, f"damaged in its archive: {error}") from error

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
