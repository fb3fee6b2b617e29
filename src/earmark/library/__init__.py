"""The facade: a library of recordings, as the command line, a notebook or a server uses it.

`facade` has `Library`, `opening` has `open`; behind them `filling` adds and mends, `questions` says
what was asked, `probes` makes query rows of it, `searching` asks the store, `answers` puts the
hits together, and `hits` holds them.
"""

from __future__ import annotations

from earmark.library.facade import Library as Library
from earmark.library.hits import Hits as Hits
from earmark.library.opening import open as open  # noqa: A004

__all__ = ["Hits", "Library", "open"]
