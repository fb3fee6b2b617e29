"""Decoded audio and what a decoder says of it."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.errors import SampleRateError
from earmark.types.arrays import Float32Array


@dataclass(frozen=True)
class Clip:
    """Decoded mono audio in memory.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Nominally in [-1, 1].
    sample_rate : int
        In Hz.  It travels with the samples and is checked at the encoder's door.
    start : float
        Where the clip begins in its source, in seconds.
    source : str
        What to call it in messages.
    """

    samples: Float32Array
    sample_rate: int
    start: float = 0.0
    source: str = "clip"

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def check_rate(self, sample_rate: int) -> None:
        """Raise `SampleRateError` unless the clip is at `sample_rate` Hz."""
        if self.sample_rate != sample_rate:
            raise SampleRateError(
                f"{self.source}: samples must be at {sample_rate} Hz, got {self.sample_rate} Hz",
                hint="decode with earmark.audio.read(source, sample_rate=...)",
            )


@dataclass(frozen=True)
class AudioInfo:
    """What a decoder says of a source.

    Parameters
    ----------
    duration : float
        Seconds of audio: as the container claims before decoding, as counted after it.
    sample_rate : int
        In Hz, as stored.
    channels : int
        As stored.
    codec, container : str
        FFmpeg's short names, for example ``"vorbis"`` and ``"ogg"``.
    bit_rate : int
        In bits per second, 0 if unknown.
    """

    duration: float
    sample_rate: int
    channels: int
    codec: str
    container: str
    bit_rate: int = 0
