"""Looking after a library: tags, removal, checks, rebuilding, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from earmark.library import exporting, overview
from earmark.library.facade.core import Core, parse
from earmark.library.probes import TrackLike
from earmark.library.questions import several
from earmark.types import Damage, OnProgress, Scalar

if TYPE_CHECKING:
    from earmark.library.filling import RebuildReport


class Caring(Core):
    """The part that keeps what is stored in good order."""

    def set_tags(self, track: TrackLike, tags: Mapping[str, Scalar | None]) -> None:
        """Set tags of the user's own on a track; None removes one."""
        found = self.track(track)
        with self.store.writer() as writer:
            writer.set_tags(found.id, tags)
            writer.commit()

    def remove(self, tracks: TrackLike | Sequence[TrackLike]) -> int:
        """Remove tracks (their files stay); return how many.

        Raises
        ------
        TrackNotFound
            If one is not there; nothing is removed then.
        """
        ids = sorted({self.track(track).id for track in several(tracks)})
        if ids:
            with self.store.writer() as writer:
                writer.remove_tracks(ids)
                writer.commit()
        return len(ids)

    def info(self) -> dict[str, Any]:
        """Return what is in the library, sizes, encoders and health, as JSON."""
        return overview.info(self.store)

    def verify(self) -> tuple[Damage, ...]:
        """Check all that is stored against its checksums; empty is good news."""
        return tuple(self.store.verify())

    def rebuild(
        self,
        *,
        encoder: str | None = None,
        fit: str | None = None,
        index: str | None = None,
        profile: str | None = None,
        labels: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> RebuildReport:
        """Derive anew what can be derived, and mend what is damaged; say what was done.

        Parameters
        ----------
        encoder : str, optional
            Encode all tracks anew with this encoder.
        fit : str, optional
            Fit this encoder anew on the library as it is now, then encode all tracks.
        index : str, optional
            Kind of the search indexes: auto, flat, ivf, ivfpq, ivfpq-rr, hnsw.
        profile : {'default', 'zounds', 'own'}, optional
            Go over to this profile of the encoder `timbre`.
        labels : str, optional
            With `fit`: a field of the tracks whose values say which sounds belong together.
        on_progress : callable, optional
            Called with `Progress` now and then.
        """
        from earmark.library import filling

        self._encoders.clear()
        return filling.rebuild(
            self.store,
            self.settings,
            encoder=encoder,
            fit=fit,
            index=index,
            profile=profile,
            labels=labels,
            on_progress=on_progress,
        )

    def compact(self) -> int:
        """Drop dead rows and unreferenced files; return the bytes won."""
        return self.store.compact()

    def export(self, form: str, *, where: str | None = None) -> bytes:
        """Return the tracks as the bytes of a file: m3u, csv, json or parquet."""
        return exporting.export(
            tuple(self.store.tracks(self.store.track_ids(parse(where)).tolist())), form
        )
