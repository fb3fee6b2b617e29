"""Spectral: the code of `earmark.spectral_code` as rows, four codes (half a second) a row.

No model beyond a small matrix, thousands of times faster than real time, and strong where the
noise is loud; it does not follow changes of speed by itself.  Alone it is the fastest way through
a huge archive, together with `fingerprint` it settles which of the candidates is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from earmark.errors import EncoderError, UsageError
from earmark.frame_session import FrameGrid, FrameSession
from earmark.spectral_code import Directions, frame_levels, load_directions, pack, project
from earmark.types import (
    JSON,
    Encoder,
    EncoderSpec,
    EncodeSession,
    Float32Array,
    RowSpec,
    State,
    UInt8Array,
)

NAME = "spectral"

CODES = 4
"""Codes of one row; a code is 32 bits and an eighth of a second from the next."""

_ALGORITHM = "1"
"""Raised whenever the same audio and directions would give other codes."""


class Spectral:
    """Implements `Encoder` and `StreamEncoder`.

    Parameters
    ----------
    directions : Directions, optional
        By default those that come with the package.
    """

    def __init__(self, directions: Directions | None = None) -> None:
        self._directions = directions or load_directions()
        content = self._directions.matrix.tobytes() + self._directions.threshold.tobytes()
        self._revision = f"{_ALGORITHM}-{hashlib.sha256(content).hexdigest()[:12]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Spectral, (self._directions,)

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is."""
        front = self._directions.front
        return EncoderSpec(
            name=NAME,
            kind="identify",
            rows=RowSpec("bits", 32 * CODES, "hamming"),
            sample_rate=front.sample_rate,
            window=self._grid().length / front.sample_rate,
            hop=CODES * front.hop / front.sample_rate,
            revision=self._revision,
            matcher="sequence",
        )

    def encode(self, windows: Float32Array) -> UInt8Array:
        """Encode windows, shape (n, samples); see `Encoder`."""
        size = self._grid().length
        if windows.ndim != 2 or windows.shape[1] != size:
            raise EncoderError(f"windows must have shape (n, {size}), got {windows.shape}")
        front = self._directions.front
        framed = np.lib.stride_tricks.sliding_window_view(windows, front.n_fft, axis=1)
        framed = framed[:, :: front.hop]
        levels = frame_levels(framed.reshape(-1, front.n_fft), front)
        return self._codes(levels.reshape(len(windows), self._grid().frames, front.bands))

    def session(self) -> EncodeSession:
        """Begin a new track."""
        front = self._directions.front
        return FrameSession(
            self._grid(),
            lambda frames: frame_levels(frames, front),
            self._codes,
            empty=np.zeros((0, 4 * CODES), np.uint8),
            silence_peak=self.spec.silence_peak,
        )

    def _grid(self) -> FrameGrid:
        front = self._directions.front
        frames = CODES + front.patch - 1
        return FrameGrid(front.sample_rate, front.n_fft, front.hop, 0, frames, CODES)

    def _codes(self, levels: Float32Array) -> UInt8Array:
        """Codes of segments of band levels, shape (m, frames, bands): (m, 16) bytes."""
        return pack(project(levels, self._directions)).reshape(len(levels), 4 * CODES)


def create(options: Mapping[str, JSON], state: State | None) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.  It takes no options."""
    if options:
        raise UsageError(f"encoder {NAME!r} takes no options, got {', '.join(options)}")
    return Spectral()
