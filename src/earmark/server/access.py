"""Who may do what: tokens, tickets, and whether a client sees where files lie.

Without tokens (possible on loopback only) everybody on this machine may do everything: they are the
owner.  With them, a request shows one as ``Authorization: Bearer TOKEN``; elements of a page that
cannot send headers use a ticket, a signed note of a few minutes that opens sounds and pictures.

Full paths of files are shown to those who may write, and to everybody while there are no tokens.
Others get the path relative to the folder that was named to the server, or the file's name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass

from earmark.server.config import ServerConfig

TICKET_SECONDS = 600


@dataclass(frozen=True)
class Access:
    """What one request may do."""

    read: bool = False
    write: bool = False
    paths: bool = False

    @property
    def key(self) -> str:
        """Tells apart answers that differ by access."""
        return "p" if self.paths else "n"


NOBODY = Access()
OWNER = Access(read=True, write=True, paths=True)
READER = Access(read=True)
TICKET = Access(read=True)


def same(given: str, token: str) -> bool:
    """Compare in constant time; an empty token matches nothing."""
    return bool(token) and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def of_token(token: str | None, config: ServerConfig) -> Access:
    """Return what a request with this token (or none) may do."""
    if not config.token_read and not config.token_write:
        return OWNER
    if token is not None and same(token, config.token_write):
        return OWNER
    if token is not None and same(token, config.token_read):
        return READER
    # Loopback with a token to write only: reading is open.
    return READER if not config.token_read else NOBODY


def make_ticket(secret: str, *, now: float | None = None) -> tuple[str, int]:
    """Return a ticket and the second (since 1970) at which it ends."""
    ends = int((time.time() if now is None else now) + TICKET_SECONDS)
    return f"{ends}.{_sign(secret, ends)}", ends


def ticket_holds(ticket: str, secret: str, *, now: float | None = None) -> bool:
    """Whether a ticket is ours and not over.

    Examples
    --------
    >>> ticket, ends = make_ticket("secret", now=1000)
    >>> ticket_holds(ticket, "secret", now=1001), ticket_holds(ticket, "secret", now=ends + 1)
    (True, False)
    """
    head, _, signature = ticket.partition(".")
    if not (head.isascii() and head.isdecimal() and len(head) < 16):
        return False
    moment = time.time() if now is None else now
    return int(head) >= moment and same(signature, _sign(secret, int(head)))


def _sign(secret: str, ends: int) -> str:
    digest = hmac.digest(secret.encode(), f"ticket {ends}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:18]).decode()


def shown_path(path: str, config: ServerConfig, access: Access) -> str:
    """Return a track's path as this client may see it.

    Examples
    --------
    >>> config = ServerConfig(roots=("/music",), token_read="read-read-read")
    >>> shown_path("/music/a/b.wav", config, READER), shown_path("/home/c.wav", config, READER)
    ('a/b.wav', 'c.wav')
    """
    if access.paths:
        return path
    for folder in config.folders.values():
        prefix = folder.rstrip("/") + "/"
        if path.startswith(prefix):
            return path[len(prefix) :]
    return path.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
