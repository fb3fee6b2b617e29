"""The page and its files: built assets from the package, with tags, compressed where they are.

A file may have compressed twins beside it (``app.js.br``, ``app.js.gz``), which are sent to
browsers that take them.
"""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.problems import Problem

FOLDER = Path(__file__).parent / "page"

_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
}
_PLAIN = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>earmark</title></head>
<body><main><h1>earmark</h1><p>The server runs; this build has no page.</p>
<p><a href="/docs">What it can be asked</a></p></main></body></html>
"""


@lru_cache(maxsize=256)
def _load(path: str) -> tuple[bytes, str]:
    data = Path(path).read_bytes()
    return data, make_etag("page", path.rpartition("/")[2], len(data), data.hex())


def _accepted(request: Request) -> set[str]:
    parts = request.headers.get("accept-encoding", "").split(",")
    return {part.partition(";")[0].strip() for part in parts if "q=0" not in part.replace(" ", "")}


def serve_file(request: Request, path: Path, *, cache: str) -> Response:
    """Return a file of the package, compressed if there is such a twin and the browser takes it."""
    headers = {"vary": "accept-encoding", "cache-control": cache}
    chosen = path
    for name, suffix in _ENCODINGS:
        twin = path.with_name(path.name + suffix)
        if name in _accepted(request) and twin.is_file():
            chosen, headers["content-encoding"] = twin, name
            break
    data, etag = _load(str(chosen))
    if matches(request, etag):
        return not_modified(etag)
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return Response(data, media_type=kind, headers=headers | {"etag": etag})


def install(app: FastAPI) -> None:
    """Add the page to an application."""

    async def index(request: Request) -> Response:
        path = FOLDER / "index.html"
        if not path.is_file():
            return Response(_PLAIN, media_type="text/html")
        return serve_file(request, path, cache="no-cache")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = (FOLDER / "assets" / name).resolve()
        inside = path.is_relative_to((FOLDER / "assets").resolve())
        if not inside or path.suffix in (".br", ".gz") or not path.is_file():
            raise Problem(404, "there is no such file")
        return serve_file(request, path, cache="public, max-age=31536000, immutable")

    async def icon(request: Request) -> Response:
        for name in ("favicon.svg", "favicon.ico"):
            if (FOLDER / name).is_file():
                return serve_file(request, FOLDER / name, cache="public, max-age=86400")
        return Response(status_code=204)

    app.add_route("/", index, methods=["GET"], include_in_schema=False)
    app.add_route("/assets/{name:path}", asset, methods=["GET"], include_in_schema=False)
    app.add_route("/favicon.ico", icon, methods=["GET"], include_in_schema=False)
