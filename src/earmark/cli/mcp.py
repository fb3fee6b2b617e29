"""``earmark mcp``: the library as tools and resources of an assistant."""

from __future__ import annotations

import os

import click

from earmark.cli import common
from earmark.errors import NotAvailable


@click.command()
@click.option("--http", is_flag=True, help="Serve over HTTP, not standard input and output.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True)
@click.option("--token-read", envvar="EARMARK_TOKEN_READ", default="", help="Needed to ask.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name of this server.")
@common.library_option
def mcp(
    library: str | None,
    http: bool,
    host: str,
    port: int,
    token_read: str,
    allow_host: tuple[str, ...],
) -> int:
    """Serve the library to an assistant (Model Context Protocol).

    Over standard input and output (how assistants start it) files of this computer may be named
    too; with --http only tracks of the library may, and beyond this machine a token is needed.
    """
    try:
        from earmark.server.assistant import serving
    except ImportError as error:
        raise NotAvailable(
            f"'mcp' needs the package {error.name}", hint="pip install 'earmark[server]'"
        ) from None
    from earmark.server.config import ServerConfig

    config = ServerConfig(
        host=host,
        port=port,
        token_read=token_read if http else "",
        allowed_hosts=tuple(name.lower() for name in allow_host),
        requests_per_minute=0 if host == "127.0.0.1" else 1200,
    )
    with common.open_library(library) as lib:
        if http:
            where = f"[{host}]" if ":" in host else host
            common.say(f"{len(lib)} tracks at http://{where}:{port}{serving.PATH}")
            serving.run_http(lib, config)
        else:
            common.say(f"{len(lib)} tracks of {os.fspath(lib.url)}, over standard input and output")
            serving.run_stdio(lib)
    return 0
