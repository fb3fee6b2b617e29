"""A server in a thread of the test's own process, on a free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import earmark
from earmark.config import Settings


@contextmanager
def running(app: Any, config: Any = None) -> Iterator[str]:
    """Serve an application; give its address."""
    import uvicorn

    from earmark.server import running as starting
    from earmark.server.config import ServerConfig

    given = starting.options(config or ServerConfig()) | {"workers": None, "factory": False}
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **given))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def serving(library: Path, *, settings: Settings | None = None, **options: Any) -> Iterator[str]:
    """Serve the library in a folder; give its address."""
    from earmark.server.app import create_app
    from earmark.server.config import ServerConfig

    config = ServerConfig(library=str(library), **options)
    with (
        earmark.open(library, create=False, settings=settings or Settings()) as lib,
        running(create_app(lib, config), config) as url,
    ):
        yield url
