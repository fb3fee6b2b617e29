"""Follow folders: add what appears or changes, a moment after it came to rest.

A file that is being written announces itself many times.  Only when the size and time of all that
changed have stood still for the debounce time is the whole watched place handed on, so that half
a recording is not indexed, and ignore files and removals count: to plan costs one walk.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.audio import AUDIO_SUFFIXES
from earmark.errors import SourceError, UsageError
from earmark.sources import canonical, is_url, sniffing
from earmark.sources.ignoring import IGNORE_FILE

_ARCHIVES = frozenset({".zip"})
_POLL_MS = 250
_PATIENCE = 10

_State = tuple[int, int] | None


def watch(
    add: Callable[[list[str]], object],
    paths: Sequence[str],
    stop_event: threading.Event,
    *,
    debounce: float = 1.0,
    suffixes: Collection[str] = AUDIO_SUFFIXES | _ARCHIVES,
) -> None:
    """Add what lies at `paths`, then what changes there, until told to stop.

    Parameters
    ----------
    add : callable
        Called with those of `paths` in which something changed; first with all of them.
    paths : sequence of str
        Folders and files of this machine.
    stop_event : threading.Event
        Ends the watch when set, from any thread.
    debounce : float
        Seconds that a file must have been left alone.
    suffixes : collection of str
        Of the files that matter, lower case with their dot, beside scores; hidden ones never do.

    Raises
    ------
    UsageError
        For a negative debounce time, or a URL.
    SourceError
        If a path is not there.
    KeyboardInterrupt
        On Ctrl-C, if called in the main thread.
    """
    from watchfiles import watch as changes

    roots = [_root(path) for path in paths]
    if debounce < 0:
        raise UsageError(f"debounce must be 0 seconds or more, got {debounce}")
    waiting = _Waiting(debounce)
    started = False
    # The watch begins before the first scan, and asks for a sign at once: what changes during
    # the scan is already seen.
    for batch in changes(
        *roots,
        watch_filter=None,
        stop_event=stop_event,
        step=50,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    ):
        if not started:
            add(list(paths))
            started = True
        for _, path in batch:
            root = _root_of(path, roots)
            if root is not None and _matters(path, root, suffixes):
                waiting.note(path, root)
        settled = waiting.settled()
        if settled and not stop_event.is_set():
            add(settled)


def _root(path: str) -> str:
    if is_url(path):
        raise UsageError(f"only folders and files of this machine can be watched, got {path}")
    root = canonical(path)
    if not os.path.lexists(root):
        raise SourceError(path, "there is no such file or folder")
    return root


def _root_of(path: str, roots: Sequence[str]) -> str | None:
    """The watched place that a path is, or lies in."""
    for root in roots:
        if path == root or path.startswith(root.rstrip("/") + "/"):
            return root
    return None


def _matters(path: str, root: str, suffixes: Collection[str]) -> bool:
    """Whether a change of this path can concern the library."""
    below = Path(path[len(root) :].lstrip("/"))
    if below.name == IGNORE_FILE:
        return True
    if any(part.startswith(".") for part in below.parts):
        return False
    # A folder that was renamed or removed can no longer be asked what it was.
    if path == root or below.suffix.lower() in suffixes or not Path(path).is_file():
        return True
    return sniffing.is_score_file(path)


class _Waiting:
    """Paths that changed, until all below their root have come to rest.

    A root in which something is always being written waits for at most `_PATIENCE` debounce
    times; what is then taken half written is taken again when it changes.
    """

    def __init__(self, debounce: float) -> None:
        self._debounce = debounce
        self._paths: dict[str, _Change] = {}

    def note(self, path: str, root: str) -> None:
        """Take a path that changed just now."""
        now = time.monotonic()
        first = self._paths[path].first if path in self._paths else now
        self._paths[path] = _Change(root, _state(path), first, now)

    def settled(self) -> list[str]:
        """Return, and forget, the roots whose changes have come to rest."""
        now = time.monotonic()
        for path, change in self._paths.items():
            state = _state(path)
            if state != change.state:
                self._paths[path] = _Change(change.root, state, change.first, now)
        return [root for root in self._roots() if self._take(root, now)]

    def _roots(self) -> list[str]:
        return sorted({change.root for change in self._paths.values()})

    def _take(self, root: str, now: float) -> bool:
        changes = {path: c for path, c in self._paths.items() if c.root == root}
        at_rest = [path for path, c in changes.items() if now - c.last >= self._debounce]
        oldest = min(c.first for c in changes.values())
        patient = now - oldest < _PATIENCE * self._debounce
        if not at_rest or (patient and len(at_rest) < len(changes)):
            return False
        for path in at_rest:
            del self._paths[path]
        return True


@dataclass(frozen=True)
class _Change:
    root: str
    state: _State
    first: float
    last: float


def _state(path: str) -> _State:
    try:
        found = os.stat(path)  # noqa: PTH116 - for each waiting path, four times a second
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
