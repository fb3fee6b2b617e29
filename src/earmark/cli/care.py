"""``earmark remove``, ``verify``, ``rebuild`` and ``compact``."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from earmark.cli import common, progress
from earmark.errors import UsageError


@click.command()
@click.argument("tracks", nargs=-1, metavar="[ID_OR_PATH]...")
@common.where_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common.json_option
@common.library_option
def remove(
    library: str | None, as_json: bool, tracks: tuple[str, ...], where: str | None, yes: bool
) -> int:
    """Remove tracks from the library, by id, path or --where; their files stay."""
    if bool(tracks) == (where is not None):
        raise UsageError(
            "'remove' takes either ids and paths, or --where",
            hint="earmark list --where EXPR shows what a filter lets through",
        )
    with common.open_library(library) as lib:
        found = list(lib.list(where=where)) if where else [lib.track(t) for t in tracks]
        ids = sorted({track.id for track in found})
        if ids and not yes:
            _confirm(len(ids))
        removed = lib.remove(ids)
    if as_json:
        common.print_json({"removed": removed, "tracks": ids})
    else:
        common.say(f"removed {removed} tracks")
    return 0 if removed else common.NOTHING_FOUND


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"to remove {count} tracks needs a yes, and there is no terminal to ask at",
            hint="add --yes",
        )
    click.confirm(f"remove {count} tracks?", abort=True, err=True)


@click.command()
@common.json_option
@common.library_option
def verify(library: str | None, as_json: bool) -> int:
    """Check all that is stored against its checksums.  Exit code 1: something is damaged."""
    with common.open_library(library) as lib:
        damages = lib.verify()
    if as_json:
        common.print_json({"ok": not damages, "damages": [asdict(d) for d in damages]})
    else:
        for damage in damages:
            tracks = f" ({len(damage.tracks)} tracks)" if damage.tracks else ""
            mend = f"; {damage.mend}" if damage.mend else ""
            print(f"{damage.what} {damage.name}: {damage.reason}{tracks}{mend}")
        common.say("damaged; earmark rebuild mends what it can" if damages else "all is well")
    return common.SOME_FAILED if damages else 0


@click.command()
@click.option("--fit", metavar="NAME", help="Fit this encoder anew on the library, then encode.")
@click.option("--encoder", metavar="NAME", help="Encode all tracks anew with this encoder.")
@click.option(
    "--index",
    metavar="KIND",
    help="Kind of the search indexes: auto, flat, ivf, ivfpq, ivfpq-rr or hnsw.",
)
@click.option("--profile", metavar="NAME", help="Go over to timbre's default, zounds or own.")
@click.option("--labels", metavar="FIELD", help="With --fit timbre: the tag that names kinds.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes [default: one per core].")
@common.json_option
@common.library_option
def rebuild(
    library: str | None,
    as_json: bool,
    fit: str | None,
    encoder: str | None,
    index: str | None,
    profile: str | None,
    labels: str | None,
    workers: int | None,
) -> int:
    """Derive indexes, codebooks or rows anew, and mend what is damaged."""
    with common.open_library(library, workers=workers) as lib, progress.shown() as on_progress:
        report = lib.rebuild(
            fit=fit,
            encoder=encoder,
            index=index,
            profile=profile,
            labels=labels,
            on_progress=on_progress,
        )
    if as_json:
        common.print_json(report.to_json())
    else:
        for line in report.done:
            print(line)
        for failure in report.failed:
            common.say(f"failed {failure.path}: {failure.error}")
    return common.SOME_FAILED if report.failed else 0


@click.command()
@common.json_option
@common.library_option
def compact(library: str | None, as_json: bool) -> None:
    """Free the space of what was removed or replaced; searches go on meanwhile."""
    from earmark.cli import tables

    with common.open_library(library) as lib:
        won = lib.compact()
    if as_json:
        common.print_json({"bytes": won})
    else:
        common.say(f"freed {tables.size(won)}")
