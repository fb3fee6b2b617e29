"""The library as a whole: health, what it can, duplicates, the map; tickets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

import earmark
from earmark.errors import EarmarkError
from earmark.server.access import Access, make_ticket, shown_path
from earmark.server.asking import Where
from earmark.server.context import Caller, Served, Server, WritingCaller
from earmark.server.documents import (
    Duplicates,
    Health,
    Job,
    LibraryDocument,
    MapAsked,
    MapDocument,
    Ticket,
    problems,
)
from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.filters import check_where
from earmark.server.problems import Json, Problem

router = APIRouter(tags=["library"], responses=problems(429, 503))

# What a question needs of the library's kinds of rows: one of these.
_COMPARED = frozenset({"semantic", "similar", "timbre"})
_NEEDS: Mapping[str, frozenset[str]] = {
    "identify": frozenset({"identify"}),
    "hum": frozenset({"hum"}),
    "tag": frozenset({"similar", "semantic"}),
    "recommend": _COMPARED,
    "playlist": _COMPARED,
    "map": _COMPARED,
}


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
    can = {"text": True, "audio": bool(kinds & _COMPARED)}
    for feature in ("identify", "hum", "tag", "recommend", "playlist", "map", "duplicates"):
        needed = _NEEDS.get(feature, kinds)
        can[feature] = served.can(feature) and bool(not needed or needed & kinds)
    return can


def aspects(served: Served) -> list[str]:
    """Return the names of the aspects that a search can weigh, then those of nudges."""
    from earmark.types import AspectEncoder

    names: list[str] = []
    for name, spec in served.library.store.encoders().items():
        if spec.kind == "timbre":
            with suppress(EarmarkError):  # an encoder that is not installed here weighs nothing
                encoder = served.library.encoder(name)
                if isinstance(encoder, AspectEncoder):
                    names += [*encoder.aspects, *encoder.nudges]
    return list(dict.fromkeys(names))


@router.get("/duplicates", response_model=Duplicates, responses=problems(401, 409, 422, 501))
async def duplicates(
    served: Server,
    access: Caller,
    where: Annotated[Where | None, Query()] = None,
    min_overlap: Annotated[float, Query(gt=0, le=1, allow_inf_nan=False)] = 0.5,
) -> Json:
    """Groups of tracks that are the same recording, with the evidence and what to keep."""
    check_where(where, access)

    def work() -> dict[str, Any]:
        method = served.method("duplicates")
        found: dict[str, Any] = served.keep(
            ("duplicates", where, min_overlap),
            lambda: method(where=where, min_overlap=min_overlap).to_json(),
        )
        shown: dict[str, Any] = _without_paths(found, served, access)
        return shown

    return Json(await served.run(work))


@router.get("/map", response_model=MapDocument, responses=problems(401, 404, 501))
async def map_(request: Request, served: Server, access: Caller) -> Response:
    """The library laid out on a plane, if a map was made."""
    served.method("map")
    etag = make_etag("map", served.version())
    if matches(request, etag):
        return not_modified(etag)
    found = await served.run(lambda: served.keep(("map",), lambda: _map(served)))
    if found is None:
        raise Problem(
            404, "this library has no map yet", hint="make one: POST /api/v1/map, or earmark map"
        )
    return Json(found, headers={"etag": etag, "cache-control": "private, no-cache"})


@router.post(
    "/map",
    response_model=Job,
    status_code=202,
    responses=problems(401, 403, 409, 422, 501),
)
async def make_map(asked: MapAsked, served: Server, access: WritingCaller) -> Json:
    """Begin to make the map, or to put later tracks on it: a job like those of indexing."""
    served.method("map")
    task = {"fresh": asked.fresh, "by": asked.by}
    job = await served.run(lambda: served.jobs.begin("map", task))
    return Json(job, status_code=202, headers={"location": f"/api/v1/jobs/{job['id']}"})


def _map(served: Served) -> dict[str, Any] | None:
    """The map that is kept, without tracks that are gone; a request never makes one."""
    import numpy as np

    from earmark.library.maps import charting

    made = charting.load(served.library.store)
    if made is None:
        return None
    all_of_them = served.library.store.track_ids()
    there = np.isin(made.tracks, all_of_them)
    now = replace(
        made, tracks=made.tracks[there], places=made.places[there], groups=made.groups[there]
    )
    missing = len(all_of_them) - len(now)
    outgrown = len(all_of_them) > charting.OUTGROWN * max(made.laid_out, 1)
    return now.to_json() | {"missing": missing, "outgrown": outgrown}


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
