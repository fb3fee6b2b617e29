"""Requests of players: their parameters (in the address or in a form), and who asks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request

from earmark.server import access as accesses
from earmark.server.access import Access
from earmark.server.config import ServerConfig
from earmark.server.context import Served
from earmark.server.subsonic.replies import (
    BAD_KEY,
    CONFLICTING,
    MISSING,
    NOT_FOUND,
    WRONG_LOGIN,
    Refused,
)
from earmark.types import Track

MOST = 500
"""Most things in one answer, as the specification has it."""


@dataclass(frozen=True)
class Call:
    """One request: its parameters, and what it may reach."""

    request: Request
    served: Served
    access: Access
    parameters: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """Return a parameter that must be there.  Raises `Refused`."""
        value = self.maybe(name)
        if value is None:
            raise Refused(MISSING, f"the parameter {name!r} is missing")
        return value

    def maybe(self, name: str) -> str | None:
        """Return a parameter, None if it is not there."""
        values = self.parameters.get(name)
        return values[0] if values else None

    def number(self, name: str, default: int, *, most: int = MOST) -> int:
        """Return a whole number between 0 and `most`.  Raises `Refused`."""
        text = self.maybe(name)
        if text is None or text == "":
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise Refused(MISSING, f"the parameter {name!r} must be a whole number, got {text!r}")
        return min(int(text), most)

    def track(self, name: str = "id") -> Track:
        """Return the track that a parameter names.  Raises `Refused`."""
        text = self.text(name)
        known = text.isascii() and text.isdecimal() and len(text) < 19
        found = self.served.library.store.tracks([int(text)]) if known else []
        if not found:
            raise Refused(NOT_FOUND, f"no song has the id {text!r}")
        return found[0]


async def parameters_of(request: Request) -> dict[str, list[str]]:
    """Return the parameters of a request, from its address and its form."""
    values: dict[str, list[str]] = {}
    pairs = request.query_params.multi_items()
    if request.method == "POST":
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/x-www-form-urlencoded"):
            async with request.form(max_files=0, max_fields=2000) as form:
                pairs += [(n, v) for n, v in form.multi_items() if isinstance(v, str)]
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def who(parameters: Mapping[str, Sequence[str]], config: ServerConfig, door: Access) -> Access:
    """Return what a request may do.

    The server's tokens are the passwords, under any name: as API key, as password, or as the
    digest of password and salt.

    Raises
    ------
    Refused
        If it shows nothing, or something wrong.
    """
    if door.read:
        return door
    key, user = _one(parameters, "apiKey"), _one(parameters, "u")
    if key and user:
        raise Refused(CONFLICTING, "show an API key or a user, not both")
    if key:
        access = accesses.of_token(key, config)
        if not access.read:
            raise Refused(BAD_KEY, "no such API key")
        return access
    if not user:
        raise Refused(MISSING, "the parameter 'u' or 'apiKey' is missing")
    for token, access in (
        (config.token_write, accesses.OWNER),
        (config.token_read, accesses.READER),
    ):
        if token and _shows(parameters, token):
            return access
    raise Refused(WRONG_LOGIN, "wrong user or password")


def _shows(parameters: Mapping[str, Sequence[str]], token: str) -> bool:
    password, digest, salt = (_one(parameters, name) for name in ("p", "t", "s"))
    if digest and salt:
        right = hashlib.md5((token + salt).encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(digest.lower().encode("utf-8", "replace"), right.encode())
    if password.startswith("enc:"):
        try:
            password = bytes.fromhex(password.removeprefix("enc:")).decode()
        except ValueError:
            return False
    return accesses.same(password, token)


def _one(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    values = parameters.get(name)
    return values[0] if values else ""
