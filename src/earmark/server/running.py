"""Starting a server: its processes, the folder that they share, and its end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.errors import NotAvailable
from earmark.server.config import ServerConfig

_PREFIX = "earmark-serve-"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def check_installed() -> None:
    """Raise `NotAvailable` if the packages of the extra `server` are not installed."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise NotAvailable(
            "'serve' needs the packages fastapi and uvicorn", hint="pip install 'earmark[server]'"
        ) from None


def one_thread() -> None:
    """Let numerical libraries use one thread: to be called before any of them is imported.

    Questions run beside each other.  A second thread for one of them takes from the others, and
    waits for its next piece of work by spinning: an upload took three times the processor time.
    """
    for name in _THREADS:
        os.environ.setdefault(name, "1")


def run(config: ServerConfig) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    config : ServerConfig

    Raises
    ------
    NotAvailable
        If the packages of the extra `server` are not installed.
    """
    check_installed()
    import uvicorn

    from earmark.server.app import ENVIRONMENT
    from earmark.server.jobs import Jobs

    one_thread()
    _remove_leftovers()
    # uvicorn raises the signal that ended it once more: it must not skip what follows.
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        ready = replace(config, runtime=folder, secret=config.secret or secrets.token_hex(24))
        os.environ[ENVIRONMENT] = ready.to_json()
        if config.workers > 1:
            shared = Path(folder) / "metrics"
            shared.mkdir()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        try:
            uvicorn.run("earmark.server.app:from_environment", **options(ready))
        finally:
            del os.environ[ENVIRONMENT]
            Jobs(Path(folder) / "jobs", ready.library, ready.folders).close()


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def _remove_leftovers() -> None:
    """Remove the folders of servers that were killed outright."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def options(config: ServerConfig) -> dict[str, Any]:
    """Return what uvicorn is told."""
    from earmark.server.protocol import PatientProtocol

    return {
        "factory": True,
        "http": PatientProtocol,
        "ws": "none",
        "limit_concurrency": 1024,
        "host": config.host,
        "port": config.port,
        "workers": config.workers if config.workers > 1 else None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": 5,
    }
