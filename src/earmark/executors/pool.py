"""Worker processes that survive what files do to them.

Each worker is a fresh interpreter (never a fork of a process with threads, and without importing
the caller's ``__main__``) that runs one thread.  It holds a few tasks in its pipe, so that it
never waits while the parent commits; the first of them is the one that runs.  When a worker dies,
that task is the one reported, the others go to a new worker.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable
from multiprocessing.connection import wait
from typing import Any

from earmark.errors import EarmarkError, UsageError
from earmark.executors.process import Worker
from earmark.executors.tasks import FileFailure, Job, Task

_GRACE = 30.0
"""Seconds past its limit after which a worker that its own alarm did not end is killed."""

_START_ATTEMPTS = 3

_MOST_RETRIES = 2
"""Further tries of a file whose worker was killed from outside."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessExecutor:
    """Run tasks in worker processes, which start when there is work for them.

    Parameters
    ----------
    workers : int
        Number of processes; 0 for one per core.
    time_limit : float
        Seconds that a file may take from the moment a worker begins it; long files get a fifth
        of their claimed length if that is more.

    Raises
    ------
    UsageError
        For a number of workers below 0 or a time limit that is not positive.

    Examples
    --------
    >>> with ProcessExecutor(workers=2) as executor:
    ...     executor.workers
    2
    """

    def __init__(self, *, workers: int = 0, time_limit: float = 120.0) -> None:
        if workers < 0:
            raise UsageError(f"workers must be 0 (one per core) or more, got {workers}")
        if not time_limit > 0:
            raise UsageError(f"time_limit must be more than 0 seconds, got {time_limit}")
        self.workers = workers or cores()
        self.time_limit = time_limit
        self._running: list[Worker] = []
        self._numbers = itertools.count()
        self._failed_starts = 0

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers at once."""
        while self._running:
            self._running.pop().end()

    def run(
        self, job: Job, tasks: Iterable[Any], *, idle: float | None = None
    ) -> Generator[Any | FileFailure | None, None, None]:
        """Yield the result of each task, or its `FileFailure`, in the order they finish.

        Parameters
        ----------
        job : Job
            Sent to each worker that gets a task.
        tasks : iterable of Task
            Consumed as workers become free.
        idle : float, optional
            Yield None whenever this many seconds pass without a result.

        Raises
        ------
        EarmarkError
            If workers cannot start, or the job cannot be opened.
        """
        queue = _Queue(tasks)
        self._failed_starts = 0
        finished = False
        try:
            while self._feed(job, queue):
                results = self._collect(queue, idle)
                yield from results
                if not results and idle is not None:
                    yield None
            finished = True
        finally:
            if not finished:  # given up half way: what still lies in the pipes is not wanted
                self.close()

    def _feed(self, job: Job, queue: _Queue) -> bool:
        """Give tasks to workers with room, idle ones first; return whether any are at work."""
        for worker in [w for w in self._running if not (w.pending or w.alive())]:
            self._running.remove(worker)
            worker.end()
        while True:
            free = [w for w in self._running if w.has_room()]
            emptiest = min(free, key=lambda w: len(w.pending), default=None)
            if len(self._running) < self.workers and (emptiest is None or emptiest.pending):
                if not queue:
                    break
                emptiest = Worker()
                self._running.append(emptiest)
            if emptiest is None or not queue:
                break
            emptiest.send(job, next(self._numbers), queue.take(), self.time_limit)
        return any(w.pending for w in self._running)

    def _collect(self, queue: _Queue, idle: float | None) -> list[Any]:
        """Wait for messages and return the results among them."""
        busy = {w.connection: w for w in self._running if w.pending}
        now = time.monotonic()
        patience = min(max(0.0, w.deadline(_GRACE) - now) for w in busy.values())
        ready = wait(list(busy), min(patience, idle) if idle is not None else patience)
        results: list[Any] = []
        for connection in ready:
            results.extend(self._receive(busy[connection], queue))  # type: ignore[index]
        now = time.monotonic()
        for worker in busy.values():
            if not ready and worker.pending and worker.deadline(_GRACE) <= now:
                worker.kill_for_time()
        return results

    def _receive(self, worker: Worker, queue: _Queue) -> list[Any]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker, queue)
        if message[0] == "result":
            worker.done(message[1])
            return [message[2]]
        if message[0] == "limit":
            worker.grant(message[2])
        elif message[0] == "ready":
            self._failed_starts = 0
            worker.begin()
        else:
            raise message[1]
        return []

    def _bury(self, worker: Worker, queue: _Queue) -> list[Any]:
        """Take a dead worker's tasks back; the one that was running has failed."""
        self._running.remove(worker)
        status = worker.reap()
        tasks = worker.tasks()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _START_ATTEMPTS:
                raise EarmarkError(
                    f"worker processes must be able to start; {_START_ATTEMPTS} ended before "
                    f"they did ({_describe(status)}) {worker.last_words}".rstrip()
                )
            queue.give_back(tasks)
            return []
        running, *waiting = tasks
        queue.give_back(waiting)
        if status == -signal.SIGKILL and not worker.timed_out and queue.may_retry(running):
            # Nothing that a file does sends SIGKILL: likely memory ran out, with others at work.
            queue.give_back([running])
            return []
        if worker.timed_out or status == -signal.SIGALRM:
            reason = f"took longer than its time limit of {worker.limit:g} s"
        else:
            reason = f"the process that decoded it ended: {_describe(status)}"
        return [FileFailure(running.source.path, reason)]


class _Queue:
    """The tasks that no worker has: those given back first, then the caller's."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._rest = iter(tasks)
        self._ahead: deque[Task] = deque()
        self._retries: Counter[str] = Counter()

    def __bool__(self) -> bool:
        if not self._ahead:
            self._ahead.extend(itertools.islice(self._rest, 1))
        return bool(self._ahead)

    def take(self) -> Task:
        """Return the next task."""
        return self._ahead.popleft()

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Put tasks in front, in their order."""
        self._ahead.extendleft(reversed(list(tasks)))

    def may_retry(self, task: Task) -> bool:
        """Whether the task has tries left, of which this takes one."""
        self._retries[task.source.path] += 1
        return self._retries[task.source.path] <= _MOST_RETRIES


def _describe(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
