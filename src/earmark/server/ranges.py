"""Files in pieces: byte ranges and entity tags over a local file or anything that can be seeked.

Players ask for ranges to jump; RFC 9110, sections 13.1.5 (If-Range) and 14.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from earmark.server.etags import matches, not_modified
from earmark.server.problems import Problem

_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_CACHE = {"cache-control": "private, max-age=0, must-revalidate", "accept-ranges": "bytes"}

Opener = Callable[[], AbstractContextManager[BinaryIO]]


def wanted(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return the first and the last byte that a request asks for; None for all.

    Raises
    ------
    Problem
        416 for a range outside.
    """
    text = request.headers.get("range")
    if text is None or request.headers.get("if-range", etag) != etag:
        return None
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return None  # several ranges, or another unit: the whole file is a right answer
    if len(match[1]) > 18 or len(match[2]) > 18:
        raise _outside(size)
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]) if match[2] else size - 1, size - 1)
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first >= size or last < first:
        raise _outside(size)
    return first, last


def _outside(size: int) -> Problem:
    return Problem(
        416, f"the range must lie in {size} bytes", headers={"content-range": f"bytes */{size}"}
    )


def send(
    request: Request,
    opener: Opener,
    size: int,
    *,
    etag: str,
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with a file, or the range of it that was asked for.

    Parameters
    ----------
    request : Request
    opener : callable
        Opens the file, as a context.
    size : int
        In bytes.
    etag, media_type : str
    headers : mapping, optional
        Further ones.
    """
    if matches(request, etag):
        return not_modified(etag)
    part = wanted(request, size, etag)
    first, last = part or (0, size - 1)
    common = _CACHE | {"etag": etag, "content-length": str(last - first + 1)} | dict(headers or {})
    if part is not None:
        common["content-range"] = f"bytes {first}-{last}/{size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, media_type=media_type, headers=common)
    return StreamingResponse(
        _pieces(opener, first, last), status_code=status, media_type=media_type, headers=common
    )


async def _pieces(opener: Opener, first: int, last: int) -> AsyncIterator[bytes]:
    context = opener()
    file = await anyio.to_thread.run_sync(context.__enter__)
    try:
        await anyio.to_thread.run_sync(file.seek, first)
        left = last - first + 1
        while left > 0:
            piece = await anyio.to_thread.run_sync(file.read, min(_PIECE, left))
            if not piece:
                return  # the file became shorter; the client sees a body that is cut off
            left -= len(piece)
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(context.__exit__, None, None, None)
