"""Opening a library: the edge at which the settings are read, once.

Nothing below it looks at the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from earmark.config import Settings
from earmark.library.facade import Library


def open(  # noqa: A001
    path_or_url: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    settings: Settings | None = None,
    token: str | None = None,
) -> Library:
    """Open a library.

    Parameters
    ----------
    path_or_url : str or path, optional
        A folder, the URL of a store, or the address of a server (``http://host:port``).
        Default: the setting `library`, else the folder ``earmark/library`` among the user's data.
    create : bool
        Make a new library where there is none.
    settings : Settings, optional
        Default: from the variables ``EARMARK_...``.
    token : str, optional
        For a server.  Default: ``EARMARK_TOKEN_WRITE``, else ``EARMARK_TOKEN_READ``.

    Returns
    -------
    Library
        A context manager; leaving it closes the library.

    Raises
    ------
    LibraryNotFound
        If there is none and `create` is false.
    ForeignFormat
        If something else lies there, or a library of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> with open(tempfile.mkdtemp() + "/library") as lib:
    ...     len(lib)
    0
    """
    settings = Settings.from_env(os.environ) if settings is None else settings
    place = os.fspath(path_or_url) if path_or_url is not None else settings.library
    if place.startswith(("http://", "https://")):
        from earmark.library.remote import RemoteLibrary

        known = os.environ.get("EARMARK_TOKEN_WRITE") or os.environ.get("EARMARK_TOKEN_READ")
        return RemoteLibrary(place, token=token or known, settings=settings)
    from earmark.stores import open_store

    return Library(open_store(place or default_library(), create=create), settings)


def default_library() -> str:
    """Return the folder of the library when none is named: among the user's data."""
    import platformdirs

    return str(Path(platformdirs.user_data_dir("earmark", appauthor=False)) / "library")
