"""Filters of clients: parsed by our grammar, and not about what the client may not see."""

from __future__ import annotations

from earmark import where as grammar
from earmark.server.access import Access
from earmark.server.problems import Problem

_ABOUT_PLACES = frozenset({"path"})


def check_where(where: str | None, access: Access) -> None:
    """Look at a filter before it is used.

    Raises
    ------
    FilterSyntaxError
        If it is malformed.
    Problem
        403 if it asks for paths that the client may not see: answers would give them away.
    """
    if where is None:
        return
    fields = grammar.fields_of(grammar.parse(where))
    if not access.paths and fields & _ABOUT_PLACES:
        raise Problem(403, "a filter may not ask for 'path' here", hint="search for words instead")
