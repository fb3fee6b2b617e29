"""HTTP for the remote library: one kept connection a thread, problems as the errors they were."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from earmark import errors
from earmark.errors import EarmarkError, NotAvailable, QueryError, UsageError

_BY_STATUS: Mapping[int, type[EarmarkError]] = {
    401: UsageError,
    403: UsageError,
    404: errors.TrackNotFound,
    409: errors.LibraryLocked,
    501: NotAvailable,
    503: errors.StoreError,
    507: errors.StorageFull,
}

Parameters = Mapping[str, Any]


class Unreachable(errors.StoreError):
    """The server of a remote library does not answer."""


class Client:
    """Requests to one server.

    Parameters
    ----------
    url : str
        ``http://host:port`` or ``https://...``, with or without a path before ``/api``.
    token : str, optional
    timeout : float
        In seconds, for a connection and for each answer.

    Raises
    ------
    UsageError
        For an address of another form.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise UsageError(
                f"a remote library must be http://HOST:PORT, got {url!r}",
                hint="earmark serve prints the address",
            )
        if parts.username or parts.query or parts.fragment:
            raise UsageError(
                "the address of a remote library must hold nothing but host, port and path",
                hint="give the token as token=...",
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._prefix = f"{parts.path.rstrip('/')}/api/v1"
        self._token = token
        self._timeout = timeout
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the document at an address."""
        return self.call("GET", path, parameters)

    def call(
        self,
        method: str,
        path: str,
        parameters: Parameters | None = None,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Any:
        """Return the document that a request gets.

        Parameters
        ----------
        method, path : str
            The path without ``/api/v1``.
        parameters : mapping, optional
            Values that are None, False or empty are left out; sequences repeat their name.
        body : bytes, optional
        content_type : str, optional

        Raises
        ------
        EarmarkError
            What the server's library raised, or `Unreachable`.
        """
        query = urlencode(list(_pairs(parameters or {})), errors="surrogateescape")
        target = f"{self._prefix}{quote(path)}" + (f"?{query}" if query else "")
        headers = {"Accept": "application/json", "User-Agent": "earmark"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = content_type or "application/octet-stream"
        status, data = self._exchange(method, target, body, headers)
        return _document(status, data, self.url)

    def send_json(self, method: str, path: str, document: object) -> Any:
        """Return the document that a request with a JSON body gets."""
        body = json.dumps(document).encode("ascii")
        return self.call(method, path, body=body, content_type="application/json")

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Send and receive; a kept connection that the server has closed is replaced once."""
        kept = getattr(self._local, "connection", None)
        for connection in (kept, None):
            if connection is None and connection is not kept:
                self._local.connection = None
            link = connection or self._connect()
            try:
                link.request(method, target, body=body, headers=headers)
                answer = link.getresponse()
                data = answer.read()
                if answer.will_close:
                    self._forget(link)
                return answer.status, data
            except (http.client.RemoteDisconnected, ConnectionError) as error:
                self._forget(link)
                if connection is None:
                    raise self._unreachable(error) from error
            except (OSError, http.client.HTTPException) as error:
                self._forget(link)
                raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    def _connect(self) -> http.client.HTTPConnection:
        made: http.client.HTTPConnection
        if self._secure:
            made = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            made.connect()
        except OSError as error:
            raise self._unreachable(error) from error
        # Head and body are two writes: without this the second waits for the other side.
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.append(made)
        self._local.connection = made
        return made

    def _forget(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._local.connection = None
        with self._lock:
            if connection in self._open:
                self._open.remove(connection)

    def _unreachable(self, error: BaseException) -> Unreachable:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreachable(
            f"the server of the library must answer, but {self.url}: {reason}",
            hint="earmark serve starts it",
        )


def _pairs(parameters: Parameters) -> Iterable[tuple[str, str]]:
    for name, value in parameters.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is None or one is False:
                continue
            yield name, "true" if one is True else str(one)


def _document(status: int, data: bytes, url: str) -> Any:
    try:
        document = json.loads(data) if data else None
    except ValueError:
        document = None
    if 200 <= status < 300 and document is not None:
        return document
    if not isinstance(document, dict) or "detail" not in document:
        raise Unreachable(
            f"{url} must be an earmark server, but answered {status} without a reason",
            hint="look at the address",
        )
    raise error_of(status, document)


def error_of(status: int, problem: Mapping[str, Any]) -> EarmarkError:
    """Return the error that a problem document tells of.

    Examples
    --------
    >>> error_of(404, {"detail": "no track has the id 9", "error": "TrackNotFound"})
    TrackNotFound('no track has the id 9')
    """
    kind = _BY_STATUS.get(status, QueryError)
    named = getattr(errors, str(problem.get("error", "")), None)
    if isinstance(named, type) and issubclass(named, EarmarkError):
        kind = named
    detail, hint = str(problem["detail"]), problem.get("hint")
    if issubclass(kind, errors.AudioError):
        source = str(problem.get("source", "the recording"))
        return kind(source, str(problem.get("reason", detail)), hint=hint)
    return kind(detail, hint=hint)
