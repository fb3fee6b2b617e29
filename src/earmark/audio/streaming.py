"""Stream a source at several sample rates in one pass, and hold it to what it promised."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from earmark.audio.decoding import MonoStream
from earmark.audio.media import MAX_RATE, MIN_RATE, Input, open_media
from earmark.audio.resampling import StreamResampler
from earmark.audio.shortfall import nothing_reason, shortfall
from earmark.errors import DecodeError, UsageError
from earmark.types import Float32Array


class Decoder:
    """One pass over a source that gives mono blocks at one or several rates.

    A context manager and an iterator: each item maps every sample rate to a float32 array of
    shape (n,), a few seconds at most; the arrays of one rate, put together, are the audio, and
    all rates cover the same time.

    Parameters
    ----------
    source, name, stream
        As for `probe`.
    sample_rates : sequence of int
        In Hz; empty for the stored one.
    start, end : float
        The part, in seconds.
    salvage : bool
        Turn damage into `warnings`.

    Attributes
    ----------
    info : AudioInfo
        As claimed; once the iteration has ended over a whole source, with the duration counted.
    warnings : list of str
        What was wrong with a salvaged source.

    Raises
    ------
    SourceError, DecodeError, UsageError
        As for `read`; damage at the end of a file is known, and raised, only there.

    Examples
    --------
    >>> with decode("song.mp3", sample_rates=[22050, 48000]) as blocks:  # doctest: +SKIP
    ...     peak = max(abs(block[22050]).max() for block in blocks)
    """

    def __init__(
        self,
        source: Input,
        *,
        sample_rates: Sequence[int] = (),
        start: float = 0.0,
        end: float | None = None,
        name: str | None = None,
        stream: int | None = None,
        salvage: bool = False,
    ) -> None:
        _check_part(start, end)
        for rate in sample_rates:
            check_rate(rate)
        self._media = open_media(source, name=name, stream=stream)
        self.name = self._media.name
        self.info = self._media.info
        self.sample_rates = tuple(dict.fromkeys(sample_rates)) or (self.info.sample_rate,)
        self.warnings: list[str] = []
        self._salvage = salvage
        self._audio = MonoStream(self._media, start=start, end=end)
        self._blocks = self._run()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Decoder:
        return self

    def __next__(self) -> dict[int, Float32Array]:
        return next(self._blocks)

    def close(self) -> None:
        """Free the decoder; more blocks cannot be had."""
        self._blocks.close()
        self._media.close()

    def _run(self) -> Generator[dict[int, Float32Array]]:
        converters: dict[int, StreamResampler] = {}
        source_rate = 0
        for rate, samples in self._audio:
            if rate != source_rate:
                if converters:
                    yield {r: c.finish() for r, c in converters.items()}
                converters = {r: StreamResampler(rate, r) for r in self.sample_rates}
                source_rate = rate
            samples = self._finite(samples, rate)
            yield {r: c.push(samples) for r, c in converters.items()}
        if converters:
            yield {r: c.finish() for r, c in converters.items()}
        self._conclude()

    def _finite(self, samples: Float32Array, rate: int) -> Float32Array:
        # One sum over the block is cheaper than a test of every sample.
        if math.isfinite(float(samples.sum())):
            return samples
        finite = np.isfinite(samples)
        if finite.all():
            return samples
        first = (self._audio.position - len(samples) + int(np.argmin(finite))) / rate
        self._complain(f"samples must be finite, NaN or infinity at {max(first, 0):.3f} s")
        return np.where(finite, samples, np.float32(0.0))

    def _complain(self, reason: str) -> None:
        if not self._salvage:
            raise DecodeError(
                self.name, reason, hint="keep what can be decoded with EARMARK_SALVAGE=1"
            )
        if reason not in self.warnings:
            self.warnings.append(reason)

    def _conclude(self) -> None:
        """Hold what was decoded against what the file promises."""
        audio, media = self._audio, self._media
        if not audio.position:
            raise DecodeError(self.name, nothing_reason(audio))
        reason = shortfall(audio)
        if not audio.given:
            if reason:
                raise DecodeError(self.name, reason)
            raise UsageError(
                f"{self.name}: the part must begin before the end at {audio.seconds:.3f} s, "
                f"got {audio.start} s"
            )
        if reason:
            self._complain(reason)
        if audio.reached_end and audio.start == 0:
            self.info = replace(media.info, duration=audio.seconds)


def _check_part(start: float, end: float | None) -> None:
    if not (math.isfinite(start) and start >= 0):
        raise UsageError(f"start must be 0 s or more, got {start}")
    if end is not None and not (math.isfinite(end) and end > start):
        raise UsageError(f"end must be after start ({start} s), got {end}")


def check_rate(rate: int) -> None:
    """Raise `UsageError` unless audio at this many Hz can be worked with."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UsageError(f"sample rate must be {MIN_RATE} to {MAX_RATE} Hz, got {rate}")
