"""How a server runs: one frozen value, checked once, handed to every worker process."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from earmark.errors import SettingError, UsageError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_SHORTEST_TOKEN = 12


@dataclass(frozen=True)
class ServerConfig:
    """All that ``earmark serve`` can be told.

    Parameters
    ----------
    library : str
        Folder or URL of the library.
    host, port
        Where to listen.
    roots : tuple of str
        Folders that index jobs may read, as ``/path`` or ``name=/path``.
    token_read, token_write : str
        What a client must show to ask, and to change; empty for none.
    allowed_hosts : tuple of str
        Further names under which browsers may reach the server.
    workers : int
        Server processes.
    threads : int
        Questions that one process answers at the same time.
    decoders : int
        Decoding processes of one server process.
    waiting : int
        Most questions that wait for a thread; more are told to come back.
    max_upload : int
        Bytes of one request's body.
    max_seconds : float
        Seconds of sound in one upload, or in one moment that is cut out.
    decode_seconds : float
        Seconds that decoding one upload may take.
    patience : float
        Seconds in which a request's headers must come, and any further part of its body.
    requests_per_minute : int
        Of one client address; 0 for no limit.
    runtime : str
        A folder that the processes of one server share; made when it starts.
    secret : str
        Signs tickets; made when it starts.

    Raises
    ------
    UsageError
        For a server that strangers could reach without a token, or a value outside its rule.
    """

    library: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    roots: tuple[str, ...] = ()
    token_read: str = ""
    token_write: str = ""
    allowed_hosts: tuple[str, ...] = ()
    workers: int = 1
    threads: int = 4
    decoders: int = 2
    waiting: int = 256
    max_upload: int = 32_000_000
    max_seconds: float = 600.0
    decode_seconds: float = 20.0
    patience: float = 20.0
    requests_per_minute: int = 0
    runtime: str = ""
    secret: str = ""

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "decoders", "waiting", "max_upload"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("max_seconds", "decode_seconds", "patience"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} must be more than 0 seconds, got {getattr(self, name)}")
        if self.requests_per_minute < 0:
            raise UsageError(
                f"requests_per_minute must be 0 or more, got {self.requests_per_minute}"
            )
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port must be 0 to 65535, got {self.port}")
        self._check_tokens()

    def _check_tokens(self) -> None:
        for name in ("token_read", "token_write"):
            token = getattr(self, name)
            if token and (len(token) < _SHORTEST_TOKEN or not token.isascii() or " " in token):
                raise SettingError(
                    f"{name} must be {_SHORTEST_TOKEN} or more ASCII characters without spaces, "
                    f"got {len(token)} characters",
                    hint="make one: python -c 'import secrets; print(secrets.token_urlsafe(24))'",
                )
        if not self.loopback and not self.token_read:
            raise UsageError(
                f"a server that others can reach needs a token, got --host {self.host} and none",
                hint="set EARMARK_TOKEN_READ (and EARMARK_TOKEN_WRITE to allow changes), or bind "
                "127.0.0.1",
            )
        if self.token_read and self.token_read == self.token_write:
            raise SettingError("the tokens to read and to write must differ, got the same twice")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host in LOOPBACK_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def folders(self) -> dict[str, str]:
        """The folders that index jobs may read, by name."""
        named: dict[str, str] = {}
        for root in self.roots:
            name, is_named, folder = root.partition("=")
            if not is_named or "/" in name:
                name, folder = root.rstrip("/").rpartition("/")[2] or "root", root
            plain, number = name, 2
            while name in named:
                name, number = f"{plain}-{number}", number + 1
            named[name] = folder
        return named

    def to_json(self) -> str:
        """Return the value as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServerConfig:
        """Read what `to_json` wrote.

        Examples
        --------
        >>> ServerConfig.from_json(ServerConfig(roots=("/music",)).to_json()).folders
        {'music': '/music'}
        """
        values: dict[str, Any] = json.loads(text)
        known = {field.name for field in fields(cls)}
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in known
        }
        return cls(**kept)
