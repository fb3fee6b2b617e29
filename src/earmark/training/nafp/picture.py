"""A matrix of similarities as a PNG file, without a drawing library."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from earmark.training.whole_file import write_whole
from earmark.types import Float32Array, UInt8Array

_COLOURS = np.array(
    [(13, 8, 60), (60, 60, 150), (40, 140, 150), (120, 200, 100), (253, 231, 37)], np.float64
)
"""From a cosine of -1 to one of 1, through 0 in the middle."""

SMALLEST = 384
"""Pixels on a side that a picture is enlarged to, at least."""


def similarity_picture(matrix: Float32Array) -> UInt8Array:
    """Colour a matrix of cosines.

    Parameters
    ----------
    matrix : float32 array, shape (n, m)
        In [-1, 1]; a good fingerprinter has a bright diagonal on a dark ground.

    Returns
    -------
    uint8 array, shape (height, width, 3)
    """
    place = (np.clip(matrix, -1.0, 1.0) + 1.0) / 2.0 * (len(_COLOURS) - 1)
    low = np.minimum(place.astype(np.int64), len(_COLOURS) - 2)
    share = (place - low)[..., None]
    pixels = np.round(_COLOURS[low] * (1.0 - share) + _COLOURS[low + 1] * share).astype(np.uint8)
    times = max(1, -(-SMALLEST // max(1, *matrix.shape)))
    enlarged: UInt8Array = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return enlarged


def write_png(path: Path, pixels: UInt8Array) -> None:
    """Write pixels, shape (height, width, 3), as PNG (ISO/IEC 15948), complete or not at all."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each line begins with filter 0
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    write_whole(path, content)
