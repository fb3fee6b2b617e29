"""What every request can reach: the library, the media workers, the threads, the settings."""

from __future__ import annotations

import inspect
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, runtime_checkable

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from earmark.errors import EarmarkError, LibraryLocked, TrackNotFound
from earmark.server.access import NOBODY, Access, shown_path
from earmark.server.config import ServerConfig
from earmark.server.jobs import Jobs
from earmark.server.media.pool import MediaPool
from earmark.server.problems import Problem

if TYPE_CHECKING:
    from earmark.library import Library
    from earmark.types import Track

T = TypeVar("T")

_UNKNOWN_SECONDS = 5.0
_TURN_SECONDS = 3.0
_LOOK_SECONDS = 0.05
_KEPT = 64


@runtime_checkable
class Versioned(Protocol):
    """Capability of a store: a number that grows with every commit."""

    def version(self) -> int:
        """The number of the last commit."""


class Served:
    """A library that is being served by this process.

    Parameters
    ----------
    library : Library
    config : ServerConfig
    """

    def __init__(self, library: Library, config: ServerConfig) -> None:
        self.library = library
        self.config = config
        self.media = MediaPool(config.decoders)
        self.folder = Path(config.runtime) if config.runtime else Path(tempfile.mkdtemp())
        self._own_folder = not config.runtime
        self.jobs = Jobs(self.folder / "jobs", library.url, config.folders)
        self._threads: anyio.CapacityLimiter | None = None
        self._waiting = 0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the media workers; leave nothing behind."""
        self.media.close()
        if self._own_folder:
            self.jobs.close()
            import shutil

            with suppress(OSError):
                shutil.rmtree(self.folder)

    def warm(self) -> None:
        """Do once what the first questions would wait for: load what compares, start a decoder."""
        import numpy as np

        from earmark.types import Clip

        with suppress(EarmarkError, Problem, OSError):  # the library may be empty, or closed by now
            self.media.warm()
            ids = self.library.store.track_ids()
            if "timbre" in self.library.store.encoders() and len(ids):
                noise = np.random.default_rng(0).normal(0, 0.1, 22_050).astype(np.float32)
                self.library.search(audio=Clip(noise, 22_050), by="timbre", k=1)
                self.library.search(like=int(ids[0]), by="timbre", k=1)

    async def run(self, work: Callable[[], T]) -> T:
        """Do work that takes time in a thread; a full house sends the client away.

        Raises
        ------
        Problem
            503 if too many wait already.
        """
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(self.config.threads)
        if self._waiting >= self.config.waiting:
            raise Problem(
                503,
                "too many questions are waiting",
                headers={"retry-after": "1"},
                hint="try again",
            )
        self._waiting += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._waiting -= 1

    async def change(self, work: Callable[[], T]) -> T:
        """Do work that writes to the library; wait for its turn if another one writes.

        No thread waits: questions go on meanwhile.

        Raises
        ------
        LibraryLocked
            If the other one takes longer than a few seconds (an index job does).
        """
        deadline = time.monotonic() + _TURN_SECONDS
        while True:
            try:
                return await self.run(work)
            except LibraryLocked:
                if time.monotonic() > deadline:
                    raise
            await anyio.sleep(_LOOK_SECONDS)

    def version(self) -> str:
        """Return what changes whenever the library does."""
        store = self.library.store
        if isinstance(store, Versioned):
            return str(store.version())
        return f"t{int(time.time() / _UNKNOWN_SECONDS)}"

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return a value that was made for this state of the library, or make it."""
        full = (self.version(), key)
        with self._lock:
            if full in self._kept:
                self._kept.move_to_end(full)
                value: T = self._kept[full]
                return value
            making = self._making.setdefault(full, threading.Lock())
        with making:  # a second request for the same waits for the first
            with self._lock:
                found: T | None = self._kept.get(full)
            try:
                value = make() if found is None else found
            finally:
                with self._lock:
                    self._making.pop(full, None)
            with self._lock:
                self._kept[full] = value
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return value

    def can(self, feature: str) -> bool:
        """Whether this version of the library has a method."""
        return callable(getattr(self.library, feature, None))

    def method(self, feature: str) -> Callable[..., Any]:
        """Return a method of the library.

        Raises
        ------
        Problem
            501 if this version has none of this name.
        """
        found = getattr(self.library, feature, None)
        if not callable(found):
            raise Problem(
                501,
                f"this version of earmark cannot {feature}",
                hint="GET /api/v1/library says what it can do",
            )
        method: Callable[..., Any] = found
        return method

    def track(self, number: int) -> Track:
        """Return a track by its number.  Raises `TrackNotFound`."""
        found = self.library.store.tracks([number])
        if not found:
            raise TrackNotFound(f"no track has the id {number}", hint="list shows the ids")
        return found[0]


def known_parameters(method: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """Return those of the given arguments that are set, checked against what a method takes.

    Raises
    ------
    Problem
        501 for an argument that this version does not know.
    """
    parameters = inspect.signature(method).parameters
    taken = {}
    for name, value in given.items():
        if value is None or value is False or value == ():
            continue
        if name not in parameters:
            raise Problem(501, f"this version of earmark cannot take {name!r} here")
        taken[name] = value
    return taken


def get_served(request: Request) -> Served:
    """Return what is served (a dependency of routes)."""
    served: Served = request.app.state.served
    return served


def get_access(request: Request) -> Access:
    """Return what the request may do, as the guard found."""
    access: Access = request.scope.get("state", {}).get("access", NOBODY)
    return access


def need_write(request: Request) -> Access:
    """Return the access of a request that may change things.

    Raises
    ------
    Problem
        403 otherwise.
    """
    access = get_access(request)
    if not access.write:
        raise Problem(403, "this needs the token to write", hint="Authorization: Bearer TOKEN")
    return access


Server = Annotated[Served, Depends(get_served)]
Caller = Annotated[Access, Depends(get_access)]
WritingCaller = Annotated[Access, Depends(need_write)]


def hit_json(document: dict[str, Any], served: Served, access: Access) -> dict[str, Any]:
    """Return a hit or a track with the path that the client may see."""
    if access.paths or "path" not in document:
        return document
    return document | {"path": shown_path(document["path"], served.config, access)}
