"""``earmark hum`` and ``earmark evaluate hum``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from earmark.cli import common
from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.library.hits import Hits


@click.command()
@click.argument("file", metavar="FILE[#start-end]")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Most hits.")
@click.option("--from-start", "starts", is_flag=True, help="The hum begins where the tune does.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0),
    help="Least probability that the best hit is right [default: 0.5].",
)
@common.where_option
@common.json_option
@common.library_option
def hum(
    library: str | None,
    as_json: bool,
    file: str,
    k: int,
    starts: bool,
    confidence: float | None,
    where: str | None,
) -> int:
    """Tell which tune was hummed, sung, whistled or played in FILE.

    The library needs melodies: earmark index PATH --encoders melody.  The score is the
    probability that a hit is right.  Exit code 1: no tune is near enough.
    """
    with common.open_library(library) as lib:
        hits = lib.hum(file, k=k, starts=starts, confidence=confidence, where=where)
        if as_json:
            common.print_json(hits.to_json())
        else:
            _show(hits)
    return 0 if hits else common.NOTHING_FOUND


def _show(hits: Hits) -> None:
    from earmark.cli import tables

    if not hits:
        common.say(f"no match: {hits.query.get('reason', '')}")
        return
    rows = [
        [
            f"{hit.score:.2f}",
            f"{format_time(hit.query_start or 0)}-{format_time(math.ceil(hit.query_end or 0))}",
            tables.moment(hit),
            f"{hit.details['key_shift']:+.1f}",
            f"{hit.details['tempo_ratio']:.2f}",
            tables.describe(hit.track),
        ]
        for hit in hits
    ]
    print(tables.table(["sure", "heard", "moment", "key", "tempo", "track"], rows, right={0, 3, 4}))


@click.command("hum")
@click.option("--manifest", required=True, metavar="FILE", help="CSV: path,label[,group].")
@click.option("--encoder", metavar="NAME", help="Only melodies answer hums; ignored.")
@click.option("--from-start", "starts", is_flag=True, help="The hums begin where the tunes do.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0),
    help="Least probability that the best hit is right [default: 0.5].",
)
@common.json_option
@common.library_option
def evaluate_hum(
    library: str | None,
    as_json: bool,
    manifest: str,
    encoder: str | None,
    starts: bool,
    confidence: float | None,
) -> int:
    """Let hums find their tunes.

    `label` is a track's title, path or file name; an empty one is a hum of no tune of the library:
    an answer to it is a false accept.  With a column `group`, the figures of each singer follow.
    """
    from earmark.evaluate.humming import evaluate, read_manifest

    with common.open_library(library) as lib:
        report = evaluate(lib, read_manifest(manifest), starts=starts, confidence=confidence)
    if as_json:
        common.print_json(report)
        return 0
    groups = report.pop("by_group", {})
    for name, value in report.items():
        print(f"{name:<16}{value:.3f}" if isinstance(value, float) else f"{name:<16}{value}")
    for group, values in groups.items():
        figures = "  ".join(f"{n} {values[n]:.2f}" for n in ("top1", "top10", "mrr"))
        print(f"{group:<16}{figures}  of {values['count']}")
    return 0
