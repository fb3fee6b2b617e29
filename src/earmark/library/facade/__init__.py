"""The facade: a library of tracks that can be filled, searched, listened to and cared for.

A library is safe to read from several threads; one process at a time writes to it.
"""

from __future__ import annotations

from earmark.library.facade.asking import Asking
from earmark.library.facade.caring import Caring
from earmark.library.facade.filling import Filling
from earmark.library.facade.meaning import Meaning
from earmark.library.facade.melodies import Melodies
from earmark.library.facade.recordings import Recordings


class Library(Filling, Asking, Recordings, Melodies, Meaning, Caring):
    """Tracks, and all that can be asked about them; `open` makes one.

    Parameters
    ----------
    store : Store
    settings : Settings
    """


__all__ = ["Library"]
