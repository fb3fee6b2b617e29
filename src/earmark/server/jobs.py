"""Jobs that change the library: one process each, one at a time.

All processes of the server know them, by files.

A job outlives the server process that started it, not the server: the folder of their files goes
when the server ends, and with it they are ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from earmark.server import job_process
from earmark.server.problems import Problem

ENDED = frozenset({"done", "failed", "cancelled"})

_MOST_KEPT = 100
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Jobs:
    """The jobs of one server.

    Parameters
    ----------
    folder : Path
        Where their files are; shared by the processes of the server.
    library : str
        Folder or URL of the library.
    roots : mapping of str to str
        Folders that may be indexed, by name.
    """

    folder: Path
    library: str
    roots: Mapping[str, str]

    def start(self, root: str, *, workers: int = 1) -> dict[str, Any]:
        """Begin to index a folder.  Raises `Problem` 422 for one that is none of the roots, and as
        `begin`."""
        if root not in self.roots:
            names = ", ".join(sorted(self.roots)) or "none: start with --root FOLDER"
            raise Problem(422, f"root must be one of the folders served ({names}), got {root!r}")
        task = {"folder": self.roots[root], "workers": workers}
        return self.begin("index", task, root=root)

    def begin(self, kind: str, task: dict[str, Any], *, root: str = "") -> dict[str, Any]:
        """Begin a job of a kind that `job_process` knows.

        Raises
        ------
        Problem
            409 while another job runs.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._forget_old()
        lock = self.folder / "lock"
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            if self._busy(lock):
                raise Problem(409, "another job is running", hint="wait for it") from None
        job: dict[str, Any] = {
            "id": uuid4().hex[:12],
            "kind": kind,
            "root": root,
            "state": "queued",
            "progress": None,
            "report": None,
            "error": None,
            "began": time.time(),
            "ended": None,
        }
        path = self._path(job["id"])
        job_process.write(path, job | {"task": task | {"library": self.library}})
        lock.write_text(job["id"], encoding="ascii")
        subprocess.Popen(
            [sys.executable, "-m", "earmark.server.job_process", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        return job

    def _busy(self, lock: Path) -> bool:
        """Whether the job that holds the lock still runs."""
        with suppress(OSError, Problem):
            name = lock.read_text(encoding="ascii").strip()
            if not name:
                return time.time() - lock.stat().st_mtime < _START_SECONDS
            return self.get(name)["state"] not in ENDED
        return False

    def get(self, number: str) -> dict[str, Any]:
        """Return a job as it is now.  Raises `Problem` 404."""
        try:
            job: dict[str, Any] = json.loads(self._path(number).read_text(encoding="ascii"))
        except (OSError, ValueError):
            raise Problem(404, f"there is no job {number!r}") from None
        pid = job.pop("pid", None)
        job.pop("task", None)
        if job["state"] not in ENDED and self._is_dead(job, pid):
            with suppress(OSError):  # it may have ended between the two looks
                again: dict[str, Any] = json.loads(self._path(number).read_text(encoding="ascii"))
                if again["state"] in ENDED:
                    again.pop("pid", None)
                    return again
            job |= {"state": "failed", "error": "its process ended before its work"}
        return job

    def _is_dead(self, job: dict[str, Any], pid: int | None) -> bool:
        if pid is None:
            return time.time() - float(job["began"]) > _START_SECONDS
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # a child of ours that ended must not look alive
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return True
        return False

    def list(self) -> list[dict[str, Any]]:
        """Return all jobs, the latest first."""
        found = []
        for path in self.folder.glob("*.json"):
            with suppress(Problem):
                found.append(self.get(path.stem))
        return sorted(found, key=lambda job: -float(job["began"]))

    def cancel(self, number: str) -> dict[str, Any]:
        """Ask a job to end; what it has done stays."""
        job = self.get(number)
        if job["state"] in ENDED:
            return job
        with suppress(OSError, ValueError):
            pid = json.loads(self._path(number).read_text(encoding="ascii")).get("pid")
            if pid:
                os.kill(pid, signal.SIGTERM)
        return job | {"state": "cancelling"}

    def close(self) -> None:
        """End all jobs."""
        for job in self.list():
            with suppress(Problem):
                self.cancel(job["id"])

    def _path(self, number: str) -> Path:
        if not (len(number) == 12 and all(c in "0123456789abcdef" for c in number)):
            raise Problem(404, f"there is no job {number!r}")
        return self.folder / f"{number}.json"

    def _forget_old(self) -> None:
        for job in self.list()[_MOST_KEPT:]:
            if job["state"] in ENDED:
                self._path(job["id"]).unlink(missing_ok=True)
