"""``earmark recommend`` and ``earmark playlist``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import common

if TYPE_CHECKING:
    from earmark.library.hits import Hits

_M3U = click.option("--m3u", metavar="FILE", help="Write a playlist file too.")
_BY = click.option("--by", multiple=True, metavar="KIND_OR_ENCODER", help="Who may answer.")
_DIVERSITY = click.option(
    "--diversity",
    type=click.FloatRange(0.0, 1.0),
    default=0.3,
    show_default=True,
    help="0: the likest; towards 1: unlike each other.",
)


@click.command()
@click.option("--like", multiple=True, required=True, metavar="X", help="A track, file or words.")
@click.option("--unlike", multiple=True, metavar="Y", help="What to stay away from.")
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@common.where_option
@_DIVERSITY
@click.option(
    "--one-per",
    type=click.Choice(["file", "artist", "none"], case_sensitive=False),
    default="file",
    show_default=True,
    help="No two of the same content, or artist.",
)
@_BY
@_M3U
@common.json_option
@common.library_option
def recommend(
    library: str | None,
    as_json: bool,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    k: int,
    where: str | None,
    diversity: float,
    one_per: str,
    by: tuple[str, ...],
    m3u: str | None,
) -> int:
    """Suggest tracks that are like some and unlike others, and not all the same.

    Exit code 1: there is nothing to suggest.
    """
    with common.open_library(library) as lib:
        hits = lib.recommend(
            like,
            unlike=unlike,
            k=k,
            where=where,
            diversity=diversity,
            one_per=one_per.lower(),
            by=common.split_names(by),
        )
    return _answer(hits, as_json=as_json, m3u=m3u)


@click.command()
@click.option("--from", "start", metavar="A", help="The first track.")
@click.option("--to", "end", metavar="B", help="The last track.")
@click.option("--like", multiple=True, metavar="X", help="Instead: a radio of these tracks.")
@click.option(
    "--length", "-k", type=click.IntRange(min=2), default=20, show_default=True, help="Tracks."
)
@common.where_option
@_DIVERSITY
@_BY
@_M3U
@common.json_option
@common.library_option
def playlist(
    library: str | None,
    as_json: bool,
    start: str | None,
    end: str | None,
    like: tuple[str, ...],
    length: int,
    where: str | None,
    diversity: float,
    by: tuple[str, ...],
    m3u: str | None,
) -> int:
    """Make a path of tracks from one to another in even steps, or a radio (--like).

    The score is the likeness to the track before.
    """
    with common.open_library(library) as lib:
        hits = lib.playlist(
            start=start,
            end=end,
            like=like,
            length=length,
            where=where,
            diversity=diversity,
            by=common.split_names(by),
        )
    return _answer(hits, as_json=as_json, m3u=m3u)


def _answer(hits: Hits, *, as_json: bool, m3u: str | None) -> int:
    from earmark.cli import tables
    from earmark.library.exporting import export

    if as_json:
        common.print_json(hits.to_json())
    elif hits:
        print(tables.hits_table(hits))
    else:
        common.say("nothing found")
    for note in hits.notes if not as_json else ():
        common.say(f"note: {note}")
    if m3u is not None:
        Path(m3u).write_bytes(export([hit.track for hit in hits], "m3u"))
        common.say(f"wrote {len(hits)} tracks to {m3u}")
    return 0 if hits else common.NOTHING_FOUND
