"""A small music library with tags and covers, served or asked in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import earmark
from earmark.config import Settings
from serving import make_music

pytest.importorskip("fastapi")


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    make_music(folder)
    return folder


@pytest.fixture(scope="session")
def library(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of that music; tests only read it."""
    home = tmp_path_factory.mktemp("served") / "library"
    with earmark.open(home, settings=Settings()) as lib:
        report = lib.add(music, executor="serial", encoders=["timbre", "fingerprint"])
    assert (report.added, report.failed) == (6, ())
    return home


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(cache=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def client(library, cache):
    """Asks the application in this process, as the owner on loopback."""
    yield from asking(library, cache)


@pytest.fixture
def asks():
    """Make clients of servers with other settings."""
    made = []

    def make(place: Path, settings: Settings | None = None, **options: Any):
        generator = asking(place, settings or Settings(), **options)
        made.append(generator)
        return next(generator)

    yield make
    for generator in made:
        next(generator, None)


def asking(place: Path, settings: Settings, **options: Any) -> Iterator[Any]:
    from starlette.testclient import TestClient

    from earmark.server.app import create_app
    from earmark.server.config import ServerConfig

    config = ServerConfig(library=str(place), **options)
    with earmark.open(place, create=False, settings=settings) as lib:
        app = create_app(lib, config)
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
            yield one


@pytest.fixture
def own_library(library: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(library, tmp_path / "library")
    return tmp_path / "library"
