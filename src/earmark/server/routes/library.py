"""The library as a whole: health, what it can, duplicates, the map; tickets."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

import earmark
from earmark.server.access import Access, make_ticket, shown_path
from earmark.server.context import Caller, Served, Server
from earmark.server.documents import (
    Duplicates,
    Health,
    LibraryDocument,
    MapDocument,
    Ticket,
    problems,
)
from earmark.server.problems import Json

router = APIRouter(tags=["library"], responses=problems(429, 503))

_NEEDS = {"identify": {"identify"}, "hum": {"hum"}}


@router.get("/health", response_model=Health)
async def health() -> Json:
    """That the server runs."""
    return Json({"status": "ok", "version": earmark.__version__})


@router.get("/library", response_model=LibraryDocument, responses=problems(401))
async def library(served: Server, access: Caller) -> Json:
    """What is in the library and what it can answer."""
    return Json(
        await served.run(
            lambda: served.keep(("library", access), lambda: _describe(served, access))
        )
    )


def _describe(served: Served, access: Access) -> dict[str, Any]:
    info = served.library.info()
    encoders = [{k: v for k, v in e.items() if k != "options"} for e in info["encoders"]]
    return {
        "name": str(info["library"]).rstrip("/").rpartition("/")[2],
        "tracks": info["tracks"],
        "seconds": info["seconds"],
        "failures": info["failures"],
        "encoders": encoders,
        "can": abilities(served, {e["kind"] for e in encoders}),
        "aspects": aspects(served),
        "fields": info["fields"],
        "roots": sorted(served.config.folders),
        "read_only": not access.write,
        "advice": info["advice"] if access.paths else [],
    }


def abilities(served: Served, kinds: set[str]) -> dict[str, bool]:
    """Return what this library, as it is, can answer."""
    can = {"text": True, "audio": bool(kinds - {"identify", "hum"})}
    for feature in ("identify", "hum", "tag", "recommend", "playlist", "map", "duplicates"):
        can[feature] = served.can(feature) and _NEEDS.get(feature, set()) <= kinds
    return can


def aspects(served: Served) -> list[str]:
    """Return the names of the aspects that a search can weigh."""
    names = getattr(served.library, "aspects", None)
    if names is None or "aspect" not in inspect.signature(served.library.search).parameters:
        return []
    return list(names() if callable(names) else names)


@router.get("/duplicates", response_model=Duplicates, responses=problems(401, 409, 501))
async def duplicates(served: Server, access: Caller) -> Json:
    """Groups of tracks that are the same recording."""

    def work() -> dict[str, Any]:
        method = served.method("duplicates")
        found: dict[str, Any] = served.keep(("duplicates",), lambda: _document(method()))
        shown: dict[str, Any] = _without_paths(found, served, access)
        return shown

    return Json(await served.run(work))


@router.get("/map", response_model=MapDocument, responses=problems(401, 404, 501))
async def map_(served: Server, access: Caller) -> Response:
    """The library laid out on a plane, if a map was made."""
    method = served.method("map")
    found = await served.run(lambda: served.keep(("map",), lambda: _document(method())))
    return Json(_without_paths(found, served, access))


def _document(value: Any) -> dict[str, Any]:
    """What a feature returned, as JSON."""
    document = value.to_json() if hasattr(value, "to_json") else value
    return dict(document)


def _without_paths(document: Any, served: Served, access: Access) -> Any:
    """The document with every path as the client may see it."""
    if access.paths:
        return document
    if isinstance(document, dict):
        return {
            name: shown_path(value, served.config, access)
            if name == "path" and isinstance(value, str)
            else _without_paths(value, served, access)
            for name, value in document.items()
        }
    if isinstance(document, list):
        return [_without_paths(value, served, access) for value in document]
    return document


@router.post("/tickets", response_model=Ticket, responses=problems(401))
async def tickets(served: Server, access: Caller) -> Json:
    """A key of a few minutes for sounds and pictures: ``?ticket=...``."""
    ticket, ends = make_ticket(served.config.secret)
    return Json({"ticket": ticket, "expires": ends}, headers={"cache-control": "no-store"})
