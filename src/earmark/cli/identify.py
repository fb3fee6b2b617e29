"""``earmark identify`` and ``earmark evaluate identify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import common, reports, streaming
from earmark.cli.streaming import Asked
from earmark.errors import AudioError, UsageError

if TYPE_CHECKING:
    from earmark.library import Library
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
@click.option(
    "--exact-range", is_flag=True, help="Compare the sound itself: ranges to a hundredth second."
)
@click.option("--cue", metavar="FILE", help="Write a cue sheet too ('-': instead of the table).")
@click.option(
    "--stream", is_flag=True, help="Follow live sound: FILE is '-' (standard input) or 'mic'."
)
@click.option("--pcm", metavar="RATE[:CHANNELS]", help="What is streamed is bare 16-bit PCM.")
@common.where_option
@common.json_option
@common.library_option
def identify(library: str | None, **options: Any) -> int:
    """Tell which recording each FILE was taken from, and where in it.

    The library needs fingerprints: earmark index PATH --encoders fingerprint.  The score is the
    probability that a hit is right.  Exit code 1: nothing was found for a FILE, or it failed.
    """
    asked = Asked(**options)
    _check(asked)
    with common.open_library(library) as lib:
        if asked.stream or asked.files == ("-",):
            return streaming.run(lib, asked)
        return _identify_files(lib, asked)


def _check(asked: Asked) -> None:
    """Refuse options that do not go together."""
    live = asked.stream or asked.files == ("-",)
    if live and (len(asked.files) != 1 or asked.every or asked.exact_range or asked.cue):
        raise UsageError(
            "live sound must be one FILE, without --all, --exact-range and --cue",
            hint="earmark identify --stream - follows standard input",
        )
    if asked.pcm and not live:
        raise UsageError("--pcm goes with --stream only")
    if asked.cue and (len(asked.files) != 1 or (asked.cue == "-" and asked.as_json)):
        raise UsageError(
            "a cue sheet must be of one FILE, and not in place of JSON",
            hint="--cue FILE writes it beside the answer",
        )


def _identify_files(lib: Library, asked: Asked) -> int:
    answers: list[object] = []
    missed = False
    for file in asked.files:
        try:
            hits = lib.identify(
                file,
                k=asked.k,
                every=asked.every or asked.cue is not None,
                confidence=asked.confidence,
                exact_range=asked.exact_range,
                where=asked.where,
            )
        except AudioError as error:
            if len(asked.files) == 1:
                raise
            common.say(f"failed {error.source}: {error.reason}")
            answers.append({"query": {"audio": file}, "hits": [], "error": error.reason})
            missed = True
            continue
        missed |= not hits
        answers.append(hits.to_json())
        if asked.cue:
            _write_cue(file, hits, asked.cue)
        if not asked.as_json and asked.cue != "-":
            _show(file, hits, several=len(asked.files) > 1)
    if asked.as_json:
        common.print_json(answers if len(asked.files) > 1 else answers[0])
    return common.NOTHING_FOUND if missed else 0


def _write_cue(file: str, hits: Hits, target: str) -> None:
    from earmark.cli.cuesheet import cue_sheet
    from earmark.moments import parse_moment

    sheet = cue_sheet(parse_moment(file).source, hits)
    if target == "-":
        print(sheet)
        return
    try:
        Path(target).write_text(sheet + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the cue sheet cannot be written to {target}: {error}") from error


def _show(file: str, hits: Hits, *, several: bool) -> None:
    from earmark.cli import tables

    if several:
        print(file)
    if not hits:
        common.say(f"no match: {file}")
        return
    print(
        tables.table(
            ["sure", "heard", "moment", "track"], [streaming.row(hit) for hit in hits], right={0}
        )
    )


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
    return reports.answer(report, as_json=as_json)
