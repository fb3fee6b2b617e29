"""The table of commands, and the group that loads them when they run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from earmark import __version__
from earmark.errors import nearest


class Entry(NamedTuple):
    """Where a command lives, and its line in the list of commands."""

    module: str
    attribute: str
    summary: str
    section: str


_FILL, _ASK, _CARE = "Fill", "Ask", "Look after"

COMMANDS: Mapping[str, Entry] = {
    "index": Entry("index", "index", "Add files, folders, zip archives and URLs.", _FILL),
    "watch": Entry("index", "watch", "Follow folders and add what changes in them.", _FILL),
    "search": Entry("search", "search", "Find moments by example, by likeness or by words.", _ASK),
    "identify": Entry(
        "identify", "identify", "Tell which recording this is, and where in it.", _ASK
    ),
    "duplicates": Entry(
        "duplicates", "duplicates", "Find tracks that are the same recording.", _ASK
    ),
    "tag": Entry("tag", "tag", "Tell what sounds are in files.", _ASK),
    "recommend": Entry("suggest", "recommend", "Suggest tracks from likes and dislikes.", _ASK),
    "playlist": Entry("suggest", "playlist", "Make a path of tracks, or a radio.", _ASK),
    "map": Entry("maps", "map_", "Lay the library out on a map.", _ASK),
    "hum": Entry("hum", "hum", "Find a tune by humming it.", _ASK),
    "random": Entry("search", "random", "Draw tracks at random.", _ASK),
    "list": Entry("browse", "list_", "List tracks.", _ASK),
    "export": Entry("browse", "export", "Write tracks as m3u, csv, json or parquet.", _ASK),
    "info": Entry("browse", "info", "Tell what is in the library, its sizes and health.", _CARE),
    "remove": Entry("care", "remove", "Remove tracks from the library.", _CARE),
    "verify": Entry("care", "verify", "Check all that is stored against its checksums.", _CARE),
    "rebuild": Entry("care", "rebuild", "Derive indexes, codebooks or rows anew; mend.", _CARE),
    "compact": Entry("care", "compact", "Free the space of what was removed.", _CARE),
    "models": Entry("models", "models", "List and pull model files.", _CARE),
    "evaluate": Entry("evaluate", "evaluate", "Measure how well searches do.", _CARE),
    "fingerprint": Entry(
        "fingerprint", "fingerprint", "Train a fingerprinter, and examine what it makes.", _CARE
    ),
    "serve": Entry("serve", "serve", "Serve the library to browsers, programs, players.", _ASK),
    "mcp": Entry("mcp", "mcp", "Serve the library to assistants.", _ASK),
}


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *, entries: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"earmark.cli.{entry.module}")
        command = getattr(module, entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is no command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would swallow a broken pipe and exit with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one shows the nearest known one."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            message = f"there is no command {args[0]!r}"
            if hint := nearest(args[0], self.entries):
                message += f"; {hint}"
            ctx.fail(message)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            rows = [(n, e.summary) for n, e in self.entries.items() if e.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A search engine for sound: find any moment in your recordings.",
    epilog="The library is -l, else $EARMARK_LIBRARY, else a folder among your user data. "
    "Commands that answer take --json.",
)
@click.version_option(__version__, message="earmark %(version)s")
@click.option("-l", "--library", metavar="FOLDER_OR_URL", help="The library to work with.")
@click.pass_context
def root(ctx: click.Context, library: str | None) -> None:
    """Remember the library that was named before the command."""
    ctx.obj = library
