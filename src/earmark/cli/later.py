"""Commands whose feature comes in a later version: they exist, say so, and never pretend.

Their options are those that the feature will have, so that scripts can be written today.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from earmark.cli.common import json_option, library_option
from earmark.errors import NotAvailable

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
    )(function)


mcp = planned("mcp", "Serve the library to assistants.", answers=False)
