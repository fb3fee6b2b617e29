"""``earmark index`` and ``earmark watch``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from earmark.cli import common, progress
from earmark.errors import LibraryNotFound
from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.ingest import IngestReport

F = TypeVar("F", bound=Callable[..., Any])


def _filling(function: F) -> F:
    """The options that `index` and `watch` share."""
    for option in (
        common.library_option,
        common.json_option,
        click.option("--salvage", is_flag=True, help="Keep what can be decoded of damaged files."),
        click.option("--ignore", multiple=True, metavar="PATTERN", help="As in a .gitignore."),
        click.option("--metadata", metavar="FILE", help="CSV or JSON: a column path, and tags."),
        click.option("--executor", default="processes", metavar="NAME", help="processes or ray."),
        click.option("--workers", type=click.IntRange(min=0), help="Processes, 0: one per core."),
        click.option(
            "--encoders",
            multiple=True,
            metavar="A,B",
            help="[default: those of the library, else timbre]",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            help="Of the encoder timbre: default, zounds or own.  [default: the library's]",
        ),
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
    ):
        function = option(function)
    return function


@click.command()
@_filling
@click.option("--prune", is_flag=True, help="Remove tracks under PATH whose file is gone.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and how long it would take.")
def index(library: str | None, as_json: bool, dry_run: bool, **options: Any) -> int:
    """Add files, folders, zip archives and URLs to the library.

    Only what is new or has changed is decoded.  Ctrl-C leaves a good library; the next run goes
    on where this one stopped.  Exit code 1: some files failed; each is named with its reason.
    """
    from earmark.library.filling import check_paths

    options = _options(options)
    check_paths(options["paths"])  # before a library is made for nothing
    if dry_run:
        return _dry_run(library, options, as_json=as_json)
    with common.open_library(library, create=True) as lib, progress.shown() as on_progress:
        report = lib.add(options.pop("paths"), on_progress=on_progress, **options)
    if as_json:
        common.print_json(report.to_json())
    _say_report(report, quiet=as_json)
    return common.SOME_FAILED if report.failed else 0


def _options(options: dict[str, Any]) -> dict[str, Any]:
    names = common.split_names(options["encoders"])
    return options | {
        "encoders": names or None,
        "salvage": options["salvage"] or None,  # the flag can only add to the setting
    }


def _dry_run(library: str | None, options: dict[str, Any], *, as_json: bool) -> int:
    """Say what would be done; a library that is not there yet is none afterwards either."""
    from earmark.library import open as open_

    with ExitStack() as stack:
        try:
            lib = stack.enter_context(common.open_library(library))
        except LibraryNotFound:
            empty = stack.enter_context(TemporaryDirectory(prefix="earmark-"))
            lib = stack.enter_context(open_(f"{empty}/library", settings=common.settings()))
        on_progress = stack.enter_context(progress.shown())
        forecast = lib.forecast(options.pop("paths"), on_progress=on_progress, **options)
    if as_json:
        common.print_json(forecast.to_json())
        return common.SOME_FAILED if forecast.failed else 0
    for name, count in forecast.counts.items():
        print(f"{name:<10}{count}")
    print(f"would take about {format_time(forecast.seconds)}")
    for failure in forecast.failed:
        common.say(f"failed {failure.path}: {failure.error}")
    for path in forecast.vanished:
        common.say(f"gone {path}")
    return common.SOME_FAILED if forecast.failed else 0


def _say_report(report: IngestReport, *, quiet: bool) -> None:
    """Say on standard error what was done; with JSON on standard output only what failed."""
    for failure in report.failed:
        common.say(f"failed {failure.path}: {failure.error}")
    if quiet:
        return
    for warning in report.warnings:
        common.say(f"warning: {warning}")
    for path in report.vanished:
        common.say(f"gone {path}")
    speed = report.audio_seconds / report.seconds if report.seconds else 0.0
    common.say(
        f"added {report.added}, updated {report.updated}, unchanged {report.unchanged}, "
        f"removed {report.removed}, failed {len(report.failed)} in {report.seconds:.1f} s"
        + (
            f": {format_time(report.audio_seconds)} of audio, {speed:.0f}x real time"
            if report.audio_seconds
            else ""
        )
    )


@click.command()
@_filling
@click.option("--prune", is_flag=True, help="Also remove tracks whose file goes away.")
@click.option(
    "--debounce",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Seconds of quiet before changes are taken.",
)
def watch(library: str | None, as_json: bool, debounce: float, **options: Any) -> None:
    """Add folders, then follow them and add what changes, until Ctrl-C.

    With --json each round prints the report of `index` on a line of its own.
    """
    options = _options(options)

    def on_report(report: IngestReport) -> None:
        if as_json:
            common.print_json(report.to_json())
        _say_report(report, quiet=as_json)

    with common.open_library(library, create=True) as lib, progress.shown() as on_progress:
        lib.watch(
            options.pop("paths"),
            stop=threading.Event(),  # never set: Ctrl-C ends it
            debounce=debounce,
            on_report=on_report,
            on_progress=on_progress,
            **options,
        )
