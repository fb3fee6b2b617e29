"""``earmark evaluate``: figures for what the library finds, from a manifest of what is right."""

from __future__ import annotations

import click

from earmark.cli import common, reports
from earmark.cli.commands import Entry, LazyGroup
from earmark.errors import QueryError, UsageError

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
@click.option(
    "--encoder",
    metavar="NAME",
    help="Or several (A,B), or 'fused' for all that a search asks [default: the only one].",
)
@click.option("--zero-shot", is_flag=True, help="Let words name the sounds instead.")
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
    zero_shot: bool,
    where: str | None,
    k: int,
    seed: int | None,
) -> int:
    """Let each track of a manifest find the others of its label.

    Paths in the manifest are absolute, or relative to its folder.  A query's own track, and the
    members of its group, count neither as hits nor as misses.

    A manifest with captions (path,caption, or as AudioCaps and Clotho publish them) measures text
    to audio; --zero-shot measures how often the class of a sound (path,label, or as in ESC-50) is
    the nearest of all classes in words.  Both need an encoder that reads.
    """
    from earmark.evaluate import text
    from earmark.evaluate.retrieval import evaluate as run
    from earmark.evaluate.retrieval import read_manifest

    if zero_shot or text.has_captions(manifest):
        if where is not None:
            raise UsageError("'--where' filters manifests of path,label only")
        return _words(library, as_json, manifest, encoder, seed, zero_shot=zero_shot)
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
    reports.print_figures(report)
    print(f"encoder       {report.encoder}")
    print(f"queries       {report.queries} of {report.library_size} tracks, seed {report.seed}")
    if report.silent:
        common.say(f"{report.silent} tracks have no rows (silent); they find and are found last")
    return 0


def _words(
    library: str | None,
    as_json: bool,
    manifest: str,
    encoder: str | None,
    seed: int | None,
    *,
    zero_shot: bool,
) -> int:
    """Measure what words find, or name."""
    from earmark.evaluate import text
    from earmark.types import TextEncoder

    with common.open_library(library) as lib:
        names = [encoder] if encoder else sorted(lib.store.encoders())
        made = [lib.encoder(name) for name in names]
        readers = [one for one in made if encoder or isinstance(one, TextEncoder)]
        if len(readers) != 1:
            raise QueryError(
                f"one encoder that reads must be named, the library has {len(readers)}",
                hint="earmark index PATH --encoders clap" if not readers else "--encoder NAME",
            )
        reader = readers[0]
        measure = text.evaluate_classes if zero_shot else text.evaluate_captions
        report = measure(
            lib.store,
            text.read_classes(manifest) if zero_shot else text.read_captions(manifest),
            reader,
            vector_of=lambda words: lib.texts.get(reader, words),
            seed=lib.settings.seed if seed is None else seed,
        )
    if as_json:
        common.print_json(report.to_json())
        return 0
    reports.print_figures(report)
    print(f"task          {report.task}, encoder {report.encoder}")
    print(f"queries       {report.queries} on {report.library_size} tracks, seed {report.seed}")
    if report.missing:
        common.say(f"{report.missing} queries were left out: their sound is not in the library")
    return 0
