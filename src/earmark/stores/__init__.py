"""Stores hold tracks and rows; this module finds the store that a path or URL names.

A plain path (or ``local://path``) is a folder on this machine.  Any other ``scheme://`` is looked
up among the entry points of the group ``earmark.stores``: a callable
``open(url: str, *, create: bool) -> Store``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from earmark.errors import NotAvailable, nearest
from earmark.types import Store

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LATER = frozenset({"elasticsearch", "milvus"})


def open_store(url: str, *, create: bool = False) -> Store:
    """Open the store at a path or URL.

    Parameters
    ----------
    url : str
        A folder, ``local://folder``, or a URL whose scheme a plug-in knows.
    create : bool
        Make an empty store if there is none.

    Raises
    ------
    LibraryNotFound
        If there is no library at this place and `create` is false.
    ForeignFormat
        If something else lies there, or a library of a format this version cannot read.
    NotAvailable
        If no installed plug-in knows the scheme.
    """
    match = _SCHEME.fullmatch(url)
    if match is None or match.group(1).lower() in ("local", "file"):
        from earmark.stores.local import open_local

        return open_local(match.group(2) if match else url, create=create)
    scheme = match.group(1).lower()
    plugins = {point.name: point for point in entry_points(group="earmark.stores")}
    if scheme in plugins:
        opener = cast(Callable[..., Store], plugins[scheme].load())
        return opener(url, create=create)
    if scheme in _LATER:
        raise NotAvailable(
            f"libraries at {scheme}:// are not part of this version of earmark",
            hint="give a folder on this machine instead",
        )
    known = sorted({*plugins, "local"})
    raise NotAvailable(
        f"no installed store knows {scheme}://",
        hint=nearest(scheme, known) or f"known: {', '.join(known)}",
    )
