"""Searching, drawing and browsing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earmark.errors import UsageError
from earmark.library import answers, aspects, covers
from earmark.library.facade.core import Core, parse, show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike, TrackLike
from earmark.library.questions import Question, several
from earmark.types import Float32Array, Track


class Asking(Core):
    """The part that searches by resemblance and by words, and lists."""

    def search(
        self,
        text: str | None = None,
        *,
        audio: AudioLike | None = None,
        like: TrackLike | Sequence[TrackLike] = (),
        unlike: TrackLike | Sequence[TrackLike] = (),
        by: str | Sequence[str] = (),
        where: str | None = None,
        aspect: str | Mapping[str, float] | None = None,
        within: TrackLike | Sequence[TrackLike] | None = None,
        k: int = 10,
        exclude_self: bool = False,
        exact: bool = False,
    ) -> Hits:
        """Find tracks, and the moment in each that matches.

        Parameters
        ----------
        text : str, optional
            Words: in the metadata, in the tags that taggers gave, and read by encoders that can.
        audio : path, Moment, Clip or (samples, sample_rate), optional
            A recording to resemble; ``file.wav#0:30-0:45`` is a moment of it.
        like, unlike : track, or sequence of them
            Tracks to resemble, or not: by id, path (with ``#start-end``) or `Track`; or words.
            ``X^2`` counts twice.  Stored rows are used; a file that the library does not have is
            decoded.  With several, a track scores the mean over the liked ones minus the mean
            over the unliked.
        by : str or sequence of str
            Encoders or kinds that may answer, ``metadata`` or ``tags``.  Default: all.
        where : str, optional
            A filter over fields, e.g. ``"genre = 'jazz' and duration < 10"``.
        aspect : str or mapping, optional
            Weights of aspects of sound, ``{"timbre": 1, "pitch": 0.3}`` or
            ``"timbre=1,pitch=.3"``, and nudges away from the example: ``"brightness=+0.2"``,
            ``"darker"``, ``"longer=.5"``.  A hit's `aspects` says how alike both are in each.
        within : Hits, or sequence of tracks, optional
            Only among these: the hits of a former search, ids or paths.
        k : int
            How many tracks at most.
        exclude_self : bool
            Leave out the tracks that are the query itself (same path or same content).
        exact : bool
            Look at every row, whatever the indexes say.

        Returns
        -------
        Hits
            Best first; scores of different `by` cannot be compared.

        Raises
        ------
        QueryError
            If the question makes no sense, or nothing here can answer it.
        AudioError
            If the recording cannot be decoded.
        """
        question = Question(
            text=text,
            audio=audio,
            like=several(like),
            unlike=several(unlike),
            by=(by,) if isinstance(by, str) else tuple(by),
            where=where,
            aspect=aspects.normal(aspect),
            within=None if within is None else several(within),
            k=k,
            exclude_self=exclude_self,
            exact=exact,
        )
        if covers.asks_for_melody(question):
            return covers.find(
                self.store,
                question,
                get_encoder=self.encoder,
                salvage=self.settings.salvage,
                show=show,
            )
        return answers.answer(
            self.store,
            question,
            get_encoder=self.encoder,
            texts=self.texts,
            hubs=self.hubs,
            salvage=self.settings.salvage,
            show=show,
        )

    def random(self, k: int = 10, *, seed: int | None = None, where: str | None = None) -> Hits:
        """Draw tracks at random, without repetition.

        Parameters
        ----------
        k : int
            How many at most.
        seed : int, optional
            Default: the setting; the same seed draws the same tracks.
        where : str, optional
            A filter.
        """
        seed = self.settings.seed if seed is None else seed
        return answers.draw(self.store, k, seed=seed, where=where, show=show)

    def features(self, track: TrackLike, name: str) -> Float32Array:
        """Return a feature of a track over time; computed when first asked for, then kept.

        Parameters
        ----------
        track : id, path or Track
        name : str
            For example ``bark``, ``bfcc``, ``chroma``, ``mfcc``, ``log_mel``.

        Returns
        -------
        float32 array, shape (frames, dims)

        Raises
        ------
        UsageError
            If there is no feature of this name.
        AudioError
            If the track's file is gone or no longer sound.
        """
        from earmark.library import listening

        return listening.features(self.track(track), name, self.settings)

    def count(self, *, where: str | None = None) -> int:
        """Return the number of tracks that a filter lets through."""
        return self.store.count(parse(where))

    def list(
        self, *, where: str | None = None, limit: int | None = None, offset: int = 0
    ) -> tuple[Track, ...]:
        """Return tracks by ascending id.

        Parameters
        ----------
        where : str, optional
            A filter.
        limit : int, optional
            How many at most.
        offset : int
            How many to pass over.
        """
        if offset < 0 or (limit is not None and limit < 0):
            raise UsageError(f"limit and offset must not be negative, got {limit} and {offset}")
        ids = self.store.track_ids(parse(where))
        stop = None if limit is None else offset + limit
        return tuple(self.store.tracks(ids[offset:stop].tolist()))
