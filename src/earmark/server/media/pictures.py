"""A spectrogram as a PNG, with nothing but NumPy and zlib.

Columns are evenly spaced moments, rows are mel bands from 30 Hz (bottom) to 11 kHz (top), colour is
the level in dB below the loudest, from dark to bright with rising lightness, so that it reads
without colour too.  Sources: the PNG specification (ISO/IEC 15948), O'Shaughnessy's mel scale.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from earmark import audio
from earmark.audio.media import Input
from earmark.types import AnyArray, Float32Array, UInt8Array

RATE = 22_050
_WINDOW = 1024
_RANGE_DB = 80.0
_LOW, _HIGH = 30.0, 11_000.0

# Colours from silence to full level: red, green, blue at even steps.
_COLOURS = (
    (4, 5, 20),
    (40, 17, 89),
    (121, 28, 109),
    (206, 68, 70),
    (248, 149, 40),
    (252, 255, 190),
)


def spectrogram(
    source: Input, start: float, end: float, width: int, height: int, *, name: str
) -> bytes:
    """Draw a moment of a source.

    Parameters
    ----------
    source : str or binary file
    start, end : float
        In seconds.
    width, height : int
        In pixels.
    name : str
        What to call the source in messages.

    Returns
    -------
    bytes
        A PNG.
    """
    with audio.decode(
        source, sample_rates=[RATE], start=start, end=end, name=name, salvage=True
    ) as blocks:
        columns = _columns((block[RATE] for block in blocks), (end - start) * RATE, width)
    return png(_colour(_levels(columns, height)))


def _columns(blocks: object, samples: float, width: int) -> Float32Array:
    """Windows around evenly spaced moments, shape (width, _WINDOW); bounded memory."""
    windows = np.zeros((width, _WINDOW), np.float32)
    starts = np.round((np.arange(width) + 0.5) * samples / width - _WINDOW / 2).astype(np.int64)
    position, kept = 0, np.zeros(0, np.float32)
    for block in blocks:  # type: ignore[attr-defined]
        chunk = np.concatenate([kept, block])
        begin = position - len(kept)
        position += len(block)
        for at in np.flatnonzero((starts < position) & (starts + _WINDOW > begin)):
            first, last = max(starts[at], begin), min(starts[at] + _WINDOW, position)
            windows[at, first - starts[at] : last - starts[at]] = chunk[
                first - begin : last - begin
            ]
        kept = chunk[-_WINDOW:]
    return windows


def _levels(windows: Float32Array, height: int) -> Float32Array:
    """Levels from 0 to 1, shape (height, width), low frequencies last."""
    taper = np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(windows * taper, axis=1)) ** 2
    edges = _from_mel(np.linspace(_to_mel(_LOW), _to_mel(_HIGH), height + 1)) * _WINDOW / RATE
    first = np.clip(np.floor(edges[:-1]).astype(np.int64), 0, power.shape[1] - 1)
    last = np.clip(np.maximum(np.ceil(edges[1:]).astype(np.int64), first + 1), 1, power.shape[1])
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    bands = (total[:, last] - total[:, first]) / (last - first)
    level = 10 * np.log10(np.maximum(bands, 1e-12))
    level -= max(float(level.max()), -40.0)
    scaled: Float32Array = np.clip(level / _RANGE_DB + 1, 0, 1).T[::-1].astype(np.float32)
    return scaled


def _to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _from_mel(mel: AnyArray) -> AnyArray:
    hz: AnyArray = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return hz


def _colour(level: Float32Array) -> UInt8Array:
    """Colours of levels, shape (height, width, 3)."""
    at = np.linspace(0, 1, len(_COLOURS))
    table = np.array(_COLOURS, np.float32)
    channels = [np.interp(level, at, table[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def png(pixels: UInt8Array) -> bytes:
    """Return pixels of shape (height, width, 3) as a PNG.

    Examples
    --------
    >>> png(np.zeros((1, 1, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width, _ = pixels.shape
    lines = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1
    )
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
