"""Commands whose feature comes in a later version: they exist, say so, and never pretend.

Their options are those that the feature will have, so that scripts can be written today.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from earmark.cli.common import json_option, library_option
from earmark.errors import NotAvailable

_FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")
_ANYTHING = click.argument("args", nargs=-1, type=click.UNPROCESSED)
_K = click.option("-k", type=click.IntRange(min=1), default=10, help="How many at most.")


def planned(
    name: str, what: str, *params: Any, hint: str | None = None, answers: bool = True
) -> click.Command:
    """Make a command that takes its arguments and says that it comes later.

    Parameters
    ----------
    name : str
        The command's name.
    what : str
        What it will do, in one sentence.
    params : decorators
        Its arguments and options.
    hint : str, optional
        What does something like it today.
    answers : bool
        Whether it takes ``--json``.
    """

    def refuse(**_: object) -> None:
        raise NotAvailable(
            f"{name!r} comes in a later version of earmark",
            hint=hint or "earmark --help lists what works now",
        )

    function: Callable[..., None] = library_option(refuse)
    for param in ([json_option] if answers else []) + list(reversed(params)):
        function = param(function)
    return click.command(
        name,
        help=f"{what}\n\nNot in this version: this feature comes in a later version.",
        context_settings={"ignore_unknown_options": _ANYTHING in params},
    )(function)


def planned_group(name: str, what: str, commands: Sequence[click.Command]) -> click.Group:
    """Make a group of planned commands."""
    group = click.Group(
        name, help=f"{what}\n\nNot in this version: this feature comes in a later version."
    )
    for command in commands:
        group.add_command(command)
    return group


_SIMILAR = "earmark search --audio FILE finds what sounds like it"
_LIKE = "earmark search --like X --unlike Y works now"

tag = planned(
    "tag",
    "Tell what sounds are in files.",
    _FILES,
    click.option("--labels", metavar="A,B,C", help="Choose among these labels."),
    hint="earmark index PATH --metadata FILE adds tags of your own",
)
recommend = planned(
    "recommend",
    "Suggest tracks that are like some and unlike others.",
    click.option("--like", multiple=True, required=True, metavar="X", help="A track you like."),
    click.option("--unlike", multiple=True, metavar="Y", help="A track you do not like."),
    _K,
    hint=_LIKE,
)
playlist = planned(
    "playlist",
    "Make a path of tracks from one to another.",
    click.option("--from", "from_", required=True, metavar="A", help="The first track."),
    click.option("--to", required=True, metavar="B", help="The last track."),
    _K,
    hint="earmark export --format m3u writes a playlist of a filter",
)
duplicates = planned("duplicates", "Find tracks that are the same recording.", hint=_SIMILAR)
map = planned("map", "Lay the library out on a map.")  # noqa: A001
mcp = planned("mcp", "Serve the library to assistants.", answers=False)
models = planned_group(
    "models",
    "List and pull model files.",
    [
        planned("list", "List model files."),
        planned("pull", "Fetch a model's files.", click.argument("name", metavar="NAME")),
    ],
)
fingerprint = planned_group(
    "fingerprint",
    "Train and examine the fingerprinter.",
    [
        planned("train", "Train the fingerprinter.", _ANYTHING),
        planned("generate", "Make fingerprints of files.", _ANYTHING),
        planned("evaluate", "Measure the fingerprinter.", _ANYTHING),
    ],
)
