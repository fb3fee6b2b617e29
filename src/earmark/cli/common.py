"""What commands share: the options of every command, opening the library, printing answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from earmark.config import Settings

if TYPE_CHECKING:
    from earmark.library import Library

F = TypeVar("F", bound=Callable[..., Any])

NOTHING_FOUND = 1
SOME_FAILED = 1


def library_option(function: F) -> F:
    """Let a command take ``--library`` after its name too."""
    return click.option(
        "-l",
        "--library",
        metavar="FOLDER_OR_URL",
        help="The library to work with [default: $EARMARK_LIBRARY, else among your user data].",
    )(function)


def json_option(function: F) -> F:
    """Let a command answer as JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document.")(
        function
    )


def where_option(function: F) -> F:
    """Let a command filter tracks."""
    return click.option(
        "--where",
        metavar="EXPR",
        help="Only tracks for which this holds, e.g. \"genre = 'jazz' and duration < 10\".",
    )(function)


def settings(**changes: Any) -> Settings:
    """Return the settings of the environment with the options that were given."""
    return Settings.from_env(os.environ).with_changes(**changes)


def open_library(library: str | None, *, create: bool = False, **changes: Any) -> Library:
    """Open the library that was named after the command, before it, or in the environment.

    Raises
    ------
    LibraryNotFound
        If there is none and `create` is false.
    """
    from earmark.library import open as open_

    named = library or click.get_current_context().find_object(str)
    return open_(named, create=create, settings=settings(**changes))


def print_json(document: object) -> None:
    """Print the one document of standard output; ASCII, so that every name gets through."""
    print(json.dumps(document, ensure_ascii=True, allow_nan=False))


def say(message: str) -> None:
    """Print a message for people on standard error."""
    print(message, file=sys.stderr, flush=True)


def split_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that came comma-separated, repeated, or both.

    Examples
    --------
    >>> split_names(("timbre, melody", "clap"))
    ('timbre', 'melody', 'clap')
    """
    return tuple(name.strip() for text in names for name in text.split(",") if name.strip())
