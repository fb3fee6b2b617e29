"""What a run of ingest will do: values that `earmark.ingest.planning` makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.executors.tasks import EncodeTask
from earmark.sources import Source
from earmark.types import Failure, Scalar


@dataclass(frozen=True)
class Move:
    """A track gets another path, or another size and time under the same path; rows stay.

    Parameters
    ----------
    track : int
    source : Source
        Where its content lies now.
    old_path : str
    content_hash : str
    replaces : int, optional
        The track that was at this path before, whose content is gone.
    """

    track: int
    source: Source
    old_path: str
    content_hash: str
    replaces: int | None = None


@dataclass(frozen=True)
class Copy:
    """A new file has the content of another: its rows are copied, not encoded.

    Parameters
    ----------
    source : Source
    content_hash : str
    original : str
        Path of the other file, in the library or in this plan.
    track : int, optional
        Its track, if it has one already.
    encoders : frozenset of str
        Those whose rows that track has already.
    replaces : int, optional
        The track that was at this path before, whose content is gone.
    """

    source: Source
    content_hash: str
    original: str
    track: int | None = None
    encoders: frozenset[str] = frozenset()
    replaces: int | None = None


@dataclass(frozen=True)
class Plan:
    """All that a run will do.

    Parameters
    ----------
    encoders : tuple of str
        The encoders whose rows every track shall have.
    encode : tuple of EncodeTask
        Files to decode, the longest first.
    tracks : mapping of str to int
        For paths of `encode` that are in the library: their track.
    extended : frozenset of str
        Those of them whose content is unchanged and that only lack rows of some encoder.
    moves, copies : tuple
        Tracks that keep their rows, and new tracks that share those of others.
    retag : mapping of int to mapping
        New tags of the user's own for tracks that are otherwise left alone.
    metadata : mapping of str to mapping
        The user's own tags for paths of `encode` and `copies`.
    unchanged : int
        Number of files that need nothing.
    vanished : mapping of str to int
        Tracks under the scanned places whose file is gone.
    prune : bool
        Remove them.
    failed : tuple of Failure
        Files that cannot be read, and those that failed before and have not changed.
    forget : tuple of str
        Paths with a recorded failure that no longer holds.
    """

    encoders: tuple[str, ...]
    encode: tuple[EncodeTask, ...] = ()
    tracks: Mapping[str, int] = field(default_factory=dict)
    extended: frozenset[str] = frozenset()
    moves: tuple[Move, ...] = ()
    copies: tuple[Copy, ...] = ()
    retag: Mapping[int, Mapping[str, Scalar]] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    unchanged: int = 0
    vanished: Mapping[str, int] = field(default_factory=dict)
    prune: bool = False
    failed: tuple[Failure, ...] = ()
    forget: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether carrying it out changes the library."""
        return bool(
            self.encode
            or self.moves
            or self.copies
            or self.retag
            or self.forget
            or (self.prune and self.vanished)
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of files by what happens to them, for a dry run."""
        again = len(self.tracks)
        moved = sum(move.source.path != move.old_path for move in self.moves)
        return {
            "new": len(self.encode) - again,
            "changed": again - len(self.extended),
            "extended": len(self.extended),
            "moved": moved,
            "copied": len(self.copies),
            "unchanged": self.unchanged + len(self.moves) - moved,
            "vanished": len(self.vanished),
            "failed": len(self.failed),
        }


@dataclass(frozen=True)
class IngestReport:
    """What a run did.

    Parameters
    ----------
    added, updated, unchanged, removed : int
        Tracks.  Moved ones, and those that only got rows of another encoder, count as updated.
    failed : tuple of Failure
        By path.
    seconds : float
        Wall time.
    audio_seconds : float
        Length of the audio that was encoded.
    vanished : tuple of str
        Paths whose file is gone and that were not removed.
    warnings : tuple of str
        What was odd about files that were taken all the same.
    silent : int
        Tracks added or updated in which an encoder found nothing but silence.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0
    audio_seconds: float = 0.0
    vanished: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    silent: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``earmark index --json`` prints it."""
        return {
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "removed": self.removed,
            "failed": [{"path": f.path, "error": f.error} for f in self.failed],
            "seconds": round(self.seconds, 3),
            "audio_seconds": round(self.audio_seconds, 3),
        }
