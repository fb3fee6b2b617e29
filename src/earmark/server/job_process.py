"""One job (`index` or `map`), as a process of its own: it cannot slow questions, nor end them.

Started by `jobs` with the path of the job's file, which it keeps up to date: the file is replaced
as a whole, so that readers never see half of one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_EVERY_SECONDS = 0.25
_NICE = 15
"""Questions get the processor first, and the disk: its priority follows from this one."""


def write(path: Path, document: dict[str, Any]) -> None:
    """Replace a job's file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(document), encoding="ascii")
    draft.replace(path)


def main(path: Path) -> None:
    """Do the job that a file describes."""
    job: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    task = job.pop("task")

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt  # ingest commits what is done, ends its workers, and lets it pass

    signal.signal(signal.SIGTERM, stop)
    os.nice(_NICE)
    job |= {"state": "running", "pid": os.getpid()}
    write(path, job)
    try:
        job["report"] = (_map if job["kind"] == "map" else _index)(path, job, task)
        job["state"] = "done"
    except KeyboardInterrupt:
        job["state"] = "cancelled"
    except Exception as error:  # noqa: BLE001 - whatever it is, the client must learn of it
        job |= {"state": "failed", "error": str(error) or type(error).__name__}
    job |= {"ended": time.time()}
    write(path, job)


def _index(path: Path, job: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    from earmark.library import open as open_library
    from earmark.types import Progress

    last = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < _EVERY_SECONDS:
            return
        last = time.monotonic()
        job["progress"] = {
            "stage": progress.stage,
            "files": progress.files,
            "files_total": progress.files_total,
            "seconds": round(progress.seconds, 1),
            "seconds_total": round(progress.seconds_total, 1),
            "current": progress.current.rstrip("/").rpartition("/")[2],
        }
        write(path, job)

    with open_library(task["library"]) as lib:
        report = lib.add(task["folder"], workers=task["workers"], on_progress=on_progress)
    document = report.to_json()
    failed = [_plain(one, task["folder"]) for one in document.get("failed", [])]
    return {**document, "failed": failed}


def _map(path: Path, job: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    """Lay the library out; the layout itself does not say how far it is."""
    from earmark.library import open as open_library

    began = time.monotonic()
    with open_library(task["library"], create=False) as lib:
        job["progress"] = {"stage": "map", "files": 0, "files_total": len(lib)}
        job["progress"] |= {"seconds": 0.0, "seconds_total": 0.0, "current": ""}
        write(path, job)
        made = lib.map(fresh=task["fresh"], by=task["by"])
    return {
        "tracks": len(made),
        "added": made.added,
        "clusters": len(made.clusters),
        "outgrown": made.outgrown,
        "seconds": round(time.monotonic() - began, 2),
    }


def _plain(failure: dict[str, Any], folder: str) -> dict[str, Any]:
    """A failure with its path from the job's folder on."""
    prefix = folder.rstrip("/") + "/"
    return failure | {"path": str(failure["path"]).removeprefix(prefix)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
