"""Sound as it comes: from a pipe that cannot be read twice, or from a microphone.

Blocks are mono float32 at the rate asked for, and no more than a few seconds are held.  What comes
through a pipe is any container that FFmpeg reads without seeking (WAV, FLAC, Ogg, MP3, ADTS,
MPEG-TS, Matroska, ...), or bare PCM of which the caller knows the form.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from earmark.audio.decoding import mono
from earmark.audio.resampling import StreamResampler
from earmark.errors import DecodeError, NotAvailable, UsageError
from earmark.types import Clip, Float32Array

_READ_BYTES = 16_384
_MICROPHONE_SECONDS = 0.25


@dataclass(frozen=True)
class Pcm:
    """Bare samples: signed 16-bit little-endian, channels interleaved.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    channels : int
    """

    sample_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> Pcm:
        """Read ``RATE`` or ``RATE:CHANNELS``.

        Raises
        ------
        UsageError
            If it is neither, or out of reach.
        """
        rate, _, channels = text.partition(":")
        try:
            pcm = cls(int(rate), int(channels or "1"))
        except ValueError:
            pcm = cls(0)
        if not (1000 <= pcm.sample_rate <= 1_536_000 and 1 <= pcm.channels <= 64):
            raise UsageError(
                f"PCM must be given as RATE or RATE:CHANNELS, got {text!r}",
                hint="--pcm 44100:2 is signed 16-bit stereo as CDs have it",
            )
        return pcm


def pipe_blocks(
    file: BinaryIO, sample_rate: int, *, pcm: Pcm | None = None, name: str = "standard input"
) -> Iterator[Clip]:
    """Give what comes through a pipe, block by block, until it ends.

    Parameters
    ----------
    file : binary file
        Only `read` is called.
    sample_rate : int
        In Hz, of the blocks.
    pcm : Pcm, optional
        The form of bare samples; by default a container tells its own.
    name : str
        What to call it in messages.

    Raises
    ------
    DecodeError
        If nothing in it can be decoded as sound.
    """
    chunks = _container_chunks(file, name) if pcm is None else _pcm_chunks(file, pcm)
    return _at_rate(chunks, sample_rate, name)


def _at_rate(
    chunks: Iterator[tuple[int, Float32Array]], sample_rate: int, name: str
) -> Iterator[Clip]:
    resampler: StreamResampler | None = None
    rate, at = 0, 0.0

    def clip(samples: Float32Array) -> Iterator[Clip]:
        nonlocal at
        if len(samples):
            finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
            yield Clip(finite, sample_rate, start=at, source=name)
            at += len(samples) / sample_rate

    for own_rate, samples in chunks:
        if resampler is None or own_rate != rate:
            if resampler is not None:
                yield from clip(resampler.finish())
            resampler, rate = StreamResampler(own_rate, sample_rate), own_rate
        yield from clip(resampler.push(samples))
    if resampler is not None:
        yield from clip(resampler.finish())


class _Forward:
    """A file that can only be read: FFmpeg must not try to seek in a pipe."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Return what is there now, without waiting for all of it; nothing at the end."""
        some = getattr(self._file, "read1", self._file.read)
        return bytes(some(min(size, _READ_BYTES)))


def _container_chunks(file: BinaryIO, name: str) -> Iterator[tuple[int, Float32Array]]:
    import av

    try:
        container: Any = av.open(_Forward(file), "r", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(
            name, "not audio that can be read from a pipe, or nothing came"
        ) from error
    with container:
        if not container.streams.audio:
            raise DecodeError(name, "it holds no audio stream")
        stream, heard = container.streams.audio[0], False
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                frames = packet.decode()
            except av.error.EOFError:
                break
            except av.error.FFmpegError:  # a live stream may begin or break amid a frame
                continue
            for frame in frames:
                heard = True
                yield frame.sample_rate, mono(frame)
        if not heard:
            raise DecodeError(name, "no sound could be decoded")


def _pcm_chunks(file: BinaryIO, pcm: Pcm) -> Iterator[tuple[int, Float32Array]]:
    read = getattr(file, "read1", file.read)
    rest = b""
    while data := read(_READ_BYTES):
        data = rest + data
        whole = len(data) // (2 * pcm.channels) * (2 * pcm.channels)
        rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").reshape(-1, pcm.channels)
        yield pcm.sample_rate, samples.mean(axis=1, dtype=np.float32) / np.float32(32768.0)


def microphone_blocks(sample_rate: int) -> Iterator[Clip]:
    """Give what the default microphone hears, until the caller stops.

    Parameters
    ----------
    sample_rate : int
        In Hz, of the blocks.

    Raises
    ------
    NotAvailable
        If the package ``sounddevice`` is not installed, or there is no microphone.
    """
    if importlib.util.find_spec("sounddevice") is None:
        raise NotAvailable(
            "the microphone needs the package 'sounddevice', which is not installed",
            hint="pip install sounddevice, or pipe the sound in: arecord | earmark identify "
            "--stream -",
        )
    return _at_rate(_microphone_chunks(), sample_rate, "microphone")


def _microphone_chunks() -> Iterator[tuple[int, Float32Array]]:
    try:
        device = importlib.import_module("sounddevice")
    except OSError as error:  # it loads the system's library PortAudio when imported
        raise NotAvailable(
            f"the microphone cannot be used: {error}", hint="install PortAudio (libportaudio2)"
        ) from error
    try:
        rate = int(device.query_devices(kind="input")["default_samplerate"])
        with device.InputStream(samplerate=rate, channels=1, dtype="float32") as stream:
            while True:
                samples, _ = stream.read(int(rate * _MICROPHONE_SECONDS))
                yield rate, np.ascontiguousarray(samples[:, 0])
    except (device.PortAudioError, ValueError) as error:
        raise NotAvailable(
            f"the microphone cannot be used: {error}", hint="is one plugged in and allowed?"
        ) from error
