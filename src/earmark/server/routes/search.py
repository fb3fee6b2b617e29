"""Searching: by words, by tracks and moments, by an upload; drawing at random."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from earmark.library.hits import Hits
from earmark.library.wishes import weighed_words
from earmark.server import asking, intake
from earmark.server.access import Access
from earmark.server.asking import Count, Name, SearchAsked, Share, TrackId, Where, Words
from earmark.server.context import Caller, Served, Server, hit_json, known_parameters
from earmark.server.documents import Answer, problems
from earmark.server.documents import upload as upload_body
from earmark.server.etags import make_etag, matches, not_modified
from earmark.server.filters import check_where
from earmark.server.problems import Json, Problem
from earmark.types import Clip

router = APIRouter(tags=["search"], responses=problems(401, 404, 409, 422, 429, 501, 503))


@router.get("/search", response_model=Answer)
async def search(
    request: Request, asked: Annotated[SearchAsked, Query()], served: Server, access: Caller
) -> Response:
    """Find tracks, and the moment in each that matches, by words or by tracks to resemble."""
    etag = make_etag("search", served.version(), access.key, request.url.query)
    if matches(request, etag):
        return not_modified(etag)
    answer = await _answer(served, access, asked, None)
    answer.headers["etag"], answer.headers["cache-control"] = etag, "private, no-cache"
    return answer


@router.post("/search", response_model=Answer, openapi_extra=upload_body(SearchAsked))
async def search_upload(request: Request, served: Server, access: Caller) -> Json:
    """Find what resembles an uploaded sound; other parameters as for GET."""
    upload = await intake.read_upload(request)
    asked = asking.parse(SearchAsked, intake.merged(request, upload))
    return await _answer(served, access, asked, upload)


async def _answer(
    served: Served, access: Access, asked: SearchAsked, upload: intake.Upload | None
) -> Json:
    check_where(asked.where, access)

    def work() -> dict[str, Any]:
        method = served.method("search")
        clip = None if upload is None else as_clip(served, upload)
        hits: Hits = method(
            asked.text,
            audio=clip,
            like=(*asked.like, *map(weighed_words, asked.like_words)),
            unlike=(*asked.unlike, *map(weighed_words, asked.unlike_words)),
            by=tuple(asked.by),
            where=_narrowed(asked, upload),
            k=asked.k,
            exclude_self=asked.exclude_self,
            exact=asked.exact,
            **known_parameters(method, aspect=asked.aspect),
        )
        document = hits_json(hits, served, access, explain=asked.explain)
        document["query"] = _as_asked(document["query"], asked)
        return document

    return Json(await served.run(work))


def _as_asked(query: dict[str, Any], asked: SearchAsked) -> dict[str, Any]:
    """The question without what the server added to its filter."""
    rest = {name: value for name, value in query.items() if name != "where"}
    if asked.where is not None:
        rest["where"] = asked.where
    return rest | ({"within": asked.within} if asked.within else {})


def _narrowed(asked: SearchAsked, upload: intake.Upload | None) -> str | None:
    """The filter, with what else is asked of a track: a former answer's, not the upload's."""
    parts = []
    if asked.where is not None:
        narrow = asked.within or (upload is not None and asked.exclude_self)
        parts.append(f"({asked.where})" if narrow else asked.where)
    if asked.within:
        parts.append(f"id in ({', '.join(str(track) for track in asked.within)})")
    if upload is not None and asked.exclude_self:
        parts.append(f"content_hash != '{content_hash(upload.data)}'")
    return " and ".join(parts) or None


def content_hash(data: bytes) -> str:
    """Return the hash under which a library knows a file with these bytes."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def as_clip(served: Served, upload: intake.Upload) -> Clip:
    """Return an upload as a clip."""
    sound = intake.decode(served, upload)
    return Clip(sound.samples, sound.sample_rate, source=upload.name)


def hits_json(
    hits: Hits, served: Served, access: Access, *, explain: bool = False
) -> dict[str, Any]:
    """Return hits as the command line prints them, with paths that the client may see."""
    document = hits.to_json(explain=explain)
    document["hits"] = [hit_json(hit, served, access) for hit in document["hits"]]
    return document | ({"notes": list(hits.notes)} if hits.notes else {})


@router.get("/random", response_model=Answer)
async def random(
    served: Server,
    access: Caller,
    k: Annotated[Count, Query()] = 10,
    seed: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    where: Annotated[Where | None, Query()] = None,
) -> Json:
    """Draw tracks at random; the same seed draws the same, and the answer names it."""
    check_where(where, access)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    hits = await served.run(lambda: served.library.random(k, seed=chosen, where=where))
    return Json(hits_json(hits, served, access))


Likes = Annotated[list[TrackId], Query(max_length=200)]
WordLists = Annotated[list[Words], Query(max_length=32)]
Names = Annotated[list[Name], Query(max_length=16)]
Diversity = Annotated[Share, Query(description="0: the likest; towards 1: unlike each other.")]


@router.get("/recommend", response_model=Answer)
async def recommend(
    served: Server,
    access: Caller,
    like: Likes = [],  # noqa: B006 - FastAPI copies it
    unlike: Likes = [],  # noqa: B006
    like_words: WordLists = [],  # noqa: B006
    unlike_words: WordLists = [],  # noqa: B006
    k: Annotated[Count, Query()] = 10,
    where: Annotated[Where | None, Query()] = None,
    diversity: Diversity = 0.3,
    one_per: Literal["file", "artist", "none"] = "file",
    by: Names = [],  # noqa: B006
) -> Json:
    """Suggest tracks that are like some and unlike others, and not all the same."""
    check_where(where, access)
    if not like and not like_words:
        raise Problem(422, "a suggestion needs 'like' or 'like_words'")

    def work() -> dict[str, Any]:
        hits = served.method("recommend")(
            (*like, *map(weighed_words, like_words)),
            unlike=(*unlike, *map(weighed_words, unlike_words)),
            k=k,
            where=where,
            diversity=diversity,
            one_per=one_per,
            by=tuple(by),
        )
        return hits_json(hits, served, access)

    return Json(await served.run(work))


@router.get("/playlist", response_model=Answer)
async def playlist(
    served: Server,
    access: Caller,
    from_: Annotated[TrackId | None, Query(alias="from")] = None,
    to: Annotated[TrackId | None, Query()] = None,
    like: Likes = [],  # noqa: B006
    length: Annotated[Count, Query()] = 10,
    where: Annotated[Where | None, Query()] = None,
    diversity: Diversity = 0.3,
    by: Names = [],  # noqa: B006
) -> Json:
    """Make a path of tracks from one to another, or a radio of what resembles some."""
    check_where(where, access)
    if bool(like) == (from_ is not None and to is not None):
        raise Problem(422, "a playlist needs 'from' and 'to', or 'like', and not both")

    def work() -> dict[str, Any]:
        hits = served.method("playlist")(
            start=None if like else from_,
            end=None if like else to,
            like=tuple(like),
            length=length,
            where=where,
            diversity=diversity,
            by=tuple(by),
        )
        return hits_json(hits, served, access)

    return Json(await served.run(work))
