"""``/docs``: the description of the API as a page of our own, without scripts, from the package.

Made of the OpenAPI document (``/openapi.json``) that programs read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from earmark.server.etags import make_etag, matches, not_modified

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
summary { padding: .5rem .8rem; cursor: pointer; }
summary:hover { background: var(--soft); }
details > div { padding: 0 .8rem .8rem; }
code, .verb { font-family: ui-monospace, monospace; }
.verb { display: inline-block; min-width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .5rem; }
tr { border-top: 1px solid var(--line); }
h2 { margin-top: 2rem; text-transform: capitalize; }
"""
_VERBS = ("get", "post", "patch", "put", "delete")


def render(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as an HTML page.

    Examples
    --------
    >>> "<h1>x" in render({"info": {"title": "x", "version": "1"}, "paths": {}})
    True
    """
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, verb, operation in _operations(document):
        tag = (operation.get("tags") or ["other"])[0]
        groups.setdefault(tag, []).append(_operation(path, verb, operation, document))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: API</title>"
        '<link rel="stylesheet" href="/docs/style.css"></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        "<p>Every address answers JSON; an error is a problem document (RFC 9457) with "
        "<code>detail</code> and often a <code>hint</code>. Programs read "
        '<a href="/openapi.json">openapi.json</a>. <a href="/">The page</a></p>'
        f"{body}</main></body></html>"
    )


def markdown(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as Markdown: the reference in ``docs/api.md``."""
    lines = [
        "# The HTTP interface",
        "",
        "Made from the description of the API that the server gives at `/openapi.json`; a test",
        "sees to it that the two agree. [The guide](server.md) tells how to start it and who may",
        "ask what.",
        "",
        "An error is a problem document (RFC 9457): `type`, `title`, `status`, `detail`, often a",
        "`hint`, and for errors of the library `error`, its class.",
    ]
    groups: dict[str, list[str]] = {}
    for path, verb, operation in _operations(document):
        tag = (operation.get("tags") or ["other"])[0]
        groups.setdefault(tag, []).extend(_in_markdown(path, verb, operation, document))
    for tag, part in groups.items():
        lines += ["", f"## {tag.capitalize()}", *part]
    return "\n".join(lines) + "\n"


def _in_markdown(
    path: str, verb: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    text = operation.get("description") or operation.get("summary", "")
    yield from ("", f"### `{verb.upper()} {path}`", "", *text.splitlines())
    rows = []
    for one in operation.get("parameters", []):
        schema = one.get("schema", {})
        about = _about(one)
        name = f"`{one['name']}`" + (" (needed)" if one.get("required") else "")
        rows.append(f"| {name} | {one['in']} | {_cell(_kind(schema, {}))} | {_cell(about)} |")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(f"| body | `{kind}` | {_cell(_kind(content.get('schema', {}), document))} | |")
    if rows:
        yield from ("", "| name | in | type | meaning |", "|---|---|---|---|", *rows)
    answers = [
        f"{status}: {_shape(answer, document)}"
        for status, answer in operation.get("responses", {}).items()
        if status.startswith("2")
    ]
    yield from ("", f"Answer {'; '.join(answers)}")


def _shape(answer: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    shapes = []
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        shapes.append(f"`{_kind(schema, document)}`" if "$ref" in schema else f"`{kind}`")
    return ", ".join(shapes) or "nothing"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if verb in item:
                yield path, verb, item[verb]


def _operation(
    path: str, verb: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> str:
    rows = [_parameter(p) for p in operation.get("parameters", [])]
    body = operation.get("requestBody", {})
    for kind, content in body.get("content", {}).items():
        rows.append(_row("body", kind, _kind(content.get("schema", {}), document), ""))
    answers = ", ".join(
        f"{status} {_answer(answer)}" for status, answer in operation.get("responses", {}).items()
    )
    text = operation.get("description") or operation.get("summary", "")
    first, _, rest = text.partition("\n\n")
    table = (
        "<table><thead><tr><th>name</th><th>in</th><th>type</th><th>meaning</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        if rows
        else ""
    )
    return (
        f'<details><summary><span class="verb">{verb.upper()}</span> <code>{escape(path)}</code>'
        f" {escape(first)}</summary><div><p>{escape(rest)}</p>{table}"
        f"<p>Answers: {escape(answers)}</p></div></details>"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    kinds = ", ".join(answer.get("content", {}))
    return f"({kinds})" if kinds else ""


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    text = _about(parameter)
    must = " (needed)" if parameter.get("required") else ""
    return _row(parameter["name"] + must, parameter["in"], _kind(schema, {}), text)


def _about(parameter: Mapping[str, Any]) -> str:
    """What a description says of a parameter, or of its only type."""
    schema = parameter.get("schema", {})
    said = [parameter, schema, *schema.get("anyOf", []), schema.get("items", {})]
    return next((str(one["description"]) for one in said if one.get("description")), "")


def _kind(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = document.get("components", {}).get("schemas", {}).get(name, {})
        return f"{name}: {', '.join(found.get('properties', {}))}"
    if "anyOf" in schema:
        kinds = [_kind(one, document) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds)
    kind = str(schema.get("type", "any"))
    if kind == "array":
        kind = f"list of {_kind(schema.get('items', {}), document)}"
    limits = [
        f"{mark} {schema[name]}"
        for name, mark in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "length ≤"))
        if name in schema
    ]
    if "default" in schema and schema["default"] not in (None, [], ""):
        limits.append(f"default {schema['default']}")
    return f"{kind} ({', '.join(limits)})" if limits else kind


def _row(*cells: str) -> str:
    name, *others = (escape(str(cell)) for cell in cells)
    return f"<tr><td><code>{name}</code></td>{''.join(f'<td>{o}</td>' for o in others)}</tr>"


def install(app: FastAPI) -> None:
    """Add the page and its style to an application."""
    app.state.docs = ""

    async def page(request: Request) -> Response:
        if not app.state.docs:
            app.state.docs = render(app.openapi())
        return _send(request, app.state.docs, "text/html")

    async def style(request: Request) -> Response:
        return _send(request, _STYLE, "text/css")

    app.add_route("/docs", page, methods=["GET"], include_in_schema=False)
    app.add_route("/docs/style.css", style, methods=["GET"], include_in_schema=False)


def _send(request: Request, text: str, kind: str) -> Response:
    etag = make_etag("docs", text)
    if matches(request, etag):
        return not_modified(etag)
    return Response(text, media_type=kind, headers={"etag": etag, "cache-control": "no-cache"})
