"""The decoded audio of an opened source as mono float32 blocks, in bounded memory.

Conventions: integer samples are scaled by 2**-(bits - 1) (8 bit unsigned is centred at 128), float
samples are taken as they are; mono is the plain mean of all channels; time 0 is the first sample
that a whole decode gives.  Gaps in a container's timestamps are not filled.

Speed comes from FFmpeg's own sample FIFO (no NumPy call per frame of a thousand samples) and
from mixing to mono before resampling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.audio.media import MAX_RATE, MIN_RATE, Media, is_ogg_vorbis, open_media, plain_reason
from earmark.errors import DecodeError
from earmark.types import Float32Array

# Samples of one block over all channels: bounds memory, and a block stays in the CPU's cache.
_BLOCK_VALUES = 1 << 18
_BLOCK_SECONDS = 4
_PREROLL_SECONDS = 0.5
_MAX_ERRORS = 500
# Containers that say where their audio ends, and by how many samples codecs overrun it.
_OVERRUN = {"ogg": 8192, "mov,mp4,m4a,3gp,3g2,mj2": 2048}

# Containers in which FFmpeg seeks to exact timestamps (Matroska's are rounded to milliseconds); all
# others are decoded from their start.
_SEEKABLE = frozenset({"aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "ogg", "w64", "wav"})
# FFmpeg's sample formats, planar or not: NumPy's type, scale, offset.
_DTYPES: dict[str, tuple[str, float, float]] = {
    "u8": ("u1", 2.0**-7, 128.0),
    "s16": ("i2", 2.0**-15, 0.0),
    "s32": ("i4", 2.0**-31, 0.0),
    "s64": ("i8", 2.0**-63, 0.0),
    "flt": ("f4", 1.0, 0.0),
    "dbl": ("f8", 1.0, 0.0),
}


@dataclass
class Damage:
    """What went wrong while packets were decoded."""

    count: int = 0
    before_first: int = 0
    first: float = math.inf
    last: float = 0.0
    message: str = ""

    def add(self, seconds: float, error: BaseException) -> None:
        """Count one packet that failed when `seconds` of audio had been decoded."""
        self.count += 1
        self.first = min(self.first, seconds)
        self.last = seconds
        self.message = self.message or plain_reason(error)
        if seconds == 0.0:
            self.before_first += 1


class MonoStream:
    """The audio of an opened source as mono blocks, from `start` to `end` seconds.

    After the iteration `position` is the sample after the last one decoded (at the rate of the
    last block), `damage` says which packets failed, `reached_end` whether the source ended
    rather than the part.
    """

    def __init__(self, media: Media, *, start: float, end: float | None) -> None:
        self.media = media
        self.start = start
        self.end = end
        self.damage = Damage()
        self.rate = media.info.sample_rate
        self.position = 0
        self.given = 0
        self._base = 0.0
        self._decoded = 0
        self.reached_end = False
        self.encrypted = False
        self.last_packet = b""

    @property
    def seconds(self) -> float:
        """Where decoding has come to, in seconds of the source."""
        return self.position / self.rate

    def __iter__(self) -> Iterator[tuple[int, Float32Array]]:
        """Yield (sample rate in Hz, samples of shape (n,)); n is at most some seconds."""
        for frame in self._chunks():
            rate = int(frame.sample_rate)
            if not MIN_RATE <= rate <= MAX_RATE:
                raise DecodeError(self.media.name, f"absurd sample rate: {rate} Hz")
            if rate != self.rate:
                self.position = round(self.position * rate / self.rate)
                self.rate = rate
            samples = self._cut(mono(frame), rate)
            if len(samples):
                self.given += len(samples)
                yield rate, samples
            if self._done(self.position, rate):
                return
        self.reached_end = True

    def _cut(self, samples: Float32Array, rate: int) -> Float32Array:
        begin = self.position
        self.position += len(samples)
        first = max(0, round(self.start * rate) - begin)
        last = len(samples)
        if self.end is not None:
            last = min(last, max(0, round(self.end * rate) - begin))
        return samples[first:last] if first or last < len(samples) else samples

    def _done(self, position: int, rate: int) -> bool:
        return self.end is not None and position >= round(self.end * rate)

    def _chunks(self) -> Iterator[Any]:
        """Large frames: FFmpeg's small ones joined by its FIFO."""
        import av

        held_back = _OVERRUN.get(self.media.container.format.name, 0)
        fifo = av.AudioFifo()
        size = wanted = 0
        form: tuple[str, int, int] | None = None
        for frame in self._frames():
            found = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
            if found != form:
                # The format changes on the way in chained Ogg and in damaged files; the FIFO
                # does not check it (PyAV 18) and would read planes that are not there.
                if size:
                    yield fifo.read(0, True)
                fifo, size, form = av.AudioFifo(), 0, found
                wanted = max(1, min(_BLOCK_VALUES // found[1], _BLOCK_SECONDS * found[2]))
            frame.pts = None
            fifo.write(frame)
            size += frame.samples
            while size >= wanted + held_back:
                yield fifo.read(wanted)
                size -= wanted
        if size > (overrun := self._overrun(held_back)):
            yield fifo.read(size - overrun, True)

    def _overrun(self, limit: int) -> int:
        """Samples decoded beyond the stated end: the padding of the last frame."""
        if not limit or self.media.promise is None:
            return 0
        total = round((self._base + self._decoded / self.rate - self.media.promise) * self.rate)
        return total if 0 < total <= limit else 0

    def _frames(self) -> Iterator[Any]:
        if self.start > 2 * _PREROLL_SECONDS and self.media.container.format.name in _SEEKABLE:
            frames = self._seek()
            if frames is not None:
                return frames
            self._reopen()
        return self._decode()

    def _seek(self) -> Iterator[Any] | None:
        """Frames from a little before `start`, or None if the timestamps cannot be trusted."""
        import av

        media = self.media
        stream = media.stream
        # Not `stream.start_time`: a Vorbis decoder gives nothing for its first packet.
        very_first = next(self._decode(), None)
        if very_first is None or very_first.pts is None:
            return None
        origin = very_first.pts
        target = origin + int((self.start - _PREROLL_SECONDS) / stream.time_base)
        self._decoded = 0
        try:
            media.container.seek(target, stream=stream, backward=True)
        except av.error.FFmpegError:
            return None
        frames = self._decode(seeked=True)
        first = next(frames, None)
        if first is None or first.pts is None:
            return None
        begin = (first.pts - origin) * first.time_base * first.sample_rate
        if not 0 <= begin <= self.start * first.sample_rate:
            return None
        self.position = round(begin)
        self._base = float(begin) / first.sample_rate
        self.damage = Damage()
        return _chain(first, frames)

    def _reopen(self) -> None:
        fresh = open_media(self.media.source, name=self.media.name, stream=self._stream_number())
        self.media.container.close()
        self.media.container, self.media.stream = fresh.container, fresh.stream
        self.damage, self._decoded = Damage(), 0

    def _stream_number(self) -> int:
        return list(self.media.container.streams.audio).index(self.media.stream)

    def _decode(self, *, seeked: bool = False) -> Iterator[Any]:
        media = self.media
        # A Vorbis decoder's first frame is half of an overlap.
        unwanted = not seeked and is_ogg_vorbis(media.container, media.stream.codec_context)
        for frame in self._packets():
            if unwanted:
                unwanted = False
                continue
            self._decoded += frame.samples
            yield frame

    def _packets(self) -> Iterator[Any]:
        """All frames of all packets; what cannot be decoded is counted."""
        import av

        packets = self.media.container.demux(self.media.stream)
        first = True
        last: Any = None
        while self.damage.count < _MAX_ERRORS:
            try:
                for packet in packets:
                    if packet.size:
                        last = packet
                    if first:
                        first = False
                        self.encrypted = packet.has_sidedata("encryption_info")
                    yield from packet.decode()
                break
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:
                self.damage.add(self._base + self._decoded / self.rate, error)
        self.last_packet = b"" if last is None else bytes(last)


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def mono(frame: Any) -> Float32Array:
    """The mean over the channels of a decoded frame, float32, shape (n,)."""
    kind, scale, offset = _DTYPES[frame.format.name.removesuffix("p")]
    channels, n = frame.layout.nb_channels, frame.samples
    if frame.format.is_planar:
        parts = [np.frombuffer(plane, kind, count=n) for plane in frame.planes]
    else:
        packed = np.frombuffer(frame.planes[0], kind, count=n * channels)
        parts = list(packed.reshape(n, channels).T)
    # 64-bit input keeps its precision (and its overflows) until the end.
    total: Any = parts[0].astype(np.float64 if kind in ("f8", "i8") else np.float32)
    for part in parts[1:]:
        total += part
    if offset:
        total -= offset * channels
    if scale / channels != 1.0:
        total *= total.dtype.type(scale / channels)
    with np.errstate(over="ignore"):
        samples: Float32Array = total.astype(np.float32, copy=False)
    return samples
