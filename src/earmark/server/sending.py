"""A track's sound as an answer: its file, or the same in another format, with ranges."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response

from earmark.server import ranges, sounds
from earmark.server.context import Served
from earmark.server.etags import make_etag, matches, not_modified
from earmark.types import Track


async def send_track(
    request: Request,
    served: Served,
    track: Track,
    now: sounds.FileNow,
    form: str,
    *,
    bit_rate: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with the whole sound of a track.

    Parameters
    ----------
    request : Request
    served : Served
    track : Track
    now : FileNow
    form : str
        ``original`` or one that `pcm.formats` names.
    bit_rate : int, optional
        In bits a second, where the format can be chosen one.
    headers : mapping, optional
        Further ones.
    """
    etag = make_etag(now.tag, form, bit_rate)
    if matches(request, etag):
        return not_modified(etag)
    if form == "original":
        return ranges.send(
            request,
            lambda: sounds.open_bytes(track.path),
            now.size,
            etag=etag,
            media_type=sounds.media_type(track),
            headers=headers,
        )
    path = await served.run(lambda: sounds.transcoded(served, track, form, bit_rate=bit_rate))
    return ranges.send(
        request,
        lambda: open(path, "rb"),
        path.stat().st_size,
        etag=etag,
        media_type=sounds.content_type(form),
        headers=headers,
    )
