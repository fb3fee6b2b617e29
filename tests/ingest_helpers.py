"""What the tests of ingest share: libraries in a temporary folder, made of short tones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from audio_factory import tone, write_wav
from earmark import ingest
from earmark.executors import SerialExecutor
from earmark.ingest import IngestReport, Plan
from fakes import MemoryStore


def write(path: Path, number: int, *, seconds: float = 1.5) -> Path:
    """Write a tone that no other number has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(200 + 13 * number, seconds=seconds, sample_rate=8000)
    return write_wav(path, samples, 8000)


def silence(path: Path, *, seconds: float = 1.5) -> Path:
    """Write digital silence."""
    return write_wav(path, np.zeros(round(seconds * 8000), np.float32), 8000)


def touch(path: Path, *, seconds: int = 5) -> None:
    """Move a file's time, not its content."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 1_000_000_000))


class Bench:
    """A folder of sounds and a store in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sounds"
        self.folder.mkdir()
        self.store = MemoryStore()
        self.encoders: tuple[str, ...] = ("level",)

    def add(self, name: str, number: int, **options: Any) -> Path:
        """Write a tone into the folder."""
        return write(self.folder / name, number, **options)

    def path(self, name: str) -> str:
        """The canonical path of a name in the folder."""
        return str(self.folder / name)

    def plan(self, *paths: Path | str, **options: Any) -> Plan:
        """Plan for the folder, or other paths."""
        places = [os.fspath(path) for path in paths] or [str(self.folder)]
        return ingest.plan(self.store, places, encoders=self.encoders, **options)  # type: ignore[arg-type]

    def index(self, *paths: Path | str, **options: Any) -> IngestReport:
        """Plan and run; a run may leave nothing to do for the next one."""
        plan = self.plan(*paths, **options)
        return ingest.run(self.store, plan, SerialExecutor())  # type: ignore[arg-type]

    def tracks(self) -> dict[str, int]:
        """Track ids by name in the folder."""
        return {
            os.path.relpath(record.path, self.folder): track
            for track, record in self.store.content.tracks.items()
        }


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    """added, updated, unchanged, removed, failed."""
    return (
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        len(report.failed),
    )
