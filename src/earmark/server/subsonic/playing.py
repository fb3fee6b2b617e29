"""Sound and pictures for players: streams, downloads, covers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from earmark.errors import SourceError
from earmark.server import sending, sounds
from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.media import pcm
from earmark.server.subsonic import shelves
from earmark.server.subsonic.calls import Call
from earmark.server.subsonic.replies import NOT_FOUND, Refused
from earmark.sources import display_name
from earmark.types import Track

_LARGEST_COVER = 20_000_000


async def stream(call: Call) -> Response:
    """Send a song as it is, or converted if the player asks for a format or a lower rate."""
    track, now = await _look(call)
    form, rate = _wanted(call, track)
    return await sending.send_track(call.request, call.served, track, now, form, bit_rate=rate)


def _wanted(call: Call, track: Track) -> tuple[str, int | None]:
    asked = (call.maybe("format") or "").lower()
    most = call.number("maxBitRate", 0, most=10_000) * 1000
    if asked == "raw":
        return "original", None
    if asked in pcm.formats():
        lower = min(max(most, 32_000), 320_000) if most else None
        return asked, lower if asked in ("mp3", "opus", "ogg") else None
    own = track.info.bit_rate or 8 * track.size / max(track.duration, 1.0)
    if most and own > 1.1 * most:
        form = "mp3" if "mp3" in pcm.formats() else "opus"
        return form, min(max(most, 32_000), 320_000)
    return "original", None


async def download(call: Call) -> Response:
    """Send a song's file."""
    track, now = await _look(call)
    name = quote(display_name(track.path).encode("utf-8", "replace"))
    return await sending.send_track(
        call.request,
        call.served,
        track,
        now,
        "original",
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )


async def _look(call: Call) -> tuple[Track, sounds.FileNow]:
    def look() -> tuple[Track, sounds.FileNow]:
        track = call.track()
        try:
            return track, sounds.look(track)
        except SourceError:
            raise Refused(NOT_FOUND, "the file of this song is gone") from None

    return await call.served.run(look)


async def cover(call: Call) -> Response:
    """Send the picture in a song's file, or in one of an album's."""
    found = await call.served.run(lambda: _find_cover(call))
    if found is None:
        raise Refused(NOT_FOUND, "there is no cover", status=404)
    data, kind = found
    etag = make_etag("cover", len(data), data[:4096].hex())
    if matches(call.request, etag):
        return not_modified(etag)
    headers = {"etag": etag, "cache-control": "private, max-age=86400"}
    return Response(data, media_type=kind, headers=headers)


def _find_cover(call: Call) -> tuple[bytes, str] | None:
    known = shelves.build(call.served)
    number = call.text("id")
    if number in known.artists:
        number = known.artists[number].albums[0]
    if number in known.albums:
        tracks = call.served.library.store.tracks(known.albums[number].songs[:3])
    else:
        tracks = [call.track()]
    for track in tracks:
        for data, kind in _pictures(track):
            if kind in ("image/jpeg", "image/png", "image/webp", "image/gif"):
                return data, kind
    return None


def _pictures(track: Track) -> Iterator[tuple[bytes, str]]:
    """Pictures that a file holds, with the type that their first bytes tell."""
    import mutagen

    # Files are as odd as their makers; a picture is never worth an error.
    with suppress(Exception), sounds.open_bytes(track.path) as file:
        found = mutagen.File(file)
        if found is None:
            return
        for data in _embedded(found):
            if 0 < len(data) <= _LARGEST_COVER:
                yield data, _kind(data)


def _embedded(found: Any) -> Iterator[bytes]:
    import mutagen.flac

    as_picture: Any = mutagen.flac.Picture
    for picture in getattr(found, "pictures", []):
        yield bytes(picture.data)
    tags = found.tags or {}
    for name in list(tags):
        if name.startswith("APIC"):
            yield bytes(tags[name].data)
        elif name == "covr":
            yield from (bytes(one) for one in tags[name])
        elif name.lower() == "metadata_block_picture":
            for text in tags[name]:
                yield bytes(as_picture(base64.b64decode(text)).data)
        elif name == "WM/Picture":
            yield from (bytes(one.value)[-_LARGEST_COVER:] for one in tags[name])


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "application/octet-stream"
