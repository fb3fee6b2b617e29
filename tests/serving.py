"""A server in a thread of the test's own process, on a free port; and music to serve."""

from __future__ import annotations

import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import audio_factory as af
import earmark
from earmark.config import Settings


@contextmanager
def running(app: Any, config: Any = None) -> Iterator[str]:
    """Serve an application; give its address."""
    import uvicorn

    from earmark.server import running as starting
    from earmark.server.config import ServerConfig

    given = starting.options(config or ServerConfig()) | {"workers": None, "factory": False}
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **given))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def serving(library: Path, *, settings: Settings | None = None, **options: Any) -> Iterator[str]:
    """Serve the library in a folder; give its address."""
    from earmark.server.app import create_app
    from earmark.server.config import ServerConfig

    config = ServerConfig(library=str(library), **options)
    with (
        earmark.open(library, create=False, settings=settings or Settings()) as lib,
        running(create_app(lib, config), config) as url,
    ):
        yield url


READ, WRITE = "read-token-1234", "write-token-1234"


def tiny_png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0\xff\0\0")
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def make_music(folder: Path) -> None:
    """Two artists with three albums, in formats that browsers play and do not."""
    import mutagen
    from mutagen.flac import FLAC, Picture

    number = 0
    for artist, album, suffix, genre in (
        ("Ada", "First", ".flac", "jazz"),
        ("Ada", "Second", ".mp3", "rock"),
        ("Émile", "Debut", ".aiff", "jazz"),
    ):
        for track in (1, 2):
            number += 1
            sound = np.concatenate(
                [af.tone(110.0 * number, seconds=1.5, harmonics=number), af.noise(seconds=1.5)]
            )
            stereo = np.stack([sound, -0.5 * sound])
            path = folder / artist / album / f"{track}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            af.encode(path, stereo, 22050)
            if suffix == ".aiff":
                continue
            tags = mutagen.File(path, easy=True)
            if tags.tags is None:
                tags.add_tags()
            tags["title"], tags["artist"], tags["album"] = f"Song {number}", artist, album
            tags["genre"], tags["date"], tags["tracknumber"] = genre, str(2000 + number), str(track)
            tags.save()
            if suffix == ".flac":
                flac, picture = FLAC(path), Picture()
                picture.data, picture.mime, picture.type = tiny_png(), "image/png", 3
                flac.add_picture(picture)
                flac.save()
