"""Sound for listening: decoded with one or two channels, written in a format that browsers play.

Unlike `earmark.audio`, which mixes to mono for analysis, this keeps stereo.  WAV needs no encoder;
FLAC, Opus and MP3 are written where the PyAV at hand has their encoders.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

from earmark.audio.media import Input, open_media
from earmark.errors import DecodeError, UsageError

_CHUNK = 48_000
_HIGHEST_RATE = 96_000
_PREROLL = 1.0

# format -> media type, FFmpeg's container and encoder, rate (None: as it is), sample format
FORMATS: dict[str, tuple[str, str, str, int | None, str]] = {
    "wav": ("audio/wav", "", "", None, "s16"),
    "flac": ("audio/flac", "flac", "flac", None, "s16"),
    "opus": ("audio/ogg", "ogg", "libopus", 48_000, "s16"),
    "ogg": ("audio/ogg", "ogg", "libopus", 48_000, "s16"),
    "mp3": ("audio/mpeg", "mp3", "libmp3lame", 44_100, "fltp"),
}
_BIT_RATE = {"libopus": 128_000, "libmp3lame": 192_000}


def formats() -> tuple[str, ...]:
    """Return the formats that can be written here."""
    import av

    known = []
    for name, (_, _, encoder, _, _) in FORMATS.items():
        try:
            if encoder:
                av.codec.Codec(encoder, "w")
        except av.error.FFmpegError:
            continue
        known.append(name)
    return tuple(known)


def convert(
    source: Input,
    target: BinaryIO,
    form: str,
    *,
    name: str,
    start: float = 0.0,
    end: float | None = None,
    bit_rate: int | None = None,
) -> float:
    """Write a source, or a moment of it, in another format.

    Parameters
    ----------
    source : str or binary file
    target : binary file
        Seekable.
    form : str
        One of `FORMATS`.
    name : str
        What to call the source in messages.
    start, end : float
        In seconds.
    bit_rate : int, optional
        In bits a second, for the formats that have one.

    Returns
    -------
    float
        Seconds written.

    Raises
    ------
    UsageError
        For another format.
    DecodeError
        If there is nothing to write.
    """
    if form not in FORMATS:
        raise UsageError(f"the format must be one of {', '.join(FORMATS)}, got {form!r}")
    _, container, encoder, rate, sample_format = FORMATS[form]
    with open_media(source, name=name, stream=None) as media:
        channels = 1 if media.info.channels == 1 else 2
        out_rate = rate or min(media.info.sample_rate, _HIGHEST_RATE)
        frames = _frames(media, start, end, channels, out_rate, sample_format)
        if form == "wav":
            samples = _write_wav(frames, target, channels, out_rate)
        else:
            how = (container, encoder, sample_format, bit_rate or _BIT_RATE.get(encoder))
            samples = _encode(frames, target, how, channels, out_rate)
    if not samples:
        raise DecodeError(name, f"no sound from {start:g} s on")
    return samples / out_rate


def _frames(
    media: Any, start: float, end: float | None, channels: int, rate: int, sample_format: str
) -> Iterator[Any]:
    """Frames at the wanted form, cut to the moment."""
    import av

    layout = "mono" if channels == 1 else "stereo"
    resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
    skip, left = None, None if end is None else round(end * rate) - round(start * rate)
    for frame, seconds in _decoded(media, start):
        for out in resampler.resample(frame):
            if skip is None:
                skip = max(0, round(start * rate) - round(seconds * rate))
            piece = out if not skip else _without(out, skip)
            skip = max(0, skip - out.samples)
            if piece is None:
                continue
            if left is not None and piece.samples >= left:
                if left:
                    yield _first(piece, left)
                return
            left = None if left is None else left - piece.samples
            yield piece
    for out in resampler.resample(None):
        if out.samples and not skip and (left is None or left > 0):
            yield out if left is None else _first(out, min(left, out.samples))


def _decoded(media: Any, start: float) -> Iterator[tuple[Any, float]]:
    """Decoded frames with their time in seconds; begins shortly before `start` if it can."""
    import av

    stream, container = media.stream, media.container
    origin: int | None = None
    if start > 10:
        first = next(_safe(container, stream), None)
        origin = 0 if first is None or first.pts is None else first.pts
        target = origin + int((start - _PREROLL) / stream.time_base)
        try:
            container.seek(target, stream=stream, backward=True)
        except av.error.FFmpegError:
            container.seek(0)
    clock = 0.0
    for frame in _safe(container, stream):
        if frame.pts is not None and stream.time_base is not None:
            origin = frame.pts if origin is None else origin
            clock = float((frame.pts - origin) * stream.time_base)
        seconds, clock = clock, clock + frame.samples / frame.sample_rate
        frame.pts = None
        yield frame, seconds


def _safe(container: Any, stream: Any) -> Iterator[Any]:
    """Frames; what cannot be decoded is left out."""
    import av

    faults = 0
    packets = container.demux(stream)
    while faults < 200:
        try:
            for packet in packets:
                yield from packet.decode()
            return
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            faults += 1


def _array(frame: Any) -> Any:
    """Samples of shape (channels, n), or (1, n * channels) if packed."""
    return frame.to_ndarray()


def _without(frame: Any, samples: int) -> Any | None:
    """A frame without its first samples, None if nothing is left."""
    if samples >= frame.samples:
        return None
    return _like(frame, samples, frame.samples)


def _first(frame: Any, samples: int) -> Any:
    return _like(frame, 0, samples)


def _like(frame: Any, first: int, last: int) -> Any:
    import av
    import numpy as np

    values = _array(frame)
    step = 1 if frame.format.is_planar else frame.layout.nb_channels
    part = np.ascontiguousarray(values[:, first * step : last * step])
    made = av.AudioFrame.from_ndarray(part, format=frame.format.name, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


def wav_header(channels: int, rate: int, nbytes: int) -> bytes:
    """Return the 44 bytes that begin a 16-bit WAV with so many bytes of samples."""
    size = min(nbytes, 0xFFFFFFFF - 36)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, channels),
        *(rate, 2 * channels * rate, 2 * channels, 16, b"data", size),
    )


def _write_wav(frames: Iterator[Any], target: BinaryIO, channels: int, rate: int) -> int:
    target.write(wav_header(channels, rate, 0))
    written = 0
    for frame in frames:
        written += target.write(_array(frame).tobytes())
    target.seek(0)
    target.write(wav_header(channels, rate, written))
    return written // (2 * channels)


def _encode(
    frames: Iterator[Any],
    target: BinaryIO,
    how: tuple[str, str, str, int | None],
    channels: int,
    rate: int,
) -> int:
    import av

    container, encoder, sample_format, bit_rate = how
    samples = 0
    with av.open(target, "w", format=container) as out:
        stream: Any = out.add_stream(encoder, rate=rate)
        stream.layout = "mono" if channels == 1 else "stereo"
        stream.format = sample_format
        if bit_rate:
            stream.bit_rate = bit_rate
        for frame in frames:
            frame.pts, frame.time_base = samples, Fraction(1, rate)
            samples += frame.samples
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return samples
