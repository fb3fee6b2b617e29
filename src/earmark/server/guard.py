"""The door: every request passes here before any other code sees it.

1. The Host header must name this server: a page of a stranger that points its own name at this
   machine (DNS rebinding) is turned away.
2. A request that another site's page causes is turned away if it could change anything, and no
   answer may be used by another site.
3. Each client address has so many requests a minute.
4. What may be done follows from the token or the ticket (`access`); everything but the page's own
   files, the API's description and the health check needs one if there are tokens.

Answers get the headers that keep browsers strict.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.server import access as accesses
from earmark.server.access import Access
from earmark.server.config import LOOPBACK_NAMES, ServerConfig
from earmark.server.problems import Problem

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; font-src 'self'; worker-src 'self' blob:; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=(), payment=()",
}

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = frozenset(
    {"/", "/docs", "/docs/style.css", "/openapi.json", "/api/v1/health", "/favicon.ico"}
)
_MOST_CLIENTS = 10_000


class Guard:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self.app = app
        self.config = config
        self._buckets = Buckets(config.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            scope.setdefault("state", {})["access"] = self._admit(scope)
        except Problem as problem:
            await problem.response()(scope, receive, dressed)
            return
        await self.app(scope, receive, dressed)

    def _admit(self, scope: Scope) -> Access:
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(scope["method"], headers)
        client = scope.get("client")
        self._buckets.take(client[0] if client else "unknown")
        access = self._access(scope, headers)
        path: str = scope["path"]
        # Music players show their own kind of token; `subsonic` looks at it.
        if not access.read and not (path in _OPEN_PATHS or path.startswith(("/assets/", "/rest/"))):
            raise Problem(
                401,
                "this needs a token",
                hint="Authorization: Bearer TOKEN",
                headers={"www-authenticate": "Bearer"},
            )
        return access

    def _access(self, scope: Scope, headers: Headers) -> Access:
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if kind.lower() == "bearer" else None
        access = accesses.of_token(given, self.config)
        if access.read or scope["method"] not in ("GET", "HEAD"):
            return access
        if scope["path"].startswith("/api/v1/tracks/"):
            tickets = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [])
            if tickets and accesses.ticket_holds(tickets[0], self.config.secret):
                return accesses.TICKET
        return access

    def _check_host(self, headers: Headers) -> None:
        name = host_name(headers.get("host", ""))
        if name in LOOPBACK_NAMES or name == self.config.host or name in self.config.allowed_hosts:
            return
        # An address cannot be pointed elsewhere; beyond loopback there is a token besides.
        if not self.config.loopback and _is_address(name):
            return
        raise Problem(
            421, f"this server is not called {name!r}", hint=f"earmark serve --allow-host {name}"
        )

    def _check_origin(self, method: str, headers: Headers) -> None:
        if method in _SAFE_METHODS:
            return
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        foreign = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
        if foreign or site not in ("none", "same-origin"):
            raise Problem(403, "a page of another site may not do this")


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case.

    Examples
    --------
    >>> host_name("[::1]:8080"), host_name("LOCALHOST:80")
    ('::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Buckets:
    """So many requests a minute for each client, a quarter of them at once.

    Parameters
    ----------
    per_minute : int
        0 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self.rate = per_minute / 60.0
        self.most = max(10.0, per_minute / 4.0)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, *, now: float | None = None) -> None:
        """Count a request.

        Raises
        ------
        Problem
            429 if it is one too many.
        """
        if not self.rate:
            return
        moment = time.monotonic() if now is None else now
        left, at = self._left.get(client, (self.most, moment))
        left = min(self.most, left + (moment - at) * self.rate)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, moment)
        self._left.move_to_end(client)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        if not allowed:
            wait = max(1, round((1 - left) / self.rate))
            raise Problem(429, "too many requests", headers={"retry-after": str(wait)})
