"""The life of one worker process: receive a job, do tasks one by one, send back the results.

The process is its own time limit: before each file it sets an alarm whose default action ends
the process, wherever in foreign code it hangs, and even if its parent is gone.  It ends when its
parent closes the connection or dies.

Messages to a worker: ``("job", job)``, ``("task", number, task, limit)``.  Messages from it:
``("ready",)`` after a job was opened or ``("broken", error)``; ``("result", number, result)``;
``("limit", number, seconds)`` when a long file is granted more time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from earmark.errors import EarmarkError

LIMIT_PER_SECOND = 0.2
"""Seconds that a file may take per second of its claimed length, if that is above the floor."""

_LEAST_BYTES_PER_SECOND = 100
"""No codec needs less: bounds the length that a lying header can claim."""


def main(descriptor: int) -> None:
    """Serve the parent behind a connected socket until it closes it."""
    # The parent alone answers Ctrl-C: it commits what is done and then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _offer_to_oom_killer()
    with Connection(descriptor) as connection:
        try:
            _serve(connection)
        except (EOFError, ConnectionError):
            return


def _serve(connection: Connection) -> None:
    from earmark.executors.serial import attempt

    handle: Callable[[Any, Callable[[float], None]], Any] | None = None
    while True:
        message = connection.recv()
        if message[0] == "job":
            handle = _open_job(connection, message[1])
            continue
        _, number, task, limit = message
        if handle is None:
            continue
        claim = _Clock(connection, number, task, limit)
        try:
            result = attempt(handle, task, claim)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(("result", number, result))


def _open_job(connection: Connection, job: Any) -> Callable[[Any, Any], Any] | None:
    try:
        handle: Callable[[Any, Any], Any] = job.open()
    except EarmarkError as error:
        connection.send(("broken", error))
        return None
    except Exception as error:  # noqa: BLE001 - must reach the parent, whatever it is
        reason = f"a worker could not begin: {type(error).__name__}: {error}"
        connection.send(("broken", EarmarkError(reason)))
        return None
    connection.send(("ready",))
    # From here on what foreign code prints helps nobody and would tear the progress bar.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    return handle


class _Clock:
    """The alarm of one task: starts at `limit` seconds, moves when the length is known."""

    def __init__(self, connection: Connection, number: int, task: Any, limit: float) -> None:
        self._connection = connection
        self._number = number
        self._size = task.source.size
        self._limit = limit
        self._began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, limit)

    def __call__(self, claimed: float) -> None:
        """Take the claimed length of the file in seconds."""
        if self._size:
            claimed = min(claimed, self._size / _LEAST_BYTES_PER_SECOND)
        limit = LIMIT_PER_SECOND * claimed
        if limit > self._limit:
            spent = time.monotonic() - self._began
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, limit - spent))
            self._connection.send(("limit", self._number, limit))


def _offer_to_oom_killer() -> None:
    """When memory runs out, lose a worker, which the pool survives, not the run."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        return
