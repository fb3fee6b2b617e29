"""The committed build of the page is that of its sources, small, and asks for what there is."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import earmark

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
PAGE = ROOT / "src" / "earmark" / "server" / "page"
BUILT_FROM = ("index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((PAGE / "build.json").read_text())


def sources() -> list[str]:
    """As web/record.mjs lists them: by code point of the whole path."""
    inside = [p for folder in ("public", "src") for p in (WEB / folder).rglob("*") if p.is_file()]
    return sorted([*BUILT_FROM, *(p.relative_to(WEB).as_posix() for p in inside)])


def test_the_build_is_that_of_the_sources(record: dict[str, Any]) -> None:
    digest = hashlib.sha256()
    for name in sources():
        digest.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")
    assert digest.hexdigest() == record["sources"], "run `npm ci && npm run build` in web/"


def test_every_file_is_there_as_recorded_with_its_twin(record: dict[str, Any]) -> None:
    for name, size in record["files"].items():
        data = (PAGE / name).read_bytes()
        assert len(data) == size["bytes"]
        twin = PAGE / f"{name}.gz"
        assert gzip.decompress(twin.read_bytes()) == data
    built = {p.relative_to(PAGE).as_posix() for p in PAGE.rglob("*") if p.is_file()}
    twins = {f"{name}.gz" for name in record["files"]}
    assert built == set(record["files"]) | twins | {"build.json"}


def test_the_first_page_is_below_200_kilobytes(record: dict[str, Any]) -> None:
    html = (PAGE / "index.html").read_text()
    first = ["index.html", *re.findall(r'(?:src|href)="/(assets/[^"]+)"', html)]
    assert len(first) >= 4
    assert sum(record["files"][name]["gzip"] for name in first) < 200_000
    assert sum(size["gzip"] for size in record["files"].values()) < 200_000


def test_nothing_is_inline_evaluated_or_fetched_from_elsewhere(record: dict[str, Any]) -> None:
    html = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert "<style" not in html
    assert " style=" not in html
    for name in record["files"]:
        text = (PAGE / name).read_text()
        assert not re.search(r"\beval\(|new Function\b|\bFunction\(", text), name
        links = set(re.findall(r"https?://[\w.-]+", text))
        assert links <= {"http://www.w3.org"}, name


def test_the_lock_names_no_registry_and_only_permissive_licences() -> None:
    text = (WEB / "package-lock.json").read_text()
    assert '"resolved"' not in text
    packages = json.loads(text)["packages"]
    licences = {p["license"] for name, p in packages.items() if name}
    assert licences <= {"MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Apache-2.0", "0BSD"}


def test_the_page_asks_only_for_what_the_server_offers(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the packages of the extra `server` are not installed")
    from earmark.server import asking
    from earmark.server.app import create_app

    uploads = {
        "searchClip": asking.SearchAsked,
        "identify": asking.IdentifyAsked,
        "hum": asking.HumAsked,
        "tag": asking.TagAsked,
    }
    with earmark.open(str(tmp_path / "library"), create=True) as library:
        offered = create_app(library).openapi()["paths"]
    known = {re.sub(r"\{\w+\}", "{id}", path): operations for path, operations in offered.items()}
    for name, (method, path, query) in json.loads((WEB / "src/api/paths.json").read_text()).items():
        assert path in known, name
        operation = known[path].get(method.lower())
        assert operation, f"{name}: no {method} {path}"
        parameters = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        if name in uploads:
            parameters |= set(uploads[name].model_fields)
        assert set(query) <= parameters, f"{name}: {set(query) - parameters}"
