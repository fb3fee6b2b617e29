"""What a media worker can be asked to do; each is a small picklable value.

A worker gets an upload as bytes and a track by the path that the catalog has: nothing that a client
wrote is ever a path here.
"""

from __future__ import annotations

import io
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from earmark.sources import Source
from earmark.types import Float32Array

HIGHEST_RATE = 48_000
"""No encoder listens higher: an upload at a higher rate is resampled while it is decoded."""

_MEMORY = 4 << 30
_FILE_SIZE = 4 << 30


@dataclass(frozen=True)
class Sound:
    """A decoded upload: samples float32 of shape (n,), their rate in Hz, what was odd."""

    samples: Float32Array
    sample_rate: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TooLong:
    """The sound lasts longer than allowed; decoding stopped there."""

    seconds: float


class MediaTask(Protocol):
    """Something for a worker."""

    @property
    def source(self) -> Source:
        """What it works on."""

    def run(self) -> Any:
        """Do it (in the worker)."""


@dataclass(frozen=True)
class DecodeUpload:
    """Decode bytes to mono samples, at most `max_seconds`."""

    data: bytes = field(repr=False)
    max_seconds: float
    sample_rate: int | None = None

    @property
    def source(self) -> Source:
        """A name for messages."""
        return Source("the upload", len(self.data), 0)

    def run(self) -> Sound | TooLong:
        """Decode."""
        import numpy as np

        from earmark import audio

        with audio.decode(io.BytesIO(self.data), name="the upload", salvage=True) as blocks:
            native = blocks.info.sample_rate
        rate = self.sample_rate or min(native, HIGHEST_RATE)
        parts, heard = [], 0
        with audio.decode(
            io.BytesIO(self.data), sample_rates=[rate], name="the upload", salvage=True
        ) as blocks:
            for block in blocks:
                parts.append(block[rate])
                heard += len(block[rate])
                if heard > self.max_seconds * rate:
                    return TooLong(heard / rate)
            warnings = tuple(blocks.warnings)
        return Sound(np.concatenate(parts), rate, warnings)


@dataclass(frozen=True)
class CutMoment:
    """Cut a moment out of a track, as a file in memory."""

    path: str
    size: int
    start: float
    end: float
    form: str

    @property
    def source(self) -> Source:
        """The track's file."""
        return Source(self.path, self.size, 0)

    def run(self) -> bytes:
        """Decode and write."""
        from earmark import sources
        from earmark.server.media import pcm

        target = io.BytesIO()
        with sources.open_source(self.path) as opened:
            pcm.convert(opened, target, self.form, name=self.path, start=self.start, end=self.end)
        return target.getvalue()


@dataclass(frozen=True)
class Transcode:
    """Write a whole track in another format to a file of the server's own."""

    path: str
    size: int
    target: str
    form: str
    bit_rate: int | None = None

    @property
    def source(self) -> Source:
        """The track's file."""
        return Source(self.path, self.size, 0)

    def run(self) -> float:
        """Decode and write; the seconds written."""
        from earmark import sources
        from earmark.server.media import pcm

        with sources.open_source(self.path) as opened, open(self.target, "wb") as target:
            return pcm.convert(opened, target, self.form, name=self.path, bit_rate=self.bit_rate)


@dataclass(frozen=True)
class Waveform:
    """The least and the greatest sample of even steps of a track, or of a moment of it."""

    path: str
    size: int
    per_second: float
    start: float = 0.0
    end: float | None = None

    @property
    def source(self) -> Source:
        """The track's file."""
        return Source(self.path, self.size, 0)

    def run(self) -> Any:
        """Decode and measure; float32 of shape (n, 2)."""
        from earmark import sources
        from earmark.server.media import waves

        with sources.open_source(self.path) as opened:
            return waves.extremes(
                opened, self.per_second, name=self.path, start=self.start, end=self.end
            )


@dataclass(frozen=True)
class Picture:
    """The spectrogram of a moment of a track, as a PNG."""

    path: str
    size: int
    start: float
    end: float
    width: int
    height: int

    @property
    def source(self) -> Source:
        """The track's file."""
        return Source(self.path, self.size, 0)

    def run(self) -> bytes:
        """Decode and draw."""
        from earmark import sources
        from earmark.server.media import pictures

        with sources.open_source(self.path) as opened:
            return pictures.spectrogram(
                opened, self.start, self.end, self.width, self.height, name=self.path
            )


@dataclass(frozen=True)
class MediaJob:
    """Opens a worker to any of these tasks."""

    def open(self) -> Callable[[Any, Callable[[float], None]], Any]:
        """Limit what the process may take; return what does a task."""
        _limit(resource.RLIMIT_AS, _MEMORY)
        _limit(resource.RLIMIT_FSIZE, _FILE_SIZE)
        _limit(resource.RLIMIT_CORE, 0)
        from earmark import audio  # noqa: F401 - loaded before the first task waits for it

        return _do


def _do(task: MediaTask, _claim: Callable[[float], None]) -> Any:
    return task.run()


def _limit(what: int, value: int) -> None:
    _, most = resource.getrlimit(what)
    allowed = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (allowed, most))
