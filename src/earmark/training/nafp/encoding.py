"""Fingerprints of whole recordings: rows in time, by a network of a checkpoint or the shipped one.

A row every `Features.hop` seconds from the start on, as long as a segment lies wholly within the
recording; a shorter recording has one.  Rows depend on nothing but their own sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.config import Features
from earmark.training.nafp.data import segment_count
from earmark.types import Float32Array

BATCH = 128


class SegmentEncoder(Protocol):
    """Segments of sound to unit vectors."""

    @property
    def features(self) -> Features:
        """Rate, window and hop."""

    @property
    def ndim(self) -> int:
        """Numbers of a vector."""

    @property
    def identity(self) -> dict[str, str]:
        """What made the rows: equal if and only if they may stand beside each other."""

    def encode(self, samples: Float32Array) -> Float32Array:
        """Vectors (n, ndim) of segments (n, samples + n_fft), each with half a window around."""


def segments(
    piece: Piece, features: Features, *, before: int = 0, batch: int = BATCH
) -> Iterator[Float32Array]:
    """Read all segments of a recording, in batches (n, before + samples + n_fft).

    Parameters
    ----------
    piece : Piece
    features : Features
    before : int
        Samples of earlier sound to give with each.
    batch : int
    """
    margin = features.n_fft // 2
    count = segment_count(piece.samples, features)
    length = before + features.samples + 2 * margin
    for first in range(0, count, batch):
        number = min(batch, count - first)
        begin = first * features.step - margin - before
        block = piece.read(begin, (number - 1) * features.step + length)
        views = np.lib.stride_tricks.sliding_window_view(block, length)[:: features.step]
        yield np.ascontiguousarray(views)


def rows(
    encoder: SegmentEncoder,
    piece: Piece,
    *,
    before: int = 0,
    degrade: Callable[[Float32Array], Float32Array] | None = None,
) -> Float32Array:
    """Fingerprints of a recording.

    Parameters
    ----------
    encoder : SegmentEncoder
    piece : Piece
    before : int
        Samples of earlier sound that `degrade` takes with each segment.
    degrade : callable, optional
        From (n, before + samples + n_fft) to degraded segments (n, samples + n_fft).

    Returns
    -------
    float32 array, shape (m, ndim)
    """
    found = []
    for block in segments(piece, encoder.features, before=before):
        found.append(encoder.encode(block if degrade is None else degrade(block)))
    return np.concatenate(found)
