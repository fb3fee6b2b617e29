"""Which tune is this: questions that are hummed, sung, whistled or played."""

from __future__ import annotations

from earmark.library.facade.core import Core, show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike


class Melodies(Core):
    """The part that knows tunes."""

    def hum(
        self,
        audio: AudioLike,
        *,
        k: int = 10,
        starts: bool = False,
        confidence: float | None = None,
        where: str | None = None,
    ) -> Hits:
        """Tell which tune was hummed, and where in it; none is an answer.

        Parameters
        ----------
        audio : file, moment, clip, or (samples, sample_rate)
            A hum, a song, a whistle, an instrument; or a score.  Five to ten seconds do well, any
            key, half to twice the tempo.
        k : int
            Most hits.
        starts : bool
            The hum begins where the tune begins.
        confidence : float, optional
            Least probability that the best hit is right; each hit's is its `score`.  With less,
            there are no hits, and ``query["reason"]`` says why.
        where : str, optional
            Only among tracks for which this expression holds.

        Returns
        -------
        Hits
            Each hit's `details` have ``confidence``, ``key_shift`` (semitones that the hum lies
            above the tune), ``tempo_ratio`` (above 1: faster than the tune), ``distance``
            (semitones) and ``contour`` (lists ``times`` in seconds of the hum, ``query`` and
            ``target`` in semitones).

        Raises
        ------
        QueryError
            If the library has no melodies.
        """
        from earmark.library import humming
        from earmark.melody.confidence import ACCEPTED

        return humming.hum(
            self.store,
            audio,
            get_encoder=self.encoder,
            k=k,
            starts=starts,
            confidence=ACCEPTED if confidence is None else confidence,
            filter_=where,
            salvage=self.settings.salvage,
            show=show,
        )
