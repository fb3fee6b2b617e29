"""What is this sound: which recording, which tune, which labels."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from earmark.server import asking, intake
from earmark.server.asking import HumAsked, IdentifyAsked, TagAsked
from earmark.server.context import Caller, Server
from earmark.server.documents import Answer, Tags, problems
from earmark.server.documents import upload as upload_body
from earmark.server.filters import check_where
from earmark.server.problems import Json, Problem
from earmark.server.routes.search import as_clip, hits_json

router = APIRouter(
    tags=["hearing"], responses=problems(400, 401, 408, 409, 413, 415, 422, 429, 501, 503)
)

_MOST_LABELS = 200


@router.post("/identify", response_model=Answer, openapi_extra=upload_body(IdentifyAsked))
async def identify(request: Request, served: Server, access: Caller) -> Json:
    """Which recordings an uploaded sound was taken from, and where in them; none is an answer."""
    upload = await intake.read_upload(request)
    asked = asking.parse(IdentifyAsked, intake.merged(request, upload))
    check_where(asked.where, access)

    def work() -> dict[str, Any]:
        hits = served.method("identify")(
            as_clip(served, upload),
            k=asked.k,
            every=asked.all,
            confidence=asked.confidence,
            exact_range=asked.exact_range,
            where=asked.where,
        )
        return hits_json(hits, served, access)

    return Json(await served.run(work))


@router.post("/hum", response_model=Answer, openapi_extra=upload_body(HumAsked))
async def hum(request: Request, served: Server, access: Caller) -> Json:
    """Which tunes an uploaded hum, whistle or song resembles."""
    upload = await intake.read_upload(request)
    asked = asking.parse(HumAsked, intake.merged(request, upload))

    check_where(asked.where, access)

    def work() -> dict[str, Any]:
        hits = served.method("hum")(
            as_clip(served, upload),
            k=asked.k,
            starts=asked.starts,
            confidence=asked.confidence,
            where=asked.where,
        )
        return hits_json(hits, served, access)

    return Json(await served.run(work))


@router.post("/tag", response_model=Tags, openapi_extra=upload_body(TagAsked))
async def tag(request: Request, served: Server, access: Caller) -> Json:
    """What sounds are in an uploaded recording."""
    upload = await intake.read_upload(request)
    asked = asking.parse(TagAsked, intake.merged(request, upload))
    labels = tuple(part.strip() for part in (asked.labels or "").split(",") if part.strip())
    if len(labels) > _MOST_LABELS:
        raise Problem(422, f"at most {_MOST_LABELS} labels, got {len(labels)}")

    def work() -> dict[str, Any]:
        method = served.method("tag")
        found = method([as_clip(served, upload)], labels=labels, k=asked.k, moments=True)
        return tag_document(found[0])

    return Json(await served.run(work))


def tag_document(found: Any) -> dict[str, Any]:
    """Return labels as the contract has them, without the name of the upload."""
    document = dict(found.to_json() if hasattr(found, "to_json") else found)
    document.pop("path", None)
    return {"tags": [], "moments": []} | document
