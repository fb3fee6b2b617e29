"""What sounds mean: tags, recommendations, playlists, the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.errors import QueryError
from earmark.library.facade.core import Core, show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike, TrackLike
from earmark.library.questions import several

if TYPE_CHECKING:
    from earmark.library.maps import Map
    from earmark.library.spaces import TrackVectors
    from earmark.library.suggesting import Taste
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

    def recommend(
        self,
        like: TrackLike | Sequence[TrackLike],
        *,
        unlike: TrackLike | Sequence[TrackLike] = (),
        k: int = 10,
        where: str | None = None,
        diversity: float = 0.3,
        one_per: str = "file",
        by: str | Sequence[str] = (),
    ) -> Hits:
        """Suggest tracks that are like some and unlike others, and not all the same.

        Parameters
        ----------
        like, unlike : track or words, or sequence of them
            As in `search`; what is liked is never suggested itself.
        k : int
            How many at most.
        where : str, optional
            A filter.
        diversity : float
            0: the likest ones; towards 1: the more unlike each other.
        one_per : {'file', 'artist', 'none'}
            No two with the same content; with 'artist' no two of one artist either.
        by : str or sequence of str
            Encoders or kinds that may answer.

        Returns
        -------
        Hits
            In the order chosen; scores are those of the search.
        """
        from earmark.library import suggesting

        taste = suggesting.Taste(k=k, diversity=diversity, one_per=one_per)
        found = self._candidates(like, unlike, taste, where, by)
        return suggesting.suggested(found, self._vectors(found), taste)

    def playlist(
        self,
        *,
        start: TrackLike | None = None,
        end: TrackLike | None = None,
        like: TrackLike | Sequence[TrackLike] = (),
        length: int = 20,
        where: str | None = None,
        diversity: float = 0.3,
        by: str | Sequence[str] = (),
    ) -> Hits:
        """Make a path of tracks from one to another, or a radio of what resembles some.

        Parameters
        ----------
        start, end : track
            The path goes from one to the other in small, even steps.
        like : track, or sequence of them
            Instead: tracks that resemble these, ordered so that each follows from the last.
        length : int
            Tracks in all; a small library may give fewer.
        where : str, optional
            A filter; it does not concern the ends.
        diversity : float
            Of a radio; see `recommend`.
        by : str or sequence of str
            Encoders or kinds that say what is near.

        Returns
        -------
        Hits
            In order; a track's score is its likeness to the one before it, the first has 1.
        """
        from earmark.library import playlists

        chosen = (by,) if isinstance(by, str) else tuple(by)
        if start is not None and end is not None and not several(like):
            ends = (self.track(start), self.track(end))
            return playlists.between(self.store, ends, length, where=where, by=chosen, show=show)
        if start is not None or end is not None or not several(like):
            raise QueryError(
                "a playlist needs both ends, or tracks to be like, not both",
                hint="playlist --from A --to B, or playlist --like X",
            )
        seeds = [self.track(thing) for thing in several(like)]
        wanted = max(0, length - len(seeds))
        found = self.recommend(like, k=max(wanted, 1), where=where, diversity=diversity, by=by)
        return playlists.radio(self.store, seeds, found, length, by=chosen, show=show)

    def map(self, *, fresh: bool = False, by: str | Sequence[str] = ()) -> Map:
        """Return the map of the library: made once, then kept and only added to.

        Parameters
        ----------
        fresh : bool
            Make a new layout: all tracks may move.
        by : str or sequence of str
            Encoders or kinds that say what is near.

        Raises
        ------
        QueryError
            If no track has sound.
        NotAvailable
            If umap-learn or scikit-learn is missing.
        """
        from earmark.library import maps

        chosen = (by,) if isinstance(by, str) else tuple(by)
        return maps.chart(self.store, by=chosen, fresh=fresh, seed=self.settings.seed)

    def _candidates(
        self, like: Any, unlike: Any, taste: Taste, where: str | None, by: str | Sequence[str]
    ) -> Hits:
        from earmark.library import answers, suggesting
        from earmark.library.questions import Question

        question = Question(
            like=several(like),
            unlike=several(unlike),
            by=(by,) if isinstance(by, str) else tuple(by),
            where=where,
            k=max(50, suggesting.DEPTH * taste.k),
            exclude_self=True,
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

    def _vectors(self, found: Hits) -> TrackVectors:
        from earmark.library import spaces

        ids = np.array(sorted(hit.track.id for hit in found), np.int64)
        return spaces.track_vectors(self.store, tracks=ids)

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
            make_encoder=lambda name: encoders.create(name, settings=self.settings),
            texts=self.texts,
        )
