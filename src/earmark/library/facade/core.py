"""What every part of a library stands on: its store, its settings, its encoders.

The facade is put together of parts, one a module: each is a few methods that ask for their
arguments, import what does the work, and hand over.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from earmark.config import Settings
from earmark.errors import QueryError
from earmark.library import probes
from earmark.library.probes import TrackLike
from earmark.types import Encoder, Expr, Hit, Store, Track

if TYPE_CHECKING:
    from earmark.library.hubs import Hubs
    from earmark.library.wording import TextVectors


class Core:
    """A store with settings, and the encoders that made its rows."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._encoders: dict[str, Encoder] = {}
        self._texts: TextVectors | None = None
        self._hubs: Hubs | None = None

    @property
    def url(self) -> str:
        """What opens this library again."""
        return self.store.url

    def close(self) -> None:
        """Release files and connections."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.store.count()

    def __repr__(self) -> str:
        return f"<earmark.Library {self.url!r}: {len(self)} tracks>"

    def track(self, track: TrackLike) -> Track:
        """Return a track by its id or path.

        Raises
        ------
        TrackNotFound
            If there is none.
        """
        return probes.find_track(self.store, track)

    @property
    def texts(self) -> TextVectors:
        """Vectors of words, kept between questions."""
        from earmark.library.listening import cache_folder
        from earmark.library.wording import TextVectors

        if self._texts is None:
            self._texts = TextVectors(cache_folder(self.settings) / "texts")
        return self._texts

    @property
    def hubs(self) -> Hubs:
        """What is known of tracks that resemble everything, kept between questions."""
        from earmark.library.hubs import Hubs

        if self._hubs is None:
            self._hubs = Hubs()
        return self._hubs

    def encoder(self, name: str) -> Encoder:
        """Return the encoder that made the rows of this name, ready to encode queries.

        Raises
        ------
        UnknownEncoder
            If it is not installed.
        EncoderMismatch
            If the one that is installed would make other rows.
        """
        spec = self.store.encoders().get(name)
        if spec is None:
            raise QueryError(
                f"this library has no rows of an encoder {name!r}",
                hint=f"earmark index PATH --encoders {name}",
            )
        known = self._encoders.get(name)
        # Another process may have fitted it anew meanwhile.
        if known is None or known.spec.revision != spec.revision:
            from earmark import encoders

            known = encoders.restore(spec, self.store.state(name), settings=self.settings)
            self._encoders[name] = known
        return known


def parse(where: str | None) -> Expr | None:
    """Read a filter, if there is one."""
    from earmark import where as filters

    return None if where is None else filters.parse(where)


def show(hits: Sequence[Hit]) -> str:
    """Draw hits for a notebook."""
    from earmark.library import notebook

    return notebook.render(hits)
