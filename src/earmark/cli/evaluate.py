"""``earmark evaluate``: figures for what the library finds, from a manifest of what is right."""

from __future__ import annotations

import click

from earmark.cli import common
from earmark.cli.commands import Entry, LazyGroup

COMMANDS = {
    "retrieval": Entry("evaluate", "retrieval", "Measure search by example.", "Commands"),
    "identify": Entry(
        "identify", "evaluate_identify", "Measure identification of clips.", "Commands"
    ),
    "hum": Entry("hum", "evaluate_hum", "Measure search by humming.", "Commands"),
}

evaluate = LazyGroup(
    name="evaluate",
    entries=COMMANDS,
    help="Measure how well searches do.  Only reads the library.",
)


@click.command()
@click.option("--manifest", required=True, metavar="FILE", help="CSV: path,label[,group].")
@click.option("--encoder", metavar="NAME", help="[default: the only one of the library]")
@click.option("--where", metavar="EXPR", help="Only rows of the manifest for which this holds.")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Cut-off.")
@click.option("--seed", type=int, help="Settles ties and draws the intervals [default: setting].")
@common.json_option
@common.library_option
def retrieval(
    library: str | None,
    as_json: bool,
    manifest: str,
    encoder: str | None,
    where: str | None,
    k: int,
    seed: int | None,
) -> int:
    """Let each track of a manifest find the others of its label.

    Paths in the manifest are absolute, or relative to its folder.  A query's own track, and the
    members of its group, count neither as hits nor as misses.
    """
    from earmark.evaluate.retrieval import evaluate as run
    from earmark.evaluate.retrieval import read_manifest

    with common.open_library(library) as lib:
        report = run(
            lib.store,
            read_manifest(manifest, where=where),
            encoder=encoder,
            k=k,
            seed=lib.settings.seed if seed is None else seed,
        )
    if as_json:
        common.print_json(report.to_json())
        return 0
    for name, value in report.metrics.items():
        low, high = report.intervals[name]
        print(f"{name:<14}{value:.3f}  ({low:.3f} to {high:.3f})")
    print(f"encoder       {report.encoder}")
    print(f"queries       {report.queries} of {report.library_size} tracks, seed {report.seed}")
    if report.silent:
        common.say(f"{report.silent} tracks have no rows (silent); they find and are found last")
    return 0
