"""Which recording is this: questions about the very same sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from earmark.library.facade.core import Core, show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike
from earmark.types import Clip, Hit

if TYPE_CHECKING:
    from earmark.library.duplicates import Duplicates


class Recordings(Core):
    """The part that knows recordings again."""

    def identify(
        self,
        audio: AudioLike,
        *,
        k: int = 10,
        every: bool = False,
        confidence: float | None = None,
        exact_range: bool = False,
        where: str | None = None,
    ) -> Hits:
        """Tell which recordings a clip was taken from, and where in them; none is an answer.

        Parameters
        ----------
        audio : file, moment, clip, or (samples, sample_rate)
            Of any length; more than half a minute is looked at in overlapping windows.
        k : int
            Most hits.
        every : bool
            Find every recording in a long clip: hits in order of time, as many as there are.
        confidence : float, optional
            Least probability of being right; each hit's is its `score`.
        exact_range : bool
            Read the tracks that were found again, and make ranges, offset and speed exact to a
            hundredth of a second.
        where : str, optional
            Only among tracks for which this expression holds.

        Raises
        ------
        QueryError
            If the library has no fingerprints, or the clip is shorter than half a second.
        """
        from earmark.library import identification

        return identification.identify(
            self.store,
            audio,
            get_encoder=self.encoder,
            k=k,
            every=every,
            confidence=identification.CONFIDENCE if confidence is None else confidence,
            exact_range=exact_range,
            filter_=where,
            salvage=self.settings.salvage,
            show=show,
        )

    def follow(
        self,
        blocks: Iterable[Clip],
        *,
        confidence: float | None = None,
        where: str | None = None,
    ) -> Iterator[Hit]:
        """Tell what is heard in live sound: each recording once, as soon as it is certain.

        Memory is bounded, however long the sound.

        Parameters
        ----------
        blocks : iterable of Clip
            The sound, piece by piece, at `identify_rate` Hz; see `earmark.audio.live`.
        confidence : float, optional
            Least probability of being right.
        where : str, optional
            Only among tracks for which this expression holds.

        Yields
        ------
        Hit
            Its end is that of what has been heard of it so far.
        """
        from earmark.library import identification

        return identification.follow(
            self.store,
            blocks,
            get_encoder=self.encoder,
            confidence=identification.CONFIDENCE if confidence is None else confidence,
            filter_=where,
            show=show,
        )

    def duplicates(self, *, where: str | None = None, min_overlap: float = 0.5) -> Duplicates:
        """Find tracks that are the same recording; nothing is changed.

        Files with the same bytes, and, where the library has fingerprints, the same sound: at
        another bit rate, level, length or speed, or one track inside another.

        Parameters
        ----------
        where : str, optional
            Only among tracks for which this expression holds.
        min_overlap : float
            Least share of the shorter of two tracks that must be the same, within (0, 1].

        Returns
        -------
        Duplicates
            Groups of tracks, each with the evidence and the copies to keep.
        """
        from earmark.library import duplicates

        return duplicates.find(self.store, filter_=where, min_overlap=min_overlap)

    @property
    def identify_rate(self) -> int:
        """Sample rate in Hz of the sound that `follow` takes."""
        from earmark.library import identification

        return identification.Finder(self.store, self.encoder).sample_rate
