"""``earmark serve``."""

from __future__ import annotations

import os

import click

from earmark.cli import common
from earmark.errors import LibraryNotFound, UsageError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port to bind; 0 for a free one.",
)
@click.option(
    "--root", multiple=True, metavar="[NAME=]FOLDER", help="A folder that index jobs may read."
)
@click.option("--token-read", envvar="EARMARK_TOKEN_READ", default="", help="Needed to ask.")
@click.option("--token-write", envvar="EARMARK_TOKEN_WRITE", default="", help="Needed to change.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name of this server.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Server processes; one a core serves most.",
)
@click.option(
    "--max-upload-mb", type=click.FloatRange(0.001, 10_000), default=32, show_default=True
)
@click.option("--max-seconds", type=click.FloatRange(1, 86_400), default=600, show_default=True)
@click.option(
    "--rate",
    type=click.IntRange(0),
    help="Requests a minute of one client [default: none on loopback, else 1200].",
)
@common.library_option
def serve(
    library: str | None,
    host: str,
    port: int,
    root: tuple[str, ...],
    token_read: str,
    token_write: str,
    allow_host: tuple[str, ...],
    workers: int,
    max_upload_mb: float,
    max_seconds: float,
    rate: int | None,
) -> None:
    """Serve the library to browsers, programs and music players.

    On this machine only, unless --host says otherwise; then a token is needed, better given as
    EARMARK_TOKEN_READ and EARMARK_TOKEN_WRITE than on the command line.
    """
    from earmark.server import running

    running.one_thread()
    from earmark.library.opening import default_library
    from earmark.server.config import ServerConfig

    for folder in root:
        place = folder.partition("=")[2] if "=" in folder.split("/")[0] else folder
        if not os.path.isdir(place):  # noqa: PTH112
            raise UsageError(f"--root must be a folder, got {place!r}")
    named = library or click.get_current_context().find_object(str)
    named = named or common.settings().library or default_library()
    config = ServerConfig(
        library=named if "://" in named else os.path.abspath(named),  # noqa: PTH100
        host=host,
        port=port,
        roots=tuple(_absolute(folder) for folder in root),
        token_read=token_read,
        token_write=token_write,
        allowed_hosts=tuple(name.lower() for name in allow_host),
        workers=workers,
        max_upload=round(max_upload_mb * 1e6),
        max_seconds=max_seconds,
        requests_per_minute=1200 if rate is None and host != "127.0.0.1" else rate or 0,
    )
    running.check_installed()
    with common.open_library(config.library, create=bool(root)) as lib:
        tracks = len(lib)
    if not tracks and not root:
        raise LibraryNotFound("the library has no tracks yet", hint="earmark index FOLDER")
    where = f"[{host}]" if ":" in host else host
    common.say(f"{tracks} tracks at http://{where}:{port}")
    running.run(config)


def _absolute(root: str) -> str:
    name, named, folder = root.partition("=")
    if named and "/" not in name:
        return f"{name}={os.path.abspath(folder)}"  # noqa: PTH100
    return os.path.abspath(root)  # noqa: PTH100
