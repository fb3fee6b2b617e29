"""The documents of answers, for the description of the API (`/openapi.json`).

Answers are built as plain JSON; these models say what is in them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """Base: more may be added to a document later."""

    model_config = ConfigDict(extra="allow")


class ProblemDocument(Document):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None


class TrackDocument(Document):
    """A track with its tags."""

    track: int
    path: str
    title: str
    artist: str
    duration: float | None
    sample_rate: int
    channels: int
    codec: str
    size: int
    content_hash: str
    tags: dict[str, str | int | float | None]


class HitDocument(Document):
    """A track, the moment in it, and the moment of the query that it matches (seconds)."""

    track: int
    path: str
    score: float | None
    start: float | None
    end: float | None
    query_start: float | None
    query_end: float | None
    by: str
    title: str
    artist: str
    duration: float | None
    tags: dict[str, str | int | float | None]
    ranks: dict[str, int] | None = None
    aspects: dict[str, float | None] | None = None


class Answer(Document):
    """A question and its hits, best first."""

    query: dict[str, Any]
    hits: list[HitDocument]


class Tracks(Document):
    """A page of tracks."""

    total: int
    limit: int
    offset: int
    tracks: list[TrackDocument]


class FacetValue(Document):
    """A value of a field, and how many tracks have it."""

    value: str | int | float | None
    count: int


class Facet(Document):
    """A field with its most frequent values."""

    name: str
    type: str
    distinct: int
    values: list[FacetValue]


class Facets(Document):
    """Fields that tell tracks apart."""

    fields: list[Facet]


class Peaks(Document):
    """The outline of a sound: least and greatest sample of even steps."""

    duration: float
    start: float
    end: float
    points: int
    min: list[float]
    max: list[float]


class Health(Document):
    """That the server runs, and which."""

    status: str
    version: str


class LibraryDocument(Document):
    """What is in the library and what it can answer."""

    name: str
    tracks: int
    seconds: float
    encoders: list[dict[str, Any]]
    can: dict[str, bool]
    aspects: list[str]
    roots: list[str]
    read_only: bool


class Label(Document):
    """A label with its score."""

    label: str
    score: float | None


class TagMoment(Document):
    """Labels of a part of a sound."""

    start: float
    end: float
    tags: list[Label]


class Tags(Document):
    """What sounds are in a recording."""

    tags: list[Label]
    moments: list[TagMoment]


class Job(Document):
    """A job: `state` is queued, running, done, failed or cancelled, `root` empty for a map."""

    id: str
    kind: str
    root: str
    state: str
    progress: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    error: str | None = None


class Jobs(Document):
    """All jobs since the server started."""

    jobs: list[Job]


class Ticket(Document):
    """A short-lived key for elements that cannot send headers."""

    ticket: str
    expires: int


class Duplicates(Document):
    """Groups of tracks that are the same recording."""

    groups: list[dict[str, Any]]


class MapDocument(Document):
    """The library laid out on a plane; `missing` tracks came after it, and `outgrown` says that
    most did."""

    points: dict[str, list[Any]]
    clusters: list[dict[str, Any]]
    missing: int
    outgrown: bool


class Removed(Document):
    """How many tracks were removed."""

    removed: int


class JobAsked(BaseModel):
    """Which folder to index: one that ``earmark serve --root`` named."""

    model_config = ConfigDict(extra="forbid")
    root: str = Field(max_length=500)


class MapAsked(BaseModel):
    """How to make the map, or to bring it up to date."""

    model_config = ConfigDict(extra="forbid")
    fresh: bool = Field(False, description="Make a new layout: all tracks may move.")
    by: list[Annotated[str, Field(max_length=80)]] = Field(
        [], max_length=16, description="Encoders or kinds that say what is near."
    )


class ExportAsked(BaseModel):
    """Which tracks to write, and how."""

    model_config = ConfigDict(extra="forbid")
    tracks: list[int] = Field(max_length=100_000)
    format: Literal["m3u", "csv", "json"]


PROBLEM_ANSWER: dict[str, Any] = {
    "description": "Problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a route, for its description."""
    return dict.fromkeys(statuses, PROBLEM_ANSWER)


_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def upload(model: type[BaseModel]) -> dict[str, Any]:
    """Return how a sound and its parameters come, for the description of a route.

    Parameters
    ----------
    model : type
        The parameters: query parameters of a plain body, or fields beside a part `file`.
    """
    schema = model.model_json_schema()
    fields: dict[str, Any] = schema["properties"]
    form = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}, **fields},
        "required": ["file"],
        "additionalProperties": False,
    }
    kinds = ("audio/wav", "audio/webm", "audio/ogg", "video/webm", "application/octet-stream")
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": field,
                "description": field.get("description", ""),
            }
            for name, field in fields.items()
        ],
        "requestBody": {
            "required": True,
            "description": "A sound: a part `file` beside form fields, or the body itself.",
            "content": {
                "multipart/form-data": {"schema": form},
                **dict.fromkeys(kinds, _BINARY),
            },
        },
    }
