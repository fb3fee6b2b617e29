"""A pool of media workers that many threads may ask.

Each question has a worker to itself; a worker that crashes or runs out of time costs its own
question, and another one takes its place.
"""

from __future__ import annotations

import itertools
import queue
import signal
import threading
import time
from typing import Any

from earmark.errors import DecodeError, EarmarkError, WorkerLost
from earmark.executors.process import Worker
from earmark.executors.tasks import FileFailure
from earmark.server.media.tasks import MediaJob, MediaTask
from earmark.server.problems import Problem

_GRACE = 2.0
_START_SECONDS = 60.0


class MediaPool:
    """Worker processes for decoding, started when they are first needed.

    Parameters
    ----------
    workers : int
    wait_seconds : float
        How long a question waits for a free worker before the client is told to come back.
    """

    def __init__(self, workers: int, *, wait_seconds: float = 15.0) -> None:
        self._job = MediaJob()
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._wait = wait_seconds
        self._numbers = itertools.count()
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.lost = 0

    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        with self._lock:
            return [worker.pid for worker in self._all if worker.alive()]

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._closed = True
            workers, self._all = list(self._all), set()
        for worker in workers:
            worker.end()

    def warm(self) -> None:
        """Start one worker, so that the first upload does not wait for it."""
        worker = self._slots.get()
        self._slots.put(self._alive(worker))

    def run(self, task: MediaTask, seconds: float) -> Any:
        """Do a task in a worker.

        Parameters
        ----------
        task : MediaTask
        seconds : float
            After which the worker is ended.

        Raises
        ------
        DecodeError
            With the reason, if the task failed.
        WorkerLost
            If its worker crashed or ran out of time.
        Problem
            503 if no worker came free in time.
        """
        try:
            slot = self._slots.get(timeout=self._wait)
        except queue.Empty:
            raise Problem(
                503, "all decoders are busy", hint="try again", headers={"retry-after": "2"}
            ) from None
        worker: Worker | None = slot
        try:
            worker = self._alive(slot)
            return self._ask(worker, task, seconds)
        except BaseException as error:
            if worker is not None and (worker.pending or isinstance(error, WorkerLost)):
                self._drop(worker)
                worker = None
            raise
        finally:
            self._slots.put(worker)

    def _alive(self, worker: Worker | None) -> Worker:
        if worker is not None and worker.alive():
            return worker
        if worker is not None:
            self._drop(worker)
        with self._lock:
            if self._closed:
                raise Problem(503, "the server is closing")
            fresh = Worker()
            self._all.add(fresh)
        return fresh

    def _drop(self, worker: Worker) -> None:
        self.lost += 1
        with self._lock:
            self._all.discard(worker)
        worker.end()

    def _ask(self, worker: Worker, task: MediaTask, seconds: float) -> Any:
        number = next(self._numbers)
        name = task.source.path
        worker.send(self._job, number, task, seconds)
        deadline = time.monotonic() + seconds + _GRACE + (0 if worker.ready else _START_SECONDS)
        while True:
            try:
                if not worker.connection.poll(max(0.0, deadline - time.monotonic())):
                    raise WorkerLost(name, f"decoding took longer than {seconds:g} s")
                message = worker.connection.recv()
            except (EOFError, OSError):
                raise _lost(worker, name, seconds) from None
            if message[0] == "ready":
                worker.begin()
                deadline = time.monotonic() + seconds + _GRACE
            elif message[0] == "broken":
                error: EarmarkError = message[1]
                raise error
            elif message[0] == "result":
                worker.done(number)
                result = message[2]
                if isinstance(result, FileFailure):
                    raise DecodeError(name, result.error)
                return result


def _lost(worker: Worker, name: str, seconds: float) -> WorkerLost:
    status = worker.reap()
    if status == -signal.SIGALRM:
        return WorkerLost(name, f"decoding took longer than {seconds:g} s")
    return WorkerLost(name, "the decoder crashed on it")
