"""Count what a run does, and tell whoever watches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from earmark.executors.tasks import EncodedTrack, EncodeTask
from earmark.ingest.estimating import guess_seconds
from earmark.ingest.plans import IngestReport
from earmark.types import Failure, OnProgress, Progress


class Tally:
    """The report in the making.

    Parameters
    ----------
    tasks : sequence of EncodeTask
        All that will be encoded.
    on_progress : callable, optional
    """

    def __init__(self, tasks: Sequence[EncodeTask], on_progress: OnProgress | None) -> None:
        self.added = self.updated = self.removed = self.silent = 0
        self.audio_seconds = 0.0
        self.failed: dict[str, str] = {}
        self.warnings: list[str] = []
        self._began = time.monotonic()
        self._on_progress = on_progress
        self._guesses = {task.source.path: guess_seconds(task.source) for task in tasks}
        self._left = sum(self._guesses.values())
        self._guessed_done = 0.0
        self._files = 0

    def encoded(self, track: EncodedTrack, *, known: bool) -> None:
        """Count a track that was stored."""
        self.updated += known
        self.added += not known
        self.audio_seconds += track.record.info.duration
        self.silent += any(not len(e.rows) and e.skipped for e in track.encoded.values())
        path = track.record.path
        self.warnings.extend(f"{path}: {warning}" for warning in track.warnings)
        self._step(path, whole=True)

    def fail(self, path: str, reason: str) -> None:
        """Count a file that failed."""
        self.failed[path] = reason
        if path in self._guesses:
            self._step(path, whole=False)

    def _step(self, path: str, *, whole: bool) -> None:
        guess = self._guesses.get(path, 0.0)
        self._left -= guess
        self._guessed_done += guess if whole else 0.0
        self._files += 1
        self.show(path)

    def show(self, path: str = "") -> None:
        """Report progress; the length of what is left is guessed as far off as that done was."""
        if self._on_progress is None:
            return
        ratio = self.audio_seconds / self._guessed_done if self._guessed_done else 1.0
        total = self.audio_seconds + max(0.0, self._left) * ratio
        self._on_progress(
            Progress("encode", self._files, len(self._guesses), self.audio_seconds, total, path)
        )

    def report(
        self, *, unchanged: int, vanished: Iterable[str], failed: Iterable[Failure]
    ) -> IngestReport:
        """Return the report, with what planning already knew."""
        failures = {f.path: f.error for f in failed} | self.failed
        return IngestReport(
            added=self.added,
            updated=self.updated,
            unchanged=unchanged,
            removed=self.removed,
            failed=tuple(Failure(path, failures[path]) for path in sorted(failures)),
            seconds=time.monotonic() - self._began,
            audio_seconds=self.audio_seconds,
            vanished=tuple(sorted(vanished)),
            warnings=tuple(self.warnings),
            silent=self.silent,
        )
