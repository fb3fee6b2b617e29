"""The application: guard, intake, routes, and how errors become problems."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

import earmark
from earmark.errors import EarmarkError
from earmark.server import docs, metrics, page
from earmark.server.config import ServerConfig
from earmark.server.context import Served, get_access
from earmark.server.documents import PROBLEM_ANSWER, ProblemDocument
from earmark.server.guard import Guard
from earmark.server.intake import Intake
from earmark.server.problems import Problem, clean, of_error
from earmark.server.routes import hearing, jobs, library, search, sound, tracks
from earmark.server.subsonic import dispatch

if TYPE_CHECKING:
    from earmark.library import Library

PREFIX = "/api/v1"
ENVIRONMENT = "_EARMARK_SERVE"
"""How `running` hands the configuration to the processes of a server."""

_ROUTERS = (
    *(library.router, search.router, hearing.router),
    *(tracks.router, sound.router, jobs.router),
)

_PARENT_SECONDS = 1.0

_ARENA_MAX, _ARENAS = -8, 2
"""`M_ARENA_MAX` of glibc's malloc.h."""

_SWITCH_SECONDS = 0.0005
"""After so long a thread that computes lets another one go on.  The thread that holds connections
needs a moment several times in each request: by Python's 5 ms it waits longer than it works (50
clients at once: half as many questions a second again)."""

_log = logging.getLogger("earmark.server")


def create_app(lib: Library, config: ServerConfig | None = None) -> FastAPI:
    """Return the application that serves a library.

    Parameters
    ----------
    lib : Library
        Stays open as long as the application.
    config : ServerConfig, optional

    Examples
    --------
    >>> import tempfile
    >>> lib = earmark.open(tempfile.mkdtemp() + "/library")
    >>> create_app(lib).title
    'earmark'
    """
    config = config or ServerConfig()
    if not config.secret:
        config = replace(config, secret=os.urandom(24).hex())
    served = Served(lib, config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            served.close()

    app = FastAPI(
        title="earmark",
        summary="A search engine for sound.",
        version=earmark.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.served = served
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX)
    page.install(app)
    dispatch.install(app)
    docs.install(app)
    numbers = metrics.Metrics()
    metrics.install(app, numbers)
    _describe(app)
    _handle_errors(app)
    app.add_middleware(Intake, config=config)
    app.add_middleware(Guard, config=config)
    app.add_middleware(metrics.Meter, metrics=numbers)
    return app


def from_environment() -> FastAPI:
    """Return the application of a server process that `running` started."""
    from earmark.library import open as open_library

    config = ServerConfig.from_json(os.environ[ENVIRONMENT])
    sys.setswitchinterval(_SWITCH_SECONDS)
    _few_arenas()
    if config.workers > 1:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    app = create_app(open_library(config.library or None, create=False), config)
    threading.Thread(target=app.state.served.warm, daemon=True).start()
    return app


def _few_arenas() -> None:
    """Let threads share memory that was freed: each having its own keeps what it once needed."""
    with suppress(OSError, AttributeError):  # another C library than glibc has no such thing
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


def _end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone: it would serve on for ever."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _describe(app: FastAPI) -> None:
    """Let the description name the problem document wherever an error is described."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = ProblemDocument.model_json_schema()
            for item in document["paths"].values():
                for operation in item.values():
                    operation["responses"].setdefault("default", {}).update(PROBLEM_ANSWER)
                    operation["responses"]["422"] = PROBLEM_ANSWER
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(EarmarkError)
    async def on_error(request: Request, error: EarmarkError) -> Response:
        return of_error(error, paths=get_access(request).paths).response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        return _invalid(error).response()

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return Problem(error.status_code, str(error.detail), headers=headers).response()

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return Problem(500, "the server made a mistake; its log says more").response()


def _invalid(error: RequestValidationError) -> Problem:
    """Name each value that is wrong."""
    faults = []
    for one in error.errors()[:20]:
        where = ".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0])
        faults.append({"name": where, "reason": one["msg"]})
    named = "; ".join(f"{fault['name']}: {fault['reason']}" for fault in faults)
    return Problem(
        422, clean(f"the request has values outside their rules: {named}"), extra={"errors": faults}
    )
