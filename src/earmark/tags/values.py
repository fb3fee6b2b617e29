"""Names and values of tags, whoever wrote them."""

from __future__ import annotations

import math
import re

_NAME = re.compile(r"[^\w]+")
_INTEGER = re.compile(r"(?:0|-?[1-9]\d{0,17})\Z")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)\.\d+\Z")


def field_name(name: str) -> str:
    """A name that a `where` expression can use: lower case, other characters as ``_``.

    Examples
    --------
    >>> field_name("Recording Place")
    'recording_place'
    """
    return _NAME.sub("_", name.strip().lower()).strip("_")


def as_number(text: str) -> int | float | None:
    """The number that a text is, or None if something would be lost (``007``, ``1e5``)."""
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text) and len(text) <= 17 and math.isfinite(float(text)):
        return float(text)
    return None
