"""What clients may ask, checked: the parameters of every question as typed values.

The same names serve as query parameters and as form fields.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_HITS = 500
LARGEST_ID = 2**63 - 1

TrackId = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,18}(#[0-9.:]{0,16}-[0-9.:]{0,16})?(\^[0-9.]{1,8})?$",
        description='A track\'s id, or a moment of it: "12", "12#3.5-8"; "12^2" counts twice.',
    ),
]
Text = Annotated[str, Field(max_length=4000)]
Words = Annotated[
    str,
    Field(min_length=1, max_length=4000, description='Words; "voice^2" counts twice.'),
]
Where = Annotated[
    str,
    Field(max_length=2000, description="A filter, e.g. genre = 'jazz' and duration < 10."),
]
Name = Annotated[str, Field(max_length=80)]
Count = Annotated[int, Field(ge=1, le=MOST_HITS)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]

M = TypeVar("M", bound=BaseModel)


class Asked(BaseModel):
    """Base of all questions: an unknown name is an error."""

    model_config = ConfigDict(extra="forbid")


class SearchAsked(Asked):
    """Parameters of a search."""

    text: Text | None = Field(None, description="Words.")
    like: list[TrackId] = Field([], max_length=32, description="Tracks to resemble.")
    unlike: list[TrackId] = Field([], max_length=32, description="Tracks not to resemble.")
    like_words: list[Words] = Field([], max_length=32, description="Words to resemble.")
    unlike_words: list[Words] = Field([], max_length=32, description="Words to stay away from.")
    by: list[Name] = Field([], max_length=16, description="Encoders or kinds, or metadata.")
    where: Where | None = None
    k: Count = 10
    exclude_self: bool = False
    aspect: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="Weights of aspects: NAME=W,..."
    )
    within: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(
        [], max_length=5000, description="Only among these tracks (a former answer)."
    )
    exact: bool = Field(False, description="Look at every row, whatever the indexes say.")
    explain: bool = False


class IdentifyAsked(Asked):
    """Parameters of a question for a recording."""

    all: bool = Field(False, description="Every recording in a long clip, in order of time.")
    k: Count = 10
    confidence: Share | None = None
    exact_range: bool = Field(False, description="Ranges to a hundredth of a second.")
    where: Where | None = None


class HumAsked(Asked):
    """Parameters of a question for a tune."""

    k: Count = 10
    starts: bool = Field(False, description="The hum begins where the tune begins.")
    confidence: Share | None = None
    where: Where | None = None


class TagAsked(Asked):
    """Parameters of a question for labels."""

    labels: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="Choose among these labels: a,b,c."
    )
    k: Count = 10


def parse(model: type[M], values: dict[str, Any]) -> M:
    """Return values that came as texts (each name with a list) as a question.

    Raises
    ------
    RequestValidationError
        Naming each value that is wrong.
    """
    single = {
        name: value if _is_list(model, name) or len(value) != 1 else value[0]
        for name, value in values.items()
    }
    try:
        return model.model_validate(single)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("form", *one["loc"])} for one in error.errors(include_url=False)]
        ) from None


def _is_list(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and get_origin(field.annotation) is list
