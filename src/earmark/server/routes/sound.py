"""What a track sounds and looks like: its audio, its outline, its spectrogram."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from earmark.server import ranges, sounds
from earmark.server.asking import Seconds
from earmark.server.context import Caller, Served, Server
from earmark.server.documents import Peaks, problems
from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.media import pcm
from earmark.server.problems import Json, Problem
from earmark.server.routes.tracks import Id
from earmark.server.sending import send_track
from earmark.types import Track

router = APIRouter(
    prefix="/tracks/{id}", tags=["sound"], responses=problems(401, 404, 413, 416, 422, 429, 503)
)

Start = Annotated[Seconds | None, Query(description="Begin of a moment, in seconds.")]
End = Annotated[Seconds | None, Query(description="End of a moment, in seconds.")]
Key = Annotated[str | None, Query(max_length=200, description="From POST /tickets.")]

_FALLBACK = "flac"
_IMMUTABLE = "private, max-age=3600"


@router.api_route(
    "/audio",
    methods=["GET"],
    response_class=Response,
    responses={200: {"description": "The sound.", "content": {"audio/*": {}}}},
)
@router.api_route("/audio", methods=["HEAD"], include_in_schema=False)
async def audio(
    request: Request,
    id: Id,  # noqa: A002 - as in the address
    served: Server,
    access: Caller,
    format: Annotated[  # noqa: A002
        str | None,
        Query(
            max_length=20,
            description="original, wav, flac, opus, mp3; default: what browsers play.",
        ),
    ] = None,
    start: Start = None,
    end: End = None,
    ticket: Key = None,
) -> Response:
    """The sound of a track, or of a moment of it; with byte ranges.

    What browsers cannot play is converted to FLAC; a moment is WAV unless told otherwise.
    """
    track, now = await served.run(lambda: _look(served, id))
    form = _form(track, format, moment=start is not None or end is not None)
    if start is not None or end is not None:
        return await _moment(request, served, track, now, form, start, end)
    return await send_track(request, served, track, now, form)


def _look(served: Served, number: int) -> tuple[Track, sounds.FileNow]:
    track = served.track(number)
    return track, sounds.look(track)


def _form(track: Track, asked: str | None, *, moment: bool) -> str:
    """The format of the answer."""
    if asked is None:
        if moment:
            return "wav"
        return "original" if sounds.playable_type(track) else _FALLBACK
    if asked == "original" and not moment:
        return asked
    known = pcm.formats()
    if asked not in known:
        raise Problem(422, f"format must be one of original, {', '.join(known)}, got {asked!r}")
    return asked


async def _moment(
    request: Request,
    served: Served,
    track: Track,
    now: sounds.FileNow,
    form: str,
    start: float | None,
    end: float | None,
) -> Response:
    first = start or 0.0
    last = track.duration if end is None else end
    etag = make_etag(now.tag, form, first, last)
    if matches(request, etag):
        return not_modified(etag)
    data = await served.run(lambda: sounds.cut(served, track, first, last, form))
    return ranges.send(
        request,
        lambda: nullcontext(io.BytesIO(data)),
        len(data),
        etag=etag,
        media_type=sounds.content_type(form),
    )


@router.get("/peaks", response_model=Peaks)
async def peaks(
    request: Request,
    id: Id,  # noqa: A002
    served: Server,
    access: Caller,
    points: Annotated[int, Query(ge=1, le=20_000)] = 800,
    start: Start = None,
    end: End = None,
    ticket: Key = None,
) -> Response:
    """The outline of a track or of a moment of it, to draw a waveform."""
    track, now = await served.run(lambda: _look(served, id))
    first, last = _part(track, start, end)
    etag = make_etag("peaks", now.tag, points, first, last)
    if matches(request, etag):
        return not_modified(etag)
    found = await served.run(lambda: sounds.outline(served, track, points, first, last))
    document = {
        "duration": track.duration,
        "start": first,
        "end": last,
        "points": len(found),
        "min": [round(float(v), 4) for v in found[:, 0]],
        "max": [round(float(v), 4) for v in found[:, 1]],
    }
    return Json(document, headers={"etag": etag, "cache-control": _IMMUTABLE})


def _part(track: Track, start: float | None, end: float | None) -> tuple[float, float]:
    """Begin and end of what is to be drawn, inside the track."""
    first = start or 0.0
    last = track.duration if end is None else min(end, track.duration)
    if not first < last:
        raise Problem(422, f"a moment must lie within {track.duration:g} s, got {first:g} to {end}")
    return first, last


@router.get(
    "/spectrogram.png",
    response_class=Response,
    responses={200: {"description": "A picture.", "content": {"image/png": {}}}},
)
async def spectrogram(
    request: Request,
    id: Id,  # noqa: A002
    served: Server,
    access: Caller,
    start: Start = None,
    end: End = None,
    width: Annotated[int, Query(ge=16, le=2000)] = 800,
    height: Annotated[int, Query(ge=16, le=512)] = 200,
    ticket: Key = None,
) -> Response:
    """The spectrogram of a track or of a moment of it: mel bands upward, time to the right."""
    track, now = await served.run(lambda: _look(served, id))
    first, last = _part(track, start, end)
    etag = make_etag("spectrogram", now.tag, first, last, width, height)
    if matches(request, etag):
        return not_modified(etag)
    data = await served.run(lambda: sounds.picture(served, track, first, last, width, height))
    return Response(
        data, media_type="image/png", headers={"etag": etag, "cache-control": _IMMUTABLE}
    )
