"""``earmark identify`` and ``earmark evaluate identify``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from earmark.cli import common
from earmark.errors import AudioError, NotAvailable
from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.library.hits import Hits


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE[#start-end]...")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Most hits.")
@click.option("--all", "every", is_flag=True, help="Find every recording in a long FILE.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0),
    help="Least probability that a hit is right [default: 0.7].",
)
@click.option("--stream", is_flag=True, help="Follow a live sound [a later version].")
@common.where_option
@common.json_option
@common.library_option
def identify(
    library: str | None,
    as_json: bool,
    files: tuple[str, ...],
    k: int,
    every: bool,
    confidence: float | None,
    stream: bool,
    where: str | None,
) -> int:
    """Tell which recording each FILE was taken from, and where in it.

    The library needs fingerprints: earmark index PATH --encoders fingerprint.  The score is the
    probability that a hit is right.  Exit code 1: nothing was found for a FILE, or it failed.
    """
    if stream:
        raise NotAvailable(
            "'--stream' comes in a later version of earmark",
            hint="--all goes through a file of any length now",
        )
    answers: list[object] = []
    missed = False
    with common.open_library(library) as lib:
        for file in files:
            try:
                hits = lib.identify(file, k=k, every=every, confidence=confidence, where=where)
            except AudioError as error:
                if len(files) == 1:
                    raise
                common.say(f"failed {error.source}: {error.reason}")
                answers.append({"query": {"audio": file}, "hits": [], "error": error.reason})
                missed = True
                continue
            missed |= not hits
            answers.append(hits.to_json())
            if not as_json:
                _show(file, hits, several=len(files) > 1)
    if as_json:
        common.print_json(answers if len(files) > 1 else answers[0])
    return common.NOTHING_FOUND if missed else 0


def _show(file: str, hits: Hits, *, several: bool) -> None:
    from earmark.cli import tables

    if several:
        print(file)
    if not hits:
        common.say(f"no match: {file}")
        return
    rows = [
        [
            f"{hit.score:.2f}",
            f"{format_time(hit.query_start or 0)}-{format_time(math.ceil(hit.query_end or 0))}",
            tables.moment(hit),
            tables.describe(hit.track),
        ]
        for hit in hits
    ]
    print(tables.table(["sure", "heard", "moment", "track"], rows, right={0}))


@click.command("identify")
@click.option("--manifest", required=True, metavar="FILE", help="CSV: path,reference,offset.")
@click.option("--encoder", metavar="NAME", help="Fingerprints and codes answer together; ignored.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0),
    help="Least probability that a hit is right [default: 0.7].",
)
@common.json_option
@common.library_option
def evaluate_identify(
    library: str | None,
    as_json: bool,
    manifest: str,
    encoder: str | None,
    confidence: float | None,
) -> int:
    """Let clips find the recordings they were taken from.

    `reference` is the path of a track of the library (absolute, or relative to the manifest's
    folder), `offset` where the clip begins in it, in seconds.  An empty reference is a clip of
    no track: a match of it is a false accept.
    """
    from earmark.evaluate.identification import evaluate, read_manifest

    with common.open_library(library) as lib:
        report = evaluate(lib, read_manifest(manifest), confidence=confidence)
    if as_json:
        common.print_json(report)
    else:
        for name, value in report.items():
            print(f"{name:<16}{value:.3f}" if isinstance(value, float) else f"{name:<16}{value}")
    return 0
