"""Let Ctrl-C wait until a change to the library is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interrupts:
    """While entered, an interrupt that arrives inside `shielded` is raised at its end.

    Outside `shielded` it is raised at once, as always.  Has no effect in other threads than the
    main one, which interrupts never reach, and where the program ignores them.
    """

    def __init__(self) -> None:
        self._previous: Callable[[int, FrameType | None], object] | None = None
        self._shielded = 0
        self._waiting = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Hold interrupts back until the block is left."""
        self._shielded += 1
        try:
            yield
        finally:
            self._shielded -= 1
            if self._waiting and not self._shielded:
                self._waiting = False
                self._raise(signal.SIGINT, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._shielded:
            self._waiting = True
        else:
            self._raise(number, frame)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._previous is not None:
            self._previous(number, frame)
