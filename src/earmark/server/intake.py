"""What comes in: bodies of limited size, from clients that do not dawdle, and the sound in them.

An upload is a part named ``file`` of a multipart body, or the body itself.  It is kept in memory
(or, by the multipart parser, in a file without a name), so that nothing is left on disk, whatever
happens to the request or to the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.server.config import ServerConfig
from earmark.server.context import Served
from earmark.server.media.tasks import DecodeUpload, Sound, TooLong
from earmark.server.problems import Problem

_CLOSE = {"connection": "close"}
_MOST_FIELDS = 200
_BODY_SECONDS = 120.0
_STUCK_SECONDS = 300.0
_BODIES_AT_ONCE = 8


class _Stuck(Exception):
    """A client does not take its answer."""


@dataclass
class _Account:
    """Bytes of one request's body that are in memory."""

    held: int = 0


def _impatient(send: Send) -> Send:
    """A `send` that gives up on a client that takes nothing for minutes."""

    async def impatient(message: Message) -> None:
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await send(message)
        except TimeoutError:
            raise _Stuck from None

    return impatient


class Intake:
    """ASGI middleware: counts the bytes of a body and the seconds until they come."""

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self.app = app
        self.config = config
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a `receive` that has limits."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check_length(Headers(scope=scope).get("content-length"))
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        account, began = _Account(), False

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await patient(message)

        patient = _impatient(send)
        try:
            with suppress(_Stuck):
                await self.app(scope, self._limited(receive, account), noted)
        except Problem as problem:  # of an application that does not know problems
            if began:
                raise
            await problem.response()(scope, receive, send)
        finally:
            self._held -= account.held

    def _check_length(self, stated: str | None) -> None:
        if stated is not None and stated.isdecimal() and int(stated) > self.config.max_upload:
            raise self._too_large()

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"a body must have at most {self.config.max_upload} bytes",
            hint="cut the sound, or send it compressed",
            headers=_CLOSE,
        )

    def _limited(self, receive: Receive, account: _Account) -> Receive:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BODY_SECONDS
        done = False

        async def limited() -> Message:
            nonlocal done
            if done:
                return await receive()
            patience = min(self.config.patience, deadline - loop.time())
            try:
                async with asyncio.timeout(max(0.0, patience)):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "the body took too long to come", headers=_CLOSE) from None
            came = len(message.get("body", b""))
            account.held += came
            self._held += came
            done = not message.get("more_body", False)
            if account.held > self.config.max_upload:
                raise self._too_large()
            if self._held > _BODIES_AT_ONCE * self.config.max_upload:
                raise Problem(
                    503, "too many uploads at once", headers={"retry-after": "5"} | _CLOSE
                )
            return message

        return limited


@dataclass(frozen=True)
class Upload:
    """The bytes of a sound, and the values that came beside it."""

    data: bytes
    name: str
    fields: Mapping[str, list[str]]


async def read_upload(request: Request) -> Upload:
    """Return the sound of a request, from a multipart body or the body itself.

    Raises
    ------
    Problem
        400 for a body that cannot be read, 415 for another type, 422 without sound.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            async with request.form(
                max_files=1, max_fields=_MOST_FIELDS, max_part_size=1 << 20
            ) as form:
                return await _of_form(form)
        if kind and not (
            kind.startswith("audio/")
            or kind in ("video/webm", "video/mp4", "application/octet-stream", "application/ogg")
        ):
            raise Problem(
                415, f"a sound is multipart/form-data, audio/* or video/webm, got {kind!r}"
            )
        data = await request.body()
    except ClientDisconnect:
        raise Problem(400, "the client went away") from None
    return _checked(Upload(data, "the upload", {}))


async def _of_form(form: FormData) -> Upload:
    fields: dict[str, list[str]] = {}
    files: list[UploadFile] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "file":
                raise Problem(422, f"the sound must be the part 'file', got {name!r}")
            files.append(value)
        elif name == "file":
            raise Problem(422, "the part 'file' must be a file, got a text")
        else:
            fields.setdefault(name, []).append(value)
    if not files:
        raise Problem(422, "a part 'file' with the sound must be there, got none")
    return _checked(Upload(await files[0].read(), "the upload", fields))


def _checked(upload: Upload) -> Upload:
    if not upload.data:
        raise Problem(422, "the sound must not be empty, got 0 bytes")
    return upload


def decode(served: Served, upload: Upload, *, sample_rate: int | None = None) -> Sound:
    """Decode an upload in a media worker (call it from a thread).

    Raises
    ------
    Problem
        413 if it lasts too long.
    EarmarkError
        If it is no sound.
    """
    config = served.config
    task = DecodeUpload(upload.data, config.max_seconds, sample_rate)
    result: Sound | TooLong = served.media.run(task, config.decode_seconds)
    if isinstance(result, TooLong):
        raise Problem(
            413,
            f"a sound must last at most {config.max_seconds:g} s, this one lasts longer",
            hint="send the part that matters",
        )
    return result


def bad_body(error: HTTPException) -> Problem:
    """Return what the multipart parser complained of as a problem."""
    return Problem(error.status_code, str(error.detail))


def merged(request: Request, upload: Upload) -> dict[str, Any]:
    """Return query parameters and form fields together; lists where a name repeats."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    for name, several in upload.fields.items():
        values.setdefault(name, []).extend(several)
    return values
