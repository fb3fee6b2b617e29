"""Answers of the Subsonic kind: one document with a status, as JSON, JSON with a name, or XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from starlette.responses import Response

import earmark
from earmark.server.problems import clean, dump

VERSION = "1.16.1"

GENERIC, MISSING, WRONG_LOGIN, CONFLICTING, BAD_KEY = 0, 10, 40, 43, 44
FORBIDDEN, NOT_FOUND = 50, 70

_SPACE = "http://subsonic.org/restapi"


class Refused(Exception):
    """A request that fails, with the specification's number for why."""

    def __init__(self, code: int, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def reply(content: Mapping[str, Any], form: str) -> Response:
    """Return an answer with this content."""
    return _write("ok", content, form, 200)


def refusal(error: Refused, form: str) -> Response:
    """Return the answer that something failed."""
    content = {"error": {"code": error.code, "message": clean(error.message)}}
    return _write("failed", content, form, error.status)


def _write(status: str, content: Mapping[str, Any], form: str, code: int) -> Response:
    document = {
        "status": status,
        "version": VERSION,
        "type": "earmark",
        "serverVersion": earmark.__version__,
        "openSubsonic": True,
        **content,
    }
    if form == "json":
        body, kind = dump({"subsonic-response": document}), "application/json"
    else:
        body, kind = to_xml(document), "application/xml"
    return Response(body, status_code=code, media_type=kind, headers={"cache-control": "no-store"})


def to_xml(document: Mapping[str, Any]) -> bytes:
    """Return a document as XML: plain values are attributes, the rest are elements.

    Examples
    --------
    >>> to_xml({"status": "ok", "song": [{"id": "1"}]}).partition(b"status")[2].decode()
    '="ok"><song id="1" /></subsonic-response>'
    """
    root = ElementTree.Element("subsonic-response", {"xmlns": _SPACE})
    _fill(root, document)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _fill(element: ElementTree.Element, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            _fill(ElementTree.SubElement(element, name), value)
        elif isinstance(value, (list, tuple)):
            for one in value:
                child = ElementTree.SubElement(element, name)
                if isinstance(one, Mapping):
                    _fill(child, one)
                else:
                    child.text = _text(one)
        else:
            element.set(name, _text(value))


def _text(value: object) -> str:
    """A value as XML can hold it: no control characters, no lone surrogates."""
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = clean(str(value))
    return (
        "".join(c for c in plain if c >= " " or c in "\t\n\r")
        .replace("\ufffe", "")
        .replace("\uffff", "")
    )
