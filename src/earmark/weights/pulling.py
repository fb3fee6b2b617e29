"""Fetch model files, when told to: resumed where they broke off, checked, then named.

A file grows under the name ``NAME.part`` and gets its own name only when its size and checksum
are right.  What was fetched stays when the connection breaks; the next pull goes on from there,
if the server says that the file is still the same.
"""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeAlias

from earmark.errors import EarmarkError
from earmark.weights.locating import Places, digest, find
from earmark.weights.registry import Model, ModelFile

OnBytes: TypeAlias = Callable[[str, int, int], None]
"""Told the file's name, the bytes that are there, and the bytes in all (0 if unknown)."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""

_ATTEMPTS = 5
_CHUNK = 1 << 18
_AGENT = "earmark"


class DownloadError(EarmarkError):
    """A model file could not be fetched, or is not what its publisher says."""


@dataclass(frozen=True)
class Wanted:
    """A file that a pull would fetch.

    Parameters
    ----------
    file : ModelFile
    size : int
        In bytes, as published or as its server says; 0 if neither is known.
    """

    file: ModelFile
    size: int


def missing(model: Model, places: Places) -> tuple[Wanted, ...]:
    """Return the files of a model that are not here; asks servers for sizes that are unknown.

    A file that cannot be had but for which another stands in is replaced by that one; an
    optional file that cannot be had is left out.

    Raises
    ------
    DownloadError
        If a file that is needed cannot be had.
    """
    wanted: list[Wanted] = []
    here = {file.name for file in model.files if find(model, file, places)}
    for file in model.fetched:
        others = [other for other in model.files if other.instead == file.name]
        if file.name in here or any(other.name in here for other in others):
            continue
        candidates = [file, *(other for other in others if other.url)]
        if found := _first(candidates, optional=file.optional):
            wanted.append(found)
    return tuple(wanted)


def _first(candidates: list[ModelFile], *, optional: bool) -> Wanted | None:
    """The first file that its server has."""
    refused: DownloadError | None = None
    for file in candidates:
        if file.size:
            return Wanted(file, file.size)
        try:
            url, size = _ask(file)
        except DownloadError as error:
            refused = refused or error
            continue
        return Wanted(replace(file, url=url, fallback_url=""), size)
    if refused is None or optional:
        return None
    raise refused


def _ask(file: ModelFile) -> tuple[str, int]:
    """Return the address that answers for a file, and its size there."""
    failure: DownloadError | None = None
    for url in filter(None, (file.url, file.fallback_url)):
        try:
            with _opened(url, method="HEAD") as answer:
                return url, int(answer.headers.get("Content-Length") or 0)
        except urllib.error.HTTPError as error:
            failure = _refused(file, url, error)
        except (OSError, http.client.HTTPException) as error:
            failure = DownloadError(
                f"{file.name} must be reachable at {url}: {_reason(error)}",
                hint="or copy it, under this name, into a folder and set EARMARK_MODELS to it",
            )
    raise failure or DownloadError(f"{file.name} has no address")


def fetch(wanted: Wanted, model: Model, places: Places, *, on_bytes: OnBytes | None = None) -> Path:
    """Fetch one file; return where it lies.

    Raises
    ------
    DownloadError
        If the server does not have it, the connection breaks again and again, the disk is full,
        or size or checksum are not the published ones.
    """
    folder = places.fetched / (model.folder or "")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / wanted.file.name
    part = folder / f"{wanted.file.name}.part"
    free = shutil.disk_usage(folder).free
    there = part.stat().st_size if part.is_file() else 0
    if wanted.size and wanted.size - there > free:
        raise DownloadError(
            f"{wanted.file.name} needs {wanted.size - there:,} bytes in {folder}, "
            f"where {free:,} are free",
            hint="set EARMARK_CACHE to a folder with room",
        )
    with _claimed(part) as file:
        _fill(file, wanted, on_bytes)
        _check(part, wanted)
        part.replace(target)
        _note(part).unlink(missing_ok=True)
    return target


@contextmanager
def _claimed(part: Path) -> Iterator[IO[bytes]]:
    """Open the growing file for this process alone."""
    import fcntl

    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"{part.name} must not be fetched twice at once") from error
        yield file
        file.flush()


def _fill(file: IO[bytes], wanted: Wanted, on_bytes: OnBytes | None) -> None:
    """Fetch until the file is whole, going on after broken connections."""
    stalled = 0
    urls = [url for url in (wanted.file.url, wanted.file.fallback_url) if url]
    while True:
        before = file.tell()
        try:
            _transfer(file, urls[0], wanted, on_bytes)
            file.flush()
            os.fsync(file.fileno())
            return
        except urllib.error.HTTPError as error:
            if error.code == 404 and len(urls) > 1:
                urls.pop(0)
                continue
            raise _refused(wanted.file, urls[0], error) from error
        except (OSError, http.client.HTTPException) as error:
            file.flush()
            stalled = 0 if file.tell() > before else stalled + 1
            if stalled >= _ATTEMPTS or (isinstance(error, OSError) and error.errno == 28):
                raise DownloadError(
                    f"{wanted.file.name} must come whole; {file.tell():,} bytes came, then: "
                    f"{_reason(error)}",
                    hint="the same command goes on where this one stopped",
                ) from error


def _transfer(file: IO[bytes], url: str, wanted: Wanted, on_bytes: OnBytes | None) -> None:
    """Fetch what is missing of a file over one connection."""
    note = _note(Path(file.name))
    at = file.tell()
    if wanted.size and at == wanted.size:
        return
    mark = note.read_text(encoding="utf-8") if at and note.is_file() else ""
    headers = {"Range": f"bytes={at}-", "If-Range": mark} if at and mark else {}
    with _opened(url, headers=headers) as answer:
        start = _start(answer, at)
        if start != at:
            file.truncate(0)
            file.seek(0)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else wanted.size
        strong = answer.headers.get("ETag", "")
        note.write_text("" if strong.startswith("W/") else strong, encoding="utf-8")
        _copy(answer, file, wanted, total, on_bytes)


def _start(answer: Any, at: int) -> int:
    """Return from which byte on a server answers: `at`, or 0 if it sends all of the file."""
    said = answer.headers.get("Content-Range", "")
    return at if answer.status == 206 and said.startswith(f"bytes {at}-") else 0


def _copy(
    answer: Any, file: IO[bytes], wanted: Wanted, total: int, on_bytes: OnBytes | None
) -> None:
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        if wanted.size and file.tell() > wanted.size:
            break  # `_check` says so
        if on_bytes is not None:
            on_bytes(wanted.file.name, file.tell(), wanted.size or total)
    if total and file.tell() < total:
        raise http.client.IncompleteRead(b"", total - file.tell())


def _check(part: Path, wanted: Wanted) -> None:
    """Raise `DownloadError` and drop the file unless it is the published one."""
    file, size = wanted.file, part.stat().st_size
    fault = ""
    if wanted.size and size != wanted.size:
        fault = f"have {wanted.size:,} bytes, got {size:,}"
    elif file.sha256 and not (found := digest(part)).startswith(file.sha256):
        fault = f"have the SHA-256 {file.sha256}, got {found}"
    elif file.md5 and (found := digest(part, "md5")) != file.md5:
        fault = f"have the MD5 {file.md5}, got {found}"
    if fault:
        part.unlink()
        _note(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{file.name} must {fault}; what came was thrown away",
            hint="try again; if it happens again, the publisher has another file there now",
        )


def _note(part: Path) -> Path:
    """Beside a growing file: what its server called that version of it."""
    return part.with_name(f"{part.name}.etag")


def _opened(url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Any:
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"the address of a model file must be http or https, got {url!r}")
    request = urllib.request.Request(
        url, method=method, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    )
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def _refused(file: ModelFile, url: str, error: urllib.error.HTTPError) -> DownloadError:
    return DownloadError(f"{file.name} must be at {url}; the server says {error.code} {error.msg}")


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "reason", "") or error or type(error).__name__).split())
