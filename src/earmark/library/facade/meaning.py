"""What sounds mean: tags, recommendations, playlists, the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from earmark.library.facade.core import Core
from earmark.library.probes import AudioLike

if TYPE_CHECKING:
    from earmark.library.tagging import TaggedFile, TagSession


class Meaning(Core):
    """The part that says what sounds are, and lays them out by it."""

    def tag(
        self,
        files: AudioLike | Sequence[AudioLike],
        *,
        labels: Sequence[str] = (),
        k: int = 10,
        moments: bool = False,
    ) -> tuple[TaggedFile, ...]:
        """Tell what sounds are in files.

        Parameters
        ----------
        files : file, moment, clip, or (samples, sample_rate), or a list of them
            Tracks of the library that have not changed are answered from what is stored.
        labels : sequence of str, optional
            Choose among these; needs a text encoder.  Default: the tagger's own labels.
        k : int
            Most labels of a file.
        moments : bool
            Tell those of each moment too.

        Returns
        -------
        tuple of TaggedFile
            In order; a tag's score is the tagger's probability, or for `labels` the share of a
            background of other sounds that resembles the label less.

        Raises
        ------
        AudioError
            If a file cannot be had or decoded.
        NotAvailable
            If no encoder that tags (or reads) is installed.
        """
        session = self.tagger(labels=labels, k=k, moments=moments)
        one_by_one: list[Any] = files if isinstance(files, list) else [files]
        return tuple(session.tag(file) for file in one_by_one)

    def tagger(
        self, *, labels: Sequence[str] = (), k: int = 10, moments: bool = False
    ) -> TagSession:
        """Return what tags one file after the other; see `tag`."""
        from earmark import encoders
        from earmark.library.tagging import Asked, TagSession

        asked = Asked(
            labels=tuple(labels),
            k=k,
            moments=moments,
            salvage=self.settings.salvage,
            seed=self.settings.seed,
        )
        return TagSession(
            asked,
            store=self.store,
            get_encoder=self.encoder,
            make_encoder=encoders.create,
            texts=self.texts,
        )
