"""What an assistant may ask of a library, answered as JSON values.

An assistant names tracks by their ids, with ``#start-end`` (seconds) for a moment.  Only an
assistant on this machine, at the other end of a pipe, may also name files, and sees where they lie:
it runs as the same user.  Nothing that came over HTTP is ever opened as a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from earmark.errors import QueryError, TrackNotFound
from earmark.library import probes
from earmark.library.exporting import track_json
from earmark.moments import Moment
from earmark.server.media.pool import MediaPool
from earmark.server.media.tasks import CutMoment

if TYPE_CHECKING:
    from earmark.library import Hits, Library
    from earmark.types import Track

MOST = 100
"""Hits in one answer; more would fill an assistant's context."""

LONGEST = 60.0
"""Seconds of sound in one resource."""

_TRACK = re.compile(r"[0-9]{1,18}(#[0-9.:]{0,16}-[0-9.:]{0,16})?")
_PATIENCE = 30.0

Shown = Callable[[str], str]


class Assistant:
    """Answers an assistant's questions.

    Parameters
    ----------
    library : Library
    local_files : bool
        Whether recordings may be named by paths on this machine.
    shown : callable
        From a track's path to the path that the client may see.
    """

    def __init__(
        self, library: Library, *, local_files: bool, shown: Shown = lambda path: path
    ) -> None:
        self.library, self.local_files, self.shown = library, local_files, shown
        self.media = MediaPool(1)

    def close(self) -> None:
        """End the worker that decodes."""
        self.media.close()

    def search(
        self,
        text: str | None,
        *,
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        by: Sequence[str] = (),
        where: str | None = None,
        k: int = 10,
    ) -> dict[str, Any]:
        """Find tracks by words, by likeness, or both; see `Library.search`."""
        found = self.library.search(
            text or None,
            like=[self._likeable(name) for name in like],
            unlike=[self._likeable(name) for name in unlike],
            by=tuple(by),
            where=where or None,
            k=min(k, MOST),
        )
        return self._hits(found)

    def identify(self, recording: str, *, every: bool = False, k: int = 10) -> dict[str, Any]:
        """Tell which recording a clip was taken from; see `Library.identify`."""
        found = self.library.identify(self._sound(recording), every=every, k=min(k, MOST))
        return self._hits(found)

    def hum(self, recording: str, *, k: int = 10) -> dict[str, Any]:
        """Find a hummed tune; see `Library.hum`."""
        answer = self._hits(self.library.hum(self._sound(recording), k=min(k, MOST)))
        for hit in answer["hits"]:
            hit.pop("contour", None)  # hundreds of numbers that no assistant reads
        return answer

    def tag(self, recording: str, *, labels: Sequence[str] = (), k: int = 10) -> dict[str, Any]:
        """Tell what sounds are in a recording; see `Library.tag`."""
        tagged = self.library.tag(self._sound(recording), labels=labels, k=min(k, MOST))[0]
        document = tagged.to_json()
        return document | {"path": self.shown(document["path"]), "by": tagged.by}

    def recommend(
        self,
        like: Sequence[str],
        *,
        unlike: Sequence[str] = (),
        where: str | None = None,
        k: int = 10,
        diversity: float = 0.3,
    ) -> dict[str, Any]:
        """Suggest tracks from likes and dislikes; see `Library.recommend`."""
        found = self.library.recommend(
            [self._likeable(name) for name in like],
            unlike=[self._likeable(name) for name in unlike],
            where=where or None,
            k=min(k, MOST),
            diversity=diversity,
        )
        return self._hits(found)

    def facts(self) -> dict[str, Any]:
        """Tell what is in the library: sizes, kinds of search, fields for filters, advice."""
        return self.library.info() | ({} if self.local_files else {"library": ""})

    def track(self, name: str) -> dict[str, Any]:
        """Tell all that is known of a track."""
        track, _, _ = self._moment(name)
        return self._track_json(track)

    def tracks(self, *, where: str | None = None, first: int = 0, k: int = 50) -> dict[str, Any]:
        """List tracks, a page at a time."""
        wanted = where or None
        listed = self.library.list(where=wanted, limit=min(k, MOST), offset=first)
        return {
            "tracks": [self._track_json(track) for track in listed],
            "first": first,
            "total": self.library.count(where=wanted),
        }

    def sound(self, track: str, start: float, end: float, form: str) -> bytes:
        """Return a moment of a track, of at most `LONGEST` seconds, as a file.

        Raises
        ------
        TrackNotFound
            If there is no such track.
        QueryError
            If the moment is outside of the track, or too long.
        """
        found, _, _ = self._moment(track)
        last = min(end, found.duration)
        if not 0.0 <= start < last:
            raise QueryError(
                f"a moment must lie in the track's {found.duration:.1f} s and end after its start, "
                f"got {start:g} to {end:g}"
            )
        if last - start > LONGEST:
            raise QueryError(f"a moment may last {LONGEST:g} s at most, got {last - start:.1f} s")
        task = CutMoment(found.path, found.size, start, last, form)
        data: bytes = self.media.run(task, _PATIENCE + 0.1 * last)
        return data

    def _hits(self, found: Hits) -> dict[str, Any]:
        document = found.to_json()
        for hit in document["hits"]:
            hit["path"] = self.shown(hit["path"])
            start = hit["start"] or 0.0
            end = min(hit["end"] or hit["duration"], start + LONGEST)
            hit["audio"] = audio_uri(hit["track"], start, end)
        return {"hits": document["hits"], "notes": list(found.notes)}

    def _track_json(self, track: Track) -> dict[str, Any]:
        document = track_json(track)
        uri = audio_uri(track.id, 0.0, min(track.duration, LONGEST))
        return document | {"path": self.shown(track.path), "audio": uri}

    def _moment(self, name: str) -> tuple[Track, float, float | None]:
        """The track that a name means, and the moment of it."""
        if not _TRACK.fullmatch(name) and not self.local_files:
            raise QueryError(
                f"a recording must be a track's id, or a moment of it as 12#3.5-8, got {name!r}",
                hint="'tracks' and 'search' give ids",
            )
        liked = probes.resolve(self.library.store, name)
        if liked.track is None:
            raise TrackNotFound(f"no track is {name!r}")
        return liked.track, liked.start, liked.end

    def _likeable(self, name: str) -> str:
        """A track, or (if that is allowed) a file, as the library takes it."""
        if self.local_files and not _TRACK.fullmatch(name):
            return name
        self._moment(name)
        return name

    def _sound(self, name: str) -> Moment | str:
        """A recording to be listened to: a moment of a track, or (if that is allowed) a file."""
        if self.local_files and not _TRACK.fullmatch(name):
            return name
        track, start, end = self._moment(name)
        return Moment(track.path, start, end)


def audio_uri(track: int, start: float, end: float) -> str:
    """Return the address of a moment's sound.

    Examples
    --------
    >>> audio_uri(12, 3.5, 8.0)
    'earmark://audio/12/3.5/8'
    """
    return f"earmark://audio/{track}/{_number(start)}/{_number(end)}"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
