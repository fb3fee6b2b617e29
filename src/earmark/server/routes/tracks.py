"""Tracks: pages of them, one, its tags, its removal; facets; exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from earmark.library import exporting
from earmark.library.exporting import track_json
from earmark.server import catalogue
from earmark.server.access import Access
from earmark.server.asking import LARGEST_ID, Where
from earmark.server.context import Caller, Served, Server, WritingCaller, hit_json
from earmark.server.documents import (
    ExportAsked,
    Facets,
    Removed,
    TrackDocument,
    Tracks,
    problems,
)
from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.filters import check_where
from earmark.server.problems import Json, Problem
from earmark.types import Track

router = APIRouter(tags=["tracks"], responses=problems(401, 404, 422, 429, 503))

Id = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A track's id.")]

Sort = Literal["id", "title", "artist", "album", "path", "duration"]
BackwardSort = Literal["-id", "-title", "-artist", "-album", "-path", "-duration"]

_EXPORT_TYPES = {"m3u": "audio/x-mpegurl", "csv": "text/csv", "json": "application/json"}
_MOST_TAGS = 100
_LONGEST_VALUE = 10_000


@router.get("/tracks", response_model=Tracks)
async def tracks(
    request: Request,
    served: Server,
    access: Caller,
    where: Annotated[Where | None, Query()] = None,
    sort: Annotated[
        Sort | BackwardSort, Query(description="A minus turns the order round.")
    ] = "id",
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
) -> Response:
    """List tracks."""
    check_where(where, access)
    etag = make_etag(served.version(), access.key, str(request.url.query))
    if matches(request, etag):
        return not_modified(etag)

    def work() -> dict[str, Any]:
        ids = catalogue.ordered(served, where, sort)
        chosen = ids[offset : offset + limit].tolist()
        return {
            "total": len(ids),
            "limit": limit,
            "offset": offset,
            "tracks": [shown(t, served, access) for t in served.library.store.tracks(chosen)],
        }

    return Json(
        await served.run(work), headers={"etag": etag, "cache-control": "private, no-cache"}
    )


def shown(track: Track, served: Served, access: Access) -> dict[str, Any]:
    """Return a track as a document for this client."""
    return hit_json(track_json(track), served, access)


@router.get("/tracks/{id}", response_model=TrackDocument)
async def track(id: Id, served: Server, access: Caller) -> Json:  # noqa: A002 - as in the address
    """One track."""
    return Json(shown(await served.run(lambda: served.track(id)), served, access))


@router.delete("/tracks/{id}", response_model=Removed, responses=problems(403, 409))
async def remove(id: Id, served: Server, access: WritingCaller) -> Json:  # noqa: A002
    """Remove a track from the library; its file stays."""
    return Json({"removed": await served.change(lambda: served.library.remove(id))})


@router.patch("/tracks/{id}/tags", response_model=TrackDocument, responses=problems(403, 409))
async def set_tags(
    id: Id,  # noqa: A002
    served: Server,
    access: WritingCaller,
    tags: Annotated[
        dict[str, str | int | float | None],
        Body(description="Tags to set; null removes one."),
    ],
) -> Json:
    """Set tags of one's own on a track."""
    _check_tags(tags)

    def work() -> dict[str, Any]:
        served.track(id)
        served.library.set_tags(id, tags)
        return shown(served.track(id), served, access)

    return Json(await served.change(work))


def _check_tags(tags: dict[str, str | int | float | None]) -> None:
    if len(tags) > _MOST_TAGS:
        raise Problem(422, f"at most {_MOST_TAGS} tags at once, got {len(tags)}")
    for name, value in tags.items():
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise Problem(422, f"a tag's name must be 1 to 100 printable characters, got {name!r}")
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            raise Problem(422, f"a tag may have {_LONGEST_VALUE} characters, got {len(value)}")


@router.get("/facets", response_model=Facets)
async def facets(
    served: Server, access: Caller, where: Annotated[Where | None, Query()] = None
) -> Json:
    """Fields that tell tracks apart, with their most frequent values: for filters."""
    check_where(where, access)
    return Json(await served.run(lambda: catalogue.facets(served, where)))


@router.post(
    "/exports",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {t: {} for t in _EXPORT_TYPES.values()}}
    },
)
async def exports(asked: ExportAsked, served: Server, access: Caller) -> Response:
    """Write tracks as a playlist (m3u), a table (csv) or a document (json)."""
    if any(not 0 < track <= LARGEST_ID for track in asked.tracks):
        raise Problem(422, "track ids must be positive whole numbers")

    def work() -> bytes:
        from dataclasses import replace

        from earmark.server.access import shown_path

        found = served.library.store.tracks(asked.tracks)
        safe = [replace(t, path=shown_path(t.path, served.config, access)) for t in found]
        return exporting.export(safe, asked.format)

    return Response(
        await served.run(work),
        media_type=_EXPORT_TYPES[asked.format],
        headers={"content-disposition": f'attachment; filename="earmark.{asked.format}"'},
    )
