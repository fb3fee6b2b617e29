"""One worker process as its parent sees it: start, feed, time, end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection

from earmark.executors.tasks import Job, Task

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from earmark.executors.worker import main; main(int(sys.argv[2]))"
)

# One thread per worker: as many workers as cores run beside each other.  Must be in the
# environment before the worker imports numpy.
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_LEAST_AHEAD = 2
_MOST_AHEAD = 16
_BYTES_AHEAD = 1_000_000
"""A worker holds at least 2 tasks, and up to 16 as long as their files are this small together:
short files take a few milliseconds, a commit of the parent takes tens."""

_START_LIMIT = 120.0
_REAP_SECONDS = 5.0


class Worker:
    """A worker process with its connection and the tasks in its pipe, the running one first."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        # A file, not a pipe: nobody reads it while the worker lives.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={**os.environ, **dict.fromkeys(_THREAD_SETTINGS, "1")},
            )
        self.connection = Connection(ours.detach())
        self.pending: deque[tuple[int, Task, float]] = deque()
        self.ready = False
        self.timed_out = False
        self.last_words = ""
        self.limit = _START_LIMIT
        self._began = time.monotonic()
        self._job: Job | None = None
        self._bytes = 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def has_room(self) -> bool:
        """Whether another task should go into the pipe."""
        ahead = len(self.pending)
        return ahead < _LEAST_AHEAD or (ahead < _MOST_AHEAD and self._bytes < _BYTES_AHEAD)

    def send(self, job: Job, number: int, task: Task, limit: float) -> None:
        """Put a task, and the job if it is a new one, into the pipe."""
        self.pending.append((number, task, limit))
        self._bytes += task.source.size
        # A worker that is already dead shows at the next receive, which gives its tasks back.
        with suppress(ConnectionError):
            if job is not self._job:
                self._job = job
                self.ready = False
                self.limit = _START_LIMIT
                self._began = time.monotonic()
                self.connection.send(("job", job))
            elif len(self.pending) == 1:
                self.begin()
            self.connection.send(("task", number, task, limit))

    def begin(self) -> None:
        """The first of the pending tasks begins now."""
        self.ready = True
        self._began = time.monotonic()
        if self.pending:
            self.limit = self.pending[0][2]

    def grant(self, limit: float) -> None:
        """The running task got a longer limit, in seconds."""
        self.limit = limit

    def done(self, number: int) -> None:
        """The running task is finished; the next begins."""
        finished, task, _ = self.pending.popleft()
        if finished != number:
            raise RuntimeError(f"worker {self.pid} answered task {number}, not {finished}")
        self._bytes -= task.source.size
        self.begin()

    def deadline(self, grace: float) -> float:
        """When, on the monotonic clock, the worker counts as hung."""
        return self._began + self.limit + grace

    def tasks(self) -> list[Task]:
        """The pending tasks."""
        return [task for _, task, _ in self.pending]

    def kill_for_time(self) -> None:
        """Kill a worker that neither finished nor ended itself."""
        self.timed_out = True
        self._process.kill()

    def end(self) -> None:
        """Kill the process and free everything: a worker holds nothing that needs an orderly
        end."""
        self.connection.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def reap(self) -> int:
        """Free everything of a process that closed its connection, and return its exit status.

        It is ending by itself and gets a moment to do so, with its own status.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)
        status = self._process.poll()
        if not self.ready:
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            self.last_words = lines[-1] if lines else ""
        self.end()
        return self._process.returncode if status is None else status
