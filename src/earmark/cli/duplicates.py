"""``earmark duplicates``: tracks that are the same recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from earmark.cli import common
from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.library.duplicates import Group, Likeness

_WORDS = {
    "copy": "the same file",
    "same": "the same recording",
    "speed": "at another speed",
    "cut": "another cut",
    "inside": "inside",
}


@click.command()
@common.where_option
@click.option(
    "--min-overlap",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.5,
    show_default=True,
    help="Least share of the shorter track that must be the same.",
)
@common.json_option
@common.library_option
def duplicates(library: str | None, as_json: bool, where: str | None, min_overlap: float) -> None:
    """Find tracks that are the same recording, and suggest which copy to keep.

    Nothing is removed or deleted.  Without fingerprints (earmark index PATH --encoders
    fingerprint) only files with the same bytes are found.
    """
    with common.open_library(library) as lib:
        found = lib.duplicates(where=where, min_overlap=min_overlap)
    if not found.by_sound:
        common.say("only files with the same bytes: this library has no fingerprints")
    if as_json:
        common.print_json(found.to_json())
    elif not found:
        common.say("no duplicates")
    else:
        print("\n\n".join(_describe(group) for group in found))


def _describe(group: Group) -> str:
    from earmark.cli import tables

    names = {track.id: tables.describe(track) for track in group.tracks}
    lines = []
    for track in group.tracks:
        info = track.info
        rate = f" {round(info.bit_rate / 1000)} kbit/s" if info.bit_rate else ""
        mark = "keep" if track.id in group.keep else "    "
        lines.append(
            f"{mark}  {track.id:>6}  {format_time(track.duration):>8}  "
            f"{info.codec}{rate}  {names[track.id]}"
        )
    lines += [f"      {_because(one)}" for one in group.evidence]
    return "\n".join(lines)


def _because(one: Likeness) -> str:
    speed = f", {one.b} plays {100 * (1 / one.speed - 1):+.1f} %" if one.kind == "speed" else ""
    return (
        f"{one.a} and {one.b}: {_WORDS[one.kind]}, "
        f"{format_time(one.a_start)}-{format_time(one.a_end)} is "
        f"{format_time(one.b_start)}-{format_time(one.b_end)}{speed} (sure: {one.confidence:.2f})"
    )
