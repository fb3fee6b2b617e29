"""Hand results to a store's writer, and commit them now and then.

Every change of the store is shielded from Ctrl-C, so what a commit makes visible is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from earmark.executors.tasks import EncodedTrack
from earmark.ingest.interrupts import Interrupts
from earmark.types import Scalar, TrackRecord, Writer

COMMIT_SECONDS = 2.0
COMMIT_FILES = 256
COMMIT_BYTES = 32_000_000

T = TypeVar("T")


class Committer:
    """Counts what a writer holds uncommitted.

    Parameters
    ----------
    writer : Writer
    interrupts : Interrupts
    automatic : bool
        Commit by itself when enough has gathered; else only when told.
    """

    def __init__(self, writer: Writer, interrupts: Interrupts, *, automatic: bool = True) -> None:
        self.writer = writer
        self._interrupts = interrupts
        self._automatic = automatic
        self._files = 0
        self._bytes = 0
        self._since = time.monotonic()

    def change(self, change: Callable[[Writer], T], *, nbytes: int = 0) -> T:
        """Make one change, whole or not at all as far as Ctrl-C goes."""
        with self._interrupts.shielded():
            result = change(self.writer)
            self._files += 1
            self._bytes += nbytes
        self.tick()
        return result

    def tick(self) -> None:
        """Commit if enough has gathered or enough time has passed."""
        if not (self._automatic and self._files):
            return
        late = time.monotonic() - self._since >= COMMIT_SECONDS
        if late or self._files >= COMMIT_FILES or self._bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Commit what there is."""
        if self._files:
            with self._interrupts.shielded():
                self.writer.commit()
        self._files = self._bytes = 0
        self._since = time.monotonic()


def put(track: EncodedTrack, own: Mapping[str, Scalar] | None = None) -> Callable[[Writer], int]:
    """Return the change that stores an encoded track, with the user's own tags."""

    def change(writer: Writer) -> int:
        record, rest = _titled(track.record, own or {})
        number = writer.put_track(record, track.encoded)
        if rest:
            writer.set_tags(number, rest)
        return number

    return change


def put_copy(
    writer: Writer,
    record: TrackRecord,
    original: int,
    encoders: Sequence[str],
    own: Mapping[str, Scalar],
) -> None:
    """Store a track with the rows of another, and the user's own tags."""
    record, rest = _titled(record, own)
    number = writer.copy_track(record, original, encoders)
    if rest:
        writer.set_tags(number, rest)


def retag(writer: Writer, track: int, record: TrackRecord, own: Mapping[str, Scalar]) -> None:
    """Give a track that stays where it is the user's own tags."""
    titled, rest = _titled(record, own)
    if titled != record:
        writer.move_track(track, titled)
    if rest:
        writer.set_tags(track, rest)


def _titled(
    record: TrackRecord, own: Mapping[str, Scalar]
) -> tuple[TrackRecord, dict[str, Scalar]]:
    """Put title and artist, which are fields and no tags, into the record; return the rest."""
    rest = dict(own)
    title, artist = rest.pop("title", record.title), rest.pop("artist", record.artist)
    return replace(record, title=str(title), artist=str(artist)), rest
