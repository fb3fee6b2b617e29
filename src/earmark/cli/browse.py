"""``earmark list``, ``earmark info`` and ``earmark export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from earmark.cli import common
from earmark.errors import UsageError

FORMATS = ("m3u", "csv", "json", "parquet")
"""`exporting.FORMATS`, written again so that ``--help`` does not import it."""


@click.command("list")
@common.where_option
@click.option("--limit", "-k", type=click.IntRange(min=0), help="How many at most [default: all].")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="How many to pass over.")
@common.json_option
@common.library_option
def list_(
    library: str | None, as_json: bool, where: str | None, limit: int | None, offset: int
) -> int:
    """List tracks by id.  Exit code 1: no track is let through by --where."""
    from earmark.cli import tables
    from earmark.library.exporting import track_json

    with common.open_library(library) as lib:
        tracks = lib.list(where=where, limit=limit, offset=offset)
        total = lib.count(where=where)
    if as_json:
        common.print_json({"total": total, "tracks": [track_json(t) for t in tracks]})
    elif tracks:
        print(tables.tracks_table(tracks))
        if len(tracks) < total:
            common.say(f"{len(tracks)} of {total} tracks")
    else:
        common.say("no tracks")
    return common.NOTHING_FOUND if where is not None and not total else 0


@click.command()
@common.json_option
@common.library_option
def info(library: str | None, as_json: bool) -> None:
    """Tell what is in the library, its sizes, its encoders and its health."""
    with common.open_library(library) as lib:
        document = lib.info()
    if as_json:
        common.print_json(document)
    else:
        print(_describe(document))


def _describe(document: dict[str, Any]) -> str:
    from earmark.cli import tables

    lines = [
        f"library   {document['library']} (format {document['format']})",
        f"tracks    {document['tracks']}, {document['seconds'] / 3600:.2f} hours of audio",
        f"failed    {document['failures']} files",
        f"on disk   {tables.size(document['bytes'])}, "
        f"{tables.size(document['bytes_per_hour'])} an hour",
        f"fields    {', '.join(sorted(document['fields']))}",
    ]
    for encoder in document["encoders"]:
        lines.append(
            f"encoder   {encoder['name']} ({encoder['kind']}): {encoder['rows']} rows of "
            f"{encoder['tracks']} tracks, {tables.size(encoder['bytes'])} "
            f"({tables.size(encoder['bytes_per_hour'])} an hour, "
            f"{tables.size(encoder['search_memory'])} of memory to search), "
            f"index {encoder['index'] or 'none'}, revision {encoder['revision']}"
        )
    lines += [f"advice    {advice}" for advice in document["advice"]]
    return "\n".join(lines)


@click.command()
@click.argument("named", metavar="[FORMAT]", type=click.Choice(FORMATS), required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: by OUTPUT's suffix]")
@click.option("-o", "--output", metavar="FILE", help="Where to write [default: standard output].")
@common.where_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@common.library_option
def export(
    library: str | None,
    named: str | None,
    form: str | None,
    output: str | None,
    where: str | None,
    as_json: bool,
) -> None:
    """Write tracks as m3u, csv, json or parquet."""
    chosen = _format({named, form, "json" if as_json else None} - {None}, output)
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("parquet is no text for a terminal", hint="name a file with -o")
    with common.open_library(library) as lib:
        content = lib.export(chosen, where=where)
        total = lib.count(where=where)
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    Path(output).write_bytes(content)
    common.say(f"wrote {total} tracks to {output}")


def _format(asked: set[str | None], output: str | None) -> str:
    """The format that was asked for, or that of the output's suffix."""
    suffix = Path(output).suffix.lower().removeprefix(".") if output else ""
    suffix = "m3u" if suffix == "m3u8" else suffix
    if len(asked) > 1:
        raise UsageError(
            f"one format is written at a time, got {' and '.join(sorted(map(str, asked)))}",
            hint="name it once",
        )
    for name in (*asked, suffix):
        if name in FORMATS:
            return name
    raise UsageError(
        f"the format must be named, or be that of the output's suffix, got {output!r}",
        hint=f"earmark export {'|'.join(FORMATS)}",
    )
