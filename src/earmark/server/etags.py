"""Entity tags: what a client has already need not be sent, or made, again (RFC 9110)."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def make_etag(*parts: object) -> str:
    """Return an entity tag of everything that an answer depends on.

    Examples
    --------
    >>> make_etag("a", 1) == make_etag("a", 1) != make_etag("a", 2)
    True
    """
    text = "\0".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12)
    return f'"{digest.hexdigest()}"'


def matches(request: Request, etag: str) -> bool:
    """Whether the client says that it has this already."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in [
        tag.strip().removeprefix("W/") for tag in given.split(",")
    ]


def not_modified(etag: str) -> Response:
    """Return the answer that says so."""
    return Response(status_code=304, headers={"etag": etag, "cache-control": "private, no-cache"})
