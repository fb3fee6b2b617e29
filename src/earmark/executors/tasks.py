"""What an executor is asked to do, and what it gives back.

A *job* says what is done to every file and is opened once in each worker; a *task* is one file.
Both are plain picklable values: they cross process borders, and later those of machines.

A task that cannot be done gives a `FileFailure` in place of its result; it never stops the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from earmark.config import Settings
from earmark.errors import NotFitted
from earmark.sources import Source
from earmark.types import (
    JSON,
    AnyArray,
    Encoded,
    Encoder,
    Failure,
    Float32Array,
    TrackRecord,
)

ClaimLength: TypeAlias = Callable[[float], None]
"""Told the claimed length of a file in seconds, so that long files may take longer."""


@dataclass(frozen=True)
class FileFailure(Failure):
    """A failure that knows whether trying again could help.

    Parameters
    ----------
    lasting : bool
        The bytes themselves are at fault: until the file changes, the next try would end the
        same way.
    """

    lasting: bool = True


class Task(Protocol):
    """One file to work on."""

    @property
    def source(self) -> Source:
        """The file."""


class Job(Protocol):
    """What is done to each file."""

    def open(self) -> Callable[[Any, ClaimLength], Any]:
        """Load what the work needs; return the function that does a task."""


class Executor(Protocol):
    """Does a job on many files."""

    def run(
        self, job: Job, tasks: Iterable[Any], *, idle: float | None = None
    ) -> Generator[Any | FileFailure | None, None, None]:
        """Yield the result of each task, or its `FileFailure`, in the order they finish.

        Parameters
        ----------
        job : Job
        tasks : iterable of Task
            Consumed as workers become free.
        idle : float, optional
            Yield None whenever this many seconds pass without a result.
        """

    def close(self) -> None:
        """End all workers; the executor may be used again afterwards."""


# --- encoding ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EncoderRef:
    """Names an encoder so that another process can build the same one.

    Parameters
    ----------
    name : str
        As in `earmark.encoders.create`.
    options : mapping
        Its options.
    state : mapping
        Its fitted arrays; empty if it has none.
    factory : str
        ``"module:function"`` called with options and state instead of the registry: for encoders
        that no entry point names.
    settings : Settings, optional
        Where model files lie; by default as the environment says.
    """

    name: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    state: Mapping[str, AnyArray] = field(default_factory=dict)
    factory: str = ""
    settings: Settings | None = None

    def create(self) -> Encoder:
        """Build the encoder.  Raises `UnknownEncoder` and what its module raises."""
        if self.factory:
            from importlib import import_module

            module, _, attribute = self.factory.partition(":")
            encoder: Encoder = getattr(import_module(module), attribute)(
                options=dict(self.options), state=dict(self.state) or None
            )
            return encoder
        from earmark import encoders

        return encoders.create(
            self.name,
            options=dict(self.options),
            state=dict(self.state) or None,
            settings=self.settings,
        )


@dataclass(frozen=True)
class EncodeTask:
    """Encode one file.

    Parameters
    ----------
    source : Source
        The file with the size and time that planning saw: a change after that shows on the next
        run.
    encoders : tuple of str
        Names of the encoders, each in the job; empty to read metadata only.
    content_hash : str
        If planning already computed it.
    salvage : bool
        Keep what can be decoded of a damaged file.
    """

    source: Source
    encoders: tuple[str, ...]
    content_hash: str = ""
    salvage: bool = False


@dataclass(frozen=True)
class EncodedTrack:
    """One file, encoded.

    Parameters
    ----------
    record : TrackRecord
    encoded : dict of str to Encoded
        Rows by encoder.
    warnings : tuple of str
        What was wrong with the file but did not stop it.
    """

    record: TrackRecord
    encoded: dict[str, Encoded]
    warnings: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the rows, refining rows and segments."""
        return sum(
            e.rows.nbytes + e.segments.nbytes + (0 if e.refine is None else e.refine.nbytes)
            for e in self.encoded.values()
        )


@dataclass(frozen=True)
class EncodeJob:
    """Decode each file once, for all encoders that its task names."""

    encoders: tuple[EncoderRef, ...]

    def open(self) -> Callable[[EncodeTask, ClaimLength], EncodedTrack]:
        """Build the encoders; return the function that encodes a file."""
        from earmark.executors.encode import encode_file

        built = {ref.name: ref.create() for ref in self.encoders}
        return lambda task, claim: encode_file(task, built, claim)


# --- sampling for fitted encoders --------------------------------------------------------------


@dataclass(frozen=True)
class SampleTask:
    """Take training rows of a part of one file.

    Parameters
    ----------
    source : Source
    seconds : float
        At most so much audio.
    position : float
        Where in a longer file the part lies: 0 at its start, 1 at its end.
    """

    source: Source
    seconds: float
    position: float = 0.0


@dataclass(frozen=True)
class TrainingRows:
    """Training rows of one file, shape (m, d), and the seconds of audio they came from."""

    path: str
    rows: Float32Array
    seconds: float


@dataclass(frozen=True)
class SampleJob:
    """Collect what a `FittedEncoder` learns from."""

    encoder: EncoderRef

    def open(self) -> Callable[[SampleTask, ClaimLength], TrainingRows]:
        """Build the encoder; return the function that samples a file."""
        from earmark.executors.encode import sample_file
        from earmark.types import FittedEncoder

        encoder = self.encoder.create()
        if not isinstance(encoder, FittedEncoder):
            raise NotFitted(
                f"only an encoder that learns can be fitted; {self.encoder.name!r} does not"
            )
        return lambda task, claim: sample_file(task, encoder, claim)


def empty_rows() -> Float32Array:
    """No training rows: shape (0, 0)."""
    return np.empty((0, 0), np.float32)
