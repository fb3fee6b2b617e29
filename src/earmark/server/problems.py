"""Errors as answers: RFC 9457 problem documents, and JSON that every client can read.

A body is ASCII (names of files may hold bytes that are no UTF-8, which JSON writes as escapes) and
never holds NaN or infinity.  What an error says of folders stays on this machine: a client that
may not see paths gets the rule without the place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from earmark import errors

if TYPE_CHECKING:
    from earmark.errors import EarmarkError

PROBLEM_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.TrackNotFound, 404),
    (errors.LibraryNotFound, 503),
    (errors.SourceError, 404),
    (errors.WorkerLost, 422),
    (errors.AudioError, 422),
    (errors.NotAvailable, 501),
    (errors.LibraryLocked, 409),
    (errors.NotFitted, 409),
    (errors.EncoderError, 409),
    (errors.StorageFull, 507),
    (errors.StoreError, 503),
    (errors.UsageError, 422),
)


class Problem(HTTPException):
    """An answer other than the one that was hoped for.

    Parameters
    ----------
    status : int
        Of HTTP.
    detail : str
        The rule, then what came.
    hint : str, optional
        What the client can do about it.
    headers : mapping, optional
        Of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.status = status
        self.hint = hint
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        """Return the problem as its document."""
        title = HTTPStatus(self.status).phrase
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.hint:
            document["hint"] = self.hint
        return document | self.extra

    def response(self) -> Response:
        """Return the problem as an answer."""
        return Response(
            dump(self.document()),
            status_code=self.status,
            media_type=PROBLEM_TYPE,
            headers={"cache-control": "no-store"} | dict(self.headers or {}),
        )


def of_error(error: EarmarkError, *, paths: bool) -> Problem:
    """Return the problem that an error of the library is.

    Parameters
    ----------
    error : EarmarkError
    paths : bool
        Whether the client may see where files lie.
    """
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 422)
    detail, hint = str(error), error.hint
    if isinstance(error, errors.AudioError):
        detail = str(error) if paths else error.reason
    elif isinstance(error, errors.StoreError) and not paths:
        detail, hint = f"the library cannot answer: {type(error).__name__}", None
    headers = {"retry-after": "5"} if status == 503 else None
    extra = {"error": type(error).__name__}
    if isinstance(error, errors.AudioError):
        extra |= {"reason": clean(error.reason)} | (
            {"source": clean(error.source)} if paths else {}
        )
    hint = None if hint is None else clean(hint)
    return Problem(status, clean(detail), hint=hint, headers=headers, extra=extra)


def clean(text: str) -> str:
    """Return a text without lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def finite(value: Any) -> Any:
    """Return JSON data with null for every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return value


def dump(document: object) -> bytes:
    """Return a document as JSON: ASCII, without NaN.

    Examples
    --------
    >>> dump({"score": float("nan"), "path": "\\udcff"})
    b'{"score":null,"path":"\\\\udcff"}'
    """
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(finite(document), allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


class Json(Response):
    """A document as an answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the document."""
        return dump(content)
