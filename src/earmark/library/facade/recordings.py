"""Which recording is this: questions about the very same sound."""

from __future__ import annotations

from earmark.library.facade.core import Core, show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike


class Recordings(Core):
    """The part that knows recordings again."""

    def identify(
        self,
        audio: AudioLike,
        *,
        k: int = 10,
        every: bool = False,
        confidence: float | None = None,
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
            filter_=where,
            salvage=self.settings.salvage,
            show=show,
        )
