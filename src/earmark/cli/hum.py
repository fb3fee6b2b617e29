"""``earmark hum`` and ``earmark evaluate hum``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import common, reports
from earmark.errors import UsageError
from earmark.moments import format_range

if TYPE_CHECKING:
    from earmark.library.hits import Hits
    from earmark.types import AnyArray, Hit


@click.command()
@click.argument("file", required=False, metavar="[FILE[#start-end]]")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Most hits.")
@click.option("--from-start", "starts", is_flag=True, help="The hum begins where the tune does.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.0, 1.0),
    help="Least probability that the best hit is right [default: 0.5].",
)
@click.option("--plot", metavar="FILE.png", help="Draw the hum over the best tune.")
@click.option("--mic", is_flag=True, help="Listen to the microphone instead of a FILE.")
@click.option(
    "--seconds",
    type=click.FloatRange(2.0, 60.0),
    default=10.0,
    show_default=True,
    help="How long to listen.",
)
@common.where_option
@common.json_option
@common.library_option
def hum(
    library: str | None,
    as_json: bool,
    file: str | None,
    k: int,
    starts: bool,
    confidence: float | None,
    plot: str | None,
    mic: bool,
    seconds: float,
    where: str | None,
) -> int:
    """Tell which tune was hummed, sung, whistled or played in FILE.

    The library needs melodies: earmark index PATH --encoders melody.  The score is the
    probability that a hit is right.  Exit code 1: no tune is near enough.
    """
    if mic == (file is not None):
        raise UsageError("a hum must be one FILE, or come from the microphone with --mic")
    with common.open_library(library) as lib:
        source = file if file is not None else _listen(seconds)
        hits = lib.hum(source, k=k, starts=starts, confidence=confidence, where=where)
        if as_json:
            common.print_json(hits.to_json())
        else:
            _show(hits)
    if plot is not None and hits:
        _draw(hits[0], plot)
    return 0 if hits else common.NOTHING_FOUND


def _listen(seconds: float) -> tuple[AnyArray, int]:
    from earmark.cli import microphone

    common.say(f"listening for {seconds:g} s: hum now")
    return microphone.record(seconds)


def _draw(hit: Hit, path: str) -> None:
    from earmark.library import drawing

    Path(path).write_bytes(drawing.png(hit))
    common.say(f"drawn to {path}")


def _show(hits: Hits) -> None:
    from earmark.cli import tables

    if not hits:
        common.say(f"no match: {hits.query.get('reason', '')}")
        return
    rows = [
        [
            f"{hit.score:.2f}",
            format_range(hit.query_start or 0, hit.query_end or 0),
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
    return reports.answer(report, as_json=as_json)
