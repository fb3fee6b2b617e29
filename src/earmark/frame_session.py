"""A session over contiguous audio for encoders whose segments share frames.

`WindowSession` hands an encoder windows of samples; here each frame's features are computed once,
however many segments it is in.  A segment is `frames` frames, and a new one begins every `step`
frames; one more, aligned with the last frame, takes what these leave over, and audio shorter than
a segment gives one that is padded with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from earmark.framing import SessionDoor
from earmark.types import AnyArray, Encoded, Float32Array, Int64Array

_BLOCK_FRAMES = 640
"""Frames whose features are computed at once: 20 s of a fingerprint, and no cache overflows."""


@dataclass(frozen=True)
class FrameGrid:
    """Where frames and segments lie.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft, hop : int
        Samples of a frame, and between frames.
    before : int
        Samples of a frame that lie before its time: 0, or half of it for centred frames.
    frames, step : int
        Frames of a segment, and between segments.
    """

    sample_rate: int
    n_fft: int
    hop: int
    before: int
    frames: int
    step: int

    @property
    def length(self) -> int:
        """Samples that a segment stands for: up to where its last frame ends, or its hop if
        frames are centred."""
        last = self.hop if self.before else self.n_fft
        return (self.frames - 1) * self.hop + last

    def count(self, samples: int) -> int:
        """Frames of a recording of so many samples: those whose segment part lies inside."""
        last = self.hop if self.before else self.n_fft
        return max(0, (samples - last) // self.hop + 1)


class FrameSession:
    """Encodes one track frame by frame, in bounded memory.  Implements `EncodeSession`.

    Parameters
    ----------
    grid : FrameGrid
    features : callable
        Frames of samples, shape (n, n_fft), to features, shape (n, d).
    encode : callable
        Segments of features, shape (m, frames, d), to rows, shape (m, width).
    empty : array, shape (0, width)
        What audio without any row gives.
    silence_peak : float
        Segments whose largest absolute sample is below this are not encoded.
    """

    def __init__(
        self,
        grid: FrameGrid,
        features: Callable[[Float32Array], Float32Array],
        encode: Callable[[Float32Array], AnyArray],
        *,
        empty: AnyArray,
        silence_peak: float,
    ) -> None:
        self._empty = empty
        self._grid, self._features, self._encode = grid, features, encode
        self._silence_peak = silence_peak
        self._samples = np.zeros(grid.before, np.float32)
        """What frames still need; its first sample is `before` samples before frame `_framed`."""
        self._pending: list[Float32Array] = []
        self._length, self._waiting = 0, 0
        self._framed, self._first = 0, 0
        """Frames computed so far, and the one that the kept features begin with."""
        self._kept: Float32Array | None = None
        self._peaks = np.zeros(0, np.float32)
        self._next = 0
        """Frame at which the next segment begins."""
        self._rows: list[AnyArray] = []
        self._starts: list[Int64Array] = []
        self._skipped = 0
        self._door = SessionDoor()

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), float32, any n.

        Raises
        ------
        ValueError
            If the samples are not one row of float32, or after `finish`.
        """
        self._door.check(samples)
        for start in range(0, len(samples), _BLOCK_FRAMES * self._grid.hop):
            part = samples[start : start + _BLOCK_FRAMES * self._grid.hop]
            self._pending.append(part.copy())
            self._length += len(part)
            self._waiting += len(part)
            if self._waiting >= _BLOCK_FRAMES * self._grid.hop:
                self._frame()

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows.

        Raises
        ------
        ValueError
            If called twice.
        """
        self._door.close()
        grid = self._grid
        total = grid.count(self._length)
        if self._length > 0 and total < grid.frames:
            total = grid.frames
        if self._length:
            # Zeros after the end: what centred frames reach over, or all that a short clip lacks.
            end = (total - 1) * grid.hop + grid.n_fft - grid.before
            self._pending.append(np.zeros(max(0, end - self._length), np.float32))
            self._frame(limit=total)
            covered = self._next - grid.step + grid.frames if self._next else 0
            if covered < total:
                self._emit(np.array([total - grid.frames]))
        return self._result()

    def _result(self) -> Encoded:
        grid = self._grid
        starts = np.concatenate([np.empty(0, np.int64), *self._starts]) * grid.hop
        ends = np.minimum(starts + grid.length, self._length)
        rows = np.concatenate(self._rows) if self._rows else self._empty
        segments = np.stack([starts, ends], axis=1) / float(grid.sample_rate)
        return Encoded(rows=rows, segments=segments, skipped=self._skipped)

    def _frame(self, *, limit: int | None = None) -> None:
        """Compute the features of all frames that are complete, and the segments of these."""
        grid = self._grid
        self._samples = np.concatenate([self._samples, *self._pending])
        self._pending, self._waiting = [], 0
        count = (len(self._samples) - grid.n_fft) // grid.hop + 1
        if limit is not None:
            count = min(count, limit - self._framed)
        if count <= 0:
            return
        framed = np.lib.stride_tricks.sliding_window_view(self._samples, grid.n_fft)
        framed = framed[:: grid.hop][:count]
        parts = [
            self._features(framed[i : i + _BLOCK_FRAMES]) for i in range(0, count, _BLOCK_FRAMES)
        ]
        kept = parts if self._kept is None else [self._kept, *parts]
        self._kept = np.concatenate(kept)
        own = np.lib.stride_tricks.sliding_window_view(self._samples[grid.before :], grid.hop)
        peaks = np.abs(own[:: grid.hop][:count]).max(axis=1)
        self._peaks = np.concatenate([self._peaks, peaks])
        self._framed += count
        self._samples = self._samples[count * grid.hop :]
        starts = np.arange(self._next, self._framed - grid.frames + 1, grid.step)
        if len(starts):
            self._emit(starts)
            self._next = int(starts[-1]) + grid.step
        # The last segment, aligned with the end, may need the newest `frames` frames.
        drop = min(self._next, self._framed - grid.frames) - self._first
        if drop > 0:
            self._kept, self._peaks = self._kept[drop:], self._peaks[drop:]
            self._first += drop

    def _emit(self, starts: Int64Array) -> None:
        assert self._kept is not None
        at = starts - self._first
        windows = np.lib.stride_tricks.sliding_window_view(self._kept, self._grid.frames, axis=0)
        peaks = np.lib.stride_tricks.sliding_window_view(self._peaks, self._grid.frames)
        loud = ~(peaks[at].max(axis=1) < self._silence_peak)
        self._skipped += int(np.count_nonzero(~loud))
        starts, at = starts[loud], at[loud]
        for i in range(0, len(at), 64):
            self._rows.append(self._encode(windows[at[i : i + 64]].transpose(0, 2, 1)))
        self._starts.append(starts)
