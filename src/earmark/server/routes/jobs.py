"""Index jobs over HTTP; their progress as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import StreamingResponse

from earmark.server.context import Caller, Server, WritingCaller
from earmark.server.documents import Job, JobAsked, problems
from earmark.server.documents import Jobs as JobList
from earmark.server.jobs import ENDED, Jobs
from earmark.server.problems import Json, Problem, dump

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=problems(401, 404, 422, 429, 503))

Id = Annotated[str, Path(max_length=40, description="A job's id.")]

_LOOK_SECONDS = 0.3
_ALIVE_SECONDS = 15.0
_LONGEST_SECONDS = 24 * 3600.0


@router.post("", response_model=Job, status_code=202, responses=problems(403, 409))
async def start(asked: JobAsked, served: Server, access: WritingCaller) -> Json:
    """Index one of the folders that the server was told of."""
    job = await served.run(lambda: served.jobs.start(asked.root))
    return Json(job, status_code=202, headers={"location": f"/api/v1/jobs/{job['id']}"})


@router.get("", response_model=JobList)
async def jobs(served: Server, access: Caller) -> Json:
    """All jobs since the server started, the latest first."""
    return Json({"jobs": await served.run(served.jobs.list)})


@router.get("/{id}", response_model=Job)
async def job(id: Id, served: Server, access: Caller) -> Json:  # noqa: A002 - as in the address
    """A job as it is now."""
    return Json(await served.run(lambda: served.jobs.get(id)))


@router.delete("/{id}", response_model=Job, responses=problems(403))
async def cancel(id: Id, served: Server, access: WritingCaller) -> Json:  # noqa: A002
    """Ask a job to end; what it has done stays."""
    return Json(await served.run(lambda: served.jobs.cancel(id)))


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events.", "content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    id: Id,  # noqa: A002
    served: Server,
    access: Caller,
) -> StreamingResponse:
    """A job's progress as events ``progress``, at last ``done``; each holds the job."""
    await served.run(lambda: served.jobs.get(id))
    return StreamingResponse(
        _follow(request, served.jobs, id),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _follow(request: Request, known: Jobs, number: str) -> AsyncIterator[bytes]:
    last, silent, waited = b"", 0.0, 0.0
    while waited < _LONGEST_SECONDS:
        try:
            found = await asyncio.to_thread(known.get, number)
        except Problem:
            return
        ended = found["state"] in ENDED
        text = dump(found)
        if text != last:
            last, silent = text, 0.0
            yield b"event: %s\ndata: %s\n\n" % (b"done" if ended else b"progress", text)
        if ended or await request.is_disconnected():
            return
        if silent >= _ALIVE_SECONDS:
            silent = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)
        silent += _LOOK_SECONDS
        waited += _LOOK_SECONDS
