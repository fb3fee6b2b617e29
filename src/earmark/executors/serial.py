"""Do the work in this process, one file after the other: for tests, debugging and single clips.

A decoder that crashes takes this process with it; use `ProcessExecutor` for files of others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from earmark.errors import AudioError, EarmarkError, SourceError
from earmark.executors.tasks import FileFailure, Job, Task


class SerialExecutor:
    """Run tasks in this process, without a time limit."""

    def run(
        self, job: Job, tasks: Iterable[Any], *, idle: float | None = None
    ) -> Generator[Any | FileFailure | None, None, None]:
        """Yield each task's result or `FileFailure`, in order; `idle` has no effect."""
        handle = job.open()
        for task in tasks:
            yield attempt(handle, task, lambda _seconds: None)

    def close(self) -> None:
        """Do nothing: there are no workers."""


def attempt(
    handle: Callable[[Any, Callable[[float], None]], Any],
    task: Task,
    claim: Callable[[float], None],
) -> Any | FileFailure:
    """Do one task, and turn whatever goes wrong into a `FileFailure`."""
    path = task.source.path
    try:
        return handle(task, claim)
    except AudioError as error:
        # Bytes that could not be had may be there next time; bytes that are wrong stay wrong.
        return FileFailure(path, error.reason, lasting=not isinstance(error, SourceError))
    except EarmarkError as error:
        return FileFailure(path, error.message, lasting=False)
    except MemoryError:
        return FileFailure(path, "there was not enough memory for it", lasting=False)
    except Exception as error:  # noqa: BLE001 - a plug-in's fault costs its file, not the run
        return FileFailure(path, f"{type(error).__name__}: {error}", lasting=False)
