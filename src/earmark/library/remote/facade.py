"""`RemoteLibrary`: the facade over HTTP.  What only the library's own machine can do says so."""

from __future__ import annotations

import builtins
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from earmark.config import Settings
from earmark.errors import QueryError, TrackNotFound, UsageError
from earmark.library import aspects, exporting
from earmark.library.facade import Library
from earmark.library.facade.core import show
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike, TrackLike, Words
from earmark.library.questions import name_of, several
from earmark.library.remote import reading, sending
from earmark.library.remote.client import Client
from earmark.moments import Moment
from earmark.types import Scalar, Track

if TYPE_CHECKING:
    from earmark.library.duplicates import Duplicates
    from earmark.library.maps import Map
    from earmark.library.tagging import TaggedFile
    from earmark.types import Encoder

_PAGE = 1000
_LOOK_SECONDS = 0.5


class RemoteLibrary(Library):
    """A library behind a server, with the methods of `Library`.

    Parameters
    ----------
    url : str
        ``http://host:port``.
    token : str, optional
        What the server wants to see; to change things, its token to write.
    settings : Settings, optional
    timeout : float
        Seconds to wait for an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        settings: Settings | None = None,
        timeout: float = 60.0,
    ) -> None:
        # Not `Library.__init__`: there is no store here.
        self.client = Client(url, token=token, timeout=timeout)
        self.settings = settings or Settings()
        self._encoders = {}

    def __getattr__(self, name: str) -> Any:
        """Say of what needs the store that it is not here."""
        if name == "store":
            raise sending.refuse("this")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def url(self) -> str:
        """What opens this library again."""
        return self.client.url

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def __len__(self) -> int:
        return self.count()

    def encoder(self, name: str) -> Encoder:
        """Refuse: encoders work where the library is."""
        raise sending.refuse(f"the encoder {name!r}")

    # --- asking --------------------------------------------------------------------------------

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
        """Find tracks, and the moment in each that matches; see `Library.search`."""
        if within is not None and not several(within):
            return Hits((), {"within": 0, "k": k})
        weights = aspects.normal(aspect)
        asked = {
            "text": text,
            "by": [by] if isinstance(by, str) else list(by),
            "where": where,
            "aspect": ",".join(f"{n}={w!r}" for n, w in weights.items()) or None,
            "within": [] if within is None else self._ids(within),
            "k": _positive("k", k),
            "exclude_self": exclude_self,
            "exact": exact,
            "explain": True,
        }
        if text is not None and not text.strip():
            raise QueryError("the text of a search must not be empty")
        asked["like"], asked["like_words"], outside = self._liked(like)
        asked["unlike"], asked["unlike_words"], strange = self._liked(unlike)
        if strange is not None:
            raise sending.unknown(strange)
        audio = outside if audio is None else audio
        if audio is None:
            return reading.hits_of(self.client.get("/search", asked), show=show)
        return self._hear("/search", audio, asked)

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
        """Tell which recordings a clip was taken from; see `Library.identify`."""
        asked = {
            "k": _positive("k", k),
            "all": every,
            "confidence": confidence,
            "exact_range": exact_range,
            "where": where,
        }
        return self._hear("/identify", audio, asked)

    def hum(
        self,
        audio: AudioLike,
        *,
        k: int = 10,
        starts: bool = False,
        confidence: float | None = None,
        where: str | None = None,
    ) -> Hits:
        """Tell which tune was hummed; see `Library.hum`."""
        asked = {"k": _positive("k", k), "starts": starts, "confidence": confidence, "where": where}
        return self._hear("/hum", audio, asked)

    def tag(
        self,
        files: AudioLike | Sequence[AudioLike],
        *,
        labels: Sequence[str] = (),
        k: int = 10,
        moments: bool = False,
    ) -> tuple[TaggedFile, ...]:
        """Tell what sounds are in files; see `Library.tag`."""
        asked = {"labels": ",".join(labels) or None, "k": _positive("k", k)}
        one_by_one: builtins.list[Any] = files if isinstance(files, list) else [files]
        found = []
        for file in one_by_one:
            sound = sending.sound_of(file)
            answer = self.client.call("POST", "/tag", asked, body=sound.data)
            found.append(reading.tagged(answer, str(name_of(file)), moments=moments))
        return tuple(found)

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
        """Suggest tracks that are like some and unlike others; see `Library.recommend`."""
        liked, liked_words, outside = self._liked(like)
        unliked, unliked_words, strange = self._liked(unlike)
        for thing in (outside, strange):
            if thing is not None:
                raise sending.unknown(thing)
        asked = {
            "like": liked,
            "unlike": unliked,
            "like_words": liked_words,
            "unlike_words": unliked_words,
            "k": _positive("k", k),
            "where": where,
            "diversity": diversity,
            "one_per": one_per,
            "by": [by] if isinstance(by, str) else list(by),
        }
        return reading.hits_of(self.client.get("/recommend", asked), show=show)

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
        """Make a path of tracks, or a radio; see `Library.playlist`."""
        asked = {
            "from": None if start is None else sending.track_number(self.client, start),
            "to": None if end is None else sending.track_number(self.client, end),
            "like": self._numbers(like),
            "length": _positive("length", length),
            "where": where,
            "diversity": diversity,
            "by": [by] if isinstance(by, str) else list(by),
        }
        return reading.hits_of(self.client.get("/playlist", asked), show=show)

    def duplicates(self, *, where: str | None = None, min_overlap: float = 0.5) -> Duplicates:
        """Find tracks that are the same recording; see `Library.duplicates`."""
        asked = {"where": where, "min_overlap": min_overlap}
        kinds = {encoder["kind"] for encoder in self.client.get("/library")["encoders"]}
        answer = self.client.get("/duplicates", asked)
        return reading.duplicates_of(answer, by_sound="identify" in kinds)

    def map(self, *, fresh: bool = False, by: str | Sequence[str] = ()) -> Map:
        """Return the map that the library keeps; see `Library.map`.

        Only with `fresh` or `by` the server makes one, which needs the token to write.

        Raises
        ------
        TrackNotFound
            If there is none yet.
        QueryError
            If making it failed.
        """
        if fresh or by:
            names = [by] if isinstance(by, str) else list(by)
            self._finish(self.client.send_json("POST", "/map", {"fresh": fresh, "by": names}))
        return reading.map_of(self.client.get("/map"))

    def _hear(self, path: str, audio: AudioLike, asked: Mapping[str, Any]) -> Hits:
        """Ask about a sound."""
        sound = sending.sound_of(audio)
        answer = self.client.call(
            "POST", path, asked, body=sound.data, content_type="application/octet-stream"
        )
        named = {"audio": name_of(audio)}
        return reading.hits_of(answer, query=named, shift=sound.start, show=show)

    def random(self, k: int = 10, *, seed: int | None = None, where: str | None = None) -> Hits:
        """Draw tracks at random, without repetition; see `Library.random`."""
        if k < 1:
            return Hits((), {"random": True, "k": k})
        chosen = self.settings.seed if seed is None else seed
        asked = {"k": k, "seed": chosen, "where": where}
        return reading.hits_of(self.client.get("/random", asked), show=show)

    def _liked(
        self, things: TrackLike | Sequence[TrackLike]
    ) -> tuple[builtins.list[str], builtins.list[str], AudioLike | None]:
        """Tracks, words, and a recording that the library does not have."""
        known: builtins.list[str] = []
        words: builtins.list[str] = []
        outside: AudioLike | None = None
        for thing in several(things):
            if isinstance(thing, Words):
                words.append(str(thing))
                continue
            try:
                known.append(sending.track_number(self.client, thing))
            except TrackNotFound:
                if sending.are_words(thing):
                    words.append(str(thing))
                    continue
                if not isinstance(thing, (str, os.PathLike, Moment)) or outside is not None:
                    raise
                sending.check_there(thing)
                outside = thing
        return known, words, outside

    def _ids(self, things: TrackLike | Sequence[TrackLike]) -> builtins.list[int]:
        return sorted({self.track(thing).id for thing in several(things)})

    def _numbers(self, things: TrackLike | Sequence[TrackLike]) -> builtins.list[str]:
        return [sending.track_number(self.client, thing) for thing in several(things)]

    # --- tracks --------------------------------------------------------------------------------

    def track(self, track: TrackLike) -> Track:
        """Return a track by its id or its path on the server's machine."""
        if isinstance(track, Track):
            return track
        number = sending.track_number(self.client, track).partition("#")[0]
        return reading.track_of(self.client.get(f"/tracks/{number}"))

    def count(self, *, where: str | None = None) -> int:
        """Return the number of tracks that a filter lets through."""
        return int(self.client.get("/tracks", {"where": where, "limit": 0})["total"])

    def list(
        self, *, where: str | None = None, limit: int | None = None, offset: int = 0
    ) -> tuple[Track, ...]:
        """Return tracks by ascending id; see `Library.list`."""
        if offset < 0 or (limit is not None and limit < 0):
            raise UsageError(f"limit and offset must not be negative, got {limit} and {offset}")
        found: builtins.list[Track] = []
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            asked = {"where": where, "limit": size, "offset": offset + len(found)}
            page = reading.tracks_of(self.client.get("/tracks", asked)["tracks"])
            found.extend(page)
            if len(page) < size:
                break
        if limit == 0:
            self.count(where=where)  # a filter that is wrong is wrong for no tracks too
        return tuple(found)

    def set_tags(self, track: TrackLike, tags: Mapping[str, Scalar | None]) -> None:
        """Set tags of the user's own on a track; None removes one."""
        self.client.send_json("PATCH", f"/tracks/{self.track(track).id}/tags", dict(tags))

    def remove(self, tracks: TrackLike | Sequence[TrackLike]) -> int:
        """Remove tracks (their files stay); return how many."""
        ids = self._ids(tracks)
        for number in ids:
            self.client.call("DELETE", f"/tracks/{number}")
        return len(ids)

    def export(self, form: str, *, where: str | None = None) -> bytes:
        """Return the tracks as the bytes of a file: m3u, csv, json or parquet."""
        return exporting.export(self.list(where=where), form)

    def info(self) -> dict[str, Any]:
        """Return what is in the library and what it can answer, as JSON."""
        return {"library": self.url, **self.client.get("/library")}

    # --- filling -------------------------------------------------------------------------------

    def index(
        self, root: str, *, on_progress: Callable[[Mapping[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Let the server index one of its folders, and wait for it.

        Parameters
        ----------
        root : str
            One of ``info()["roots"]``.
        on_progress : callable, optional
            Called with the job's document now and then.

        Returns
        -------
        dict
            The report, as ``earmark index --json`` prints it.

        Raises
        ------
        QueryError
            For another folder, or if the job failed.
        """
        return self._finish(self.client.send_json("POST", "/jobs", {"root": root}), on_progress)

    def _finish(
        self, job: dict[str, Any], on_progress: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Wait for a job and return its report.  Raises `QueryError` if it failed."""
        while job["state"] not in ("done", "failed", "cancelled"):
            time.sleep(_LOOK_SECONDS)
            job = self.client.get(f"/jobs/{job['id']}")
            if on_progress is not None:
                on_progress(job)
        if job["state"] != "done":
            raise QueryError(f"the job ended as {job['state']}: {job.get('error') or 'no reason'}")
        report: dict[str, Any] = job["report"]
        return report


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise QueryError(f"{name} must be at least 1, got {value}")
    return value
