"""Who does the work on many files: this process, worker processes, later other machines.

An executor gets a *job* (what to do to every file) and *tasks* (the files), and yields results
as they finish; see `earmark.executors.tasks` for the contract.
"""

from __future__ import annotations

from earmark.errors import NotAvailable, UsageError, nearest
from earmark.executors.pool import ProcessExecutor, cores
from earmark.executors.serial import SerialExecutor
from earmark.executors.tasks import (
    EncodedTrack,
    EncodeJob,
    EncoderRef,
    EncodeTask,
    Executor,
    FileFailure,
    Job,
    SampleJob,
    SampleTask,
    TrainingRows,
)

__all__ = [
    "NAMES",
    "EncodeJob",
    "EncodeTask",
    "EncodedTrack",
    "EncoderRef",
    "Executor",
    "FileFailure",
    "Job",
    "ProcessExecutor",
    "SampleJob",
    "SampleTask",
    "SerialExecutor",
    "TrainingRows",
    "cores",
    "create",
]

NAMES = ("processes", "serial", "ray")


def create(
    name: str = "processes", *, workers: int = 0, time_limit: float = 120.0
) -> ProcessExecutor | SerialExecutor:
    """Build an executor by name.

    Parameters
    ----------
    name : {'processes', 'serial', 'ray'}
    workers : int
        Number of processes; 0 for one per core.
    time_limit : float
        Seconds that one file may take (a fifth of its length if that is more).

    Raises
    ------
    NotAvailable
        For 'ray', which a later version brings.
    UsageError
        For an unknown name, or numbers outside their rule.

    Examples
    --------
    >>> create("processes", workers=3).workers
    3
    """
    if name == "processes":
        return ProcessExecutor(workers=workers, time_limit=time_limit)
    if name == "serial":
        return SerialExecutor()
    if name == "ray":
        raise NotAvailable(
            "the ray executor is not in this version",
            hint="use --executor processes, which works on all cores of this machine",
        )
    raise UsageError(
        f"an executor must be one of {', '.join(NAMES)}, got {name!r}", hint=nearest(name, NAMES)
    )
