"""``earmark search`` and ``earmark random``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import common
from earmark.errors import UsageError

if TYPE_CHECKING:
    from earmark.library.hits import Hits

_K = click.option(
    "-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many at most."
)
_PLAY = click.option("--play", is_flag=True, help="Play the hits, best first, if a player is here.")


@click.command()
@click.argument("text", nargs=-1)
@click.option("--audio", metavar="FILE[#start-end]", help="A recording, or a moment of it.")
@click.option("--like", multiple=True, metavar="X[#start-end]", help="An id, a path, or words.")
@click.option("--unlike", multiple=True, metavar="X[#start-end]", help="What to stay away from.")
@click.option("--by", multiple=True, metavar="KIND_OR_ENCODER", help="Who may answer.")
@common.where_option
@click.option("--exclude-self", is_flag=True, help="Leave out the query's own file.")
@click.option("--aspect", metavar="NAME=W,...", help="Weigh aspects: timbre=1,pitch=.3,darker=.2.")
@click.option("--within", metavar="FILE_OR_-", help="Only among a former answer: JSON, ids, paths.")
@click.option("--explain", is_flag=True, help="Show the rank with each encoder, and aspects.")
@_K
@click.option("--exact", is_flag=True, help="Look at every row, whatever the indexes say.")
@_PLAY
@common.json_option
@common.library_option
def search(
    text: tuple[str, ...],
    library: str | None,
    as_json: bool,
    play: bool,
    explain: bool,
    within: str | None,
    **asked: Any,
) -> int:
    """Find moments by example (--audio), by likeness (--like, --unlike) or by words.

    Times are seconds, mm:ss or h:mm:ss.  TEXT searches titles, artists, paths and tags of files
    (the beginnings of words match, and typos are forgiven), the tags that taggers heard, and what
    words mean where a text model is installed.  --like and --unlike take words too, and weights:
    --unlike "voice^2".  A file that is named with --like but is not in the library is decoded.
    Several encoders, or words together with a recording, are fused by rank.  Exit code 1: nothing
    found.

    Aspects: timbre, spectrum, envelope, pitch, loudness.  Pulls away from the example: brighter,
    darker, longer, shorter, harder or softer attack, noisier, tonal (brightness=+0.2 is the same
    as brighter=.2).
    """
    asked["text"] = " ".join(text) if text else None
    if within is not None:
        asked["within"] = _former(within)
    asked["by"] = common.split_names(asked["by"])
    with common.open_library(library) as lib:
        hits = lib.search(**asked)
    code = _answer(hits, as_json=as_json, explain=explain, play=play)
    for word in text if not as_json else ():
        if Path(word).is_file():
            common.say(f"note: {word} is a file, taken as words; --audio searches by its sound")
    return code


@click.command()
@_K
@click.option("--seed", type=int, help="The same seed draws the same tracks.")
@common.where_option
@_PLAY
@common.json_option
@common.library_option
def random(
    library: str | None, as_json: bool, play: bool, k: int, seed: int | None, where: str | None
) -> int:
    """Draw tracks at random.  The answer names its seed."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    with common.open_library(library) as lib:
        hits = lib.random(k, seed=seed, where=where)
    return _answer(hits, as_json=as_json, explain=False, play=play)


def _former(source: str) -> list[int | str]:
    """Read a former answer from a file, or with - from standard input."""
    from earmark.library import narrowing

    try:
        with click.open_file(source, encoding="utf-8", errors="surrogateescape") as file:
            return narrowing.read(file.read())
    except OSError as error:
        raise UsageError(
            f"the former answer cannot be read: {error.strerror}: {source}",
            hint="earmark search ... --json > FILE makes one",
        ) from None


def _answer(hits: Hits, *, as_json: bool, explain: bool, play: bool) -> int:
    """Print hits, then play them; the exit code."""
    from earmark.cli import playing, tables

    if as_json:
        common.print_json(hits.to_json(explain=explain))
    elif hits:
        print(tables.hits_table(hits, explain=explain))
    else:
        common.say("nothing found")
    for note in hits.notes if not as_json else ():
        common.say(f"note: {note}")
    if play and hits:
        playing.play(hits)
    return 0 if hits else common.NOTHING_FOUND
