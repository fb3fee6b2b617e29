"""A library behind ``earmark serve``, used as if it were here: ``earmark.open("http://...")``.

`client` speaks HTTP with nothing but the standard library, `reading` makes values of what comes,
`sending` makes requests of what is asked, `facade` is the library.
"""

from __future__ import annotations

from earmark.library.remote.facade import RemoteLibrary as RemoteLibrary

__all__ = ["RemoteLibrary"]
