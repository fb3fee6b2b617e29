"""Windows over audio, and the session that feeds them to an encoder.

Windows cover the whole of the audio: they start at multiples of the hop, and one more, aligned
with the end, takes what these leave over.  Audio shorter than one window is padded with zeros.
Windows below the encoder's `silence_peak` are not encoded: silence resembles everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from earmark.errors import EncoderError
from earmark.types import (
    AnyArray,
    Clip,
    Encoded,
    Encoder,
    EncoderSpec,
    EncodeSession,
    Float32Array,
    Float64Array,
    Int64Array,
    QueryEncoder,
    RowSpec,
    StreamEncoder,
    Tagger,
)

_BATCH_SAMPLES = 2**20
_BATCH_WINDOWS = 64


def frame(samples: Float32Array, length: int, hop: int) -> Float32Array:
    """Cut audio into frames that lie wholly inside it, without copying.

    Parameters
    ----------
    samples : float32 array, shape (..., n)
    length, hop : int
        In samples, at least 1.

    Returns
    -------
    float32 array, shape (..., (n - length) // hop + 1, length)
        A read-only view; no frames if n < length.

    Raises
    ------
    ValueError
        If length or hop is less than 1.

    Examples
    --------
    >>> frame(np.arange(6, dtype=np.float32), 3, 2)
    array([[0., 1., 2.],
           [2., 3., 4.]], dtype=float32)
    """
    if length < 1 or hop < 1:
        raise ValueError(f"length and hop must be at least 1 sample, got {length} and {hop}")
    if samples.shape[-1] < length:
        return np.empty((*samples.shape[:-1], 0, length), samples.dtype)
    views = np.lib.stride_tricks.sliding_window_view(samples, length, axis=-1)
    return views[..., ::hop, :]


def window_starts(n_samples: int, window: int, hop: int) -> Int64Array:
    """Where windows begin so that they cover `n_samples`, in samples, ascending.

    The last one ends with the audio; of audio shorter than a window there is one, at 0; of no
    audio there is none.

    Parameters
    ----------
    n_samples, window, hop : int
        In samples; window and hop at least 1.

    Returns
    -------
    int64 array, shape (n,)

    Raises
    ------
    ValueError
        If window or hop is less than 1, or n_samples is negative.

    Examples
    --------
    >>> window_starts(25, 10, 10)
    array([ 0, 10, 15])
    """
    if window < 1 or hop < 1 or n_samples < 0:
        raise ValueError(
            "window and hop must be at least 1 sample and n_samples at least 0, "
            f"got {window}, {hop} and {n_samples}"
        )
    if n_samples == 0:
        return np.empty(0, np.int64)
    last = max(n_samples - window, 0)
    starts = np.arange(0, last + 1, hop, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


def window_samples(spec: EncoderSpec) -> tuple[int, int]:
    """Window and hop of an encoder, in samples at its rate."""
    return round(spec.window * spec.sample_rate), max(1, round(spec.hop * spec.sample_rate))


def peaks(windows: Float32Array) -> Float32Array:
    """Largest absolute sample of each window, shape (n,), for windows of shape (n, samples)."""
    # Two reductions rather than max(abs(...)): the windows may be views that must not be copied.
    largest: Float32Array = np.maximum(windows.max(axis=1), -windows.min(axis=1))
    return largest


class WindowBuffer:
    """Gathers audio that comes piece by piece, and gives it back as windows that cover it.

    Holds a fixed number of samples however long the audio is, and copies each sample about once.

    Parameters
    ----------
    window, hop : int
        In samples, at least 1.
    batch : int
        Most windows given at once, at least 1.
    """

    def __init__(self, window: int, hop: int, *, batch: int) -> None:
        if window < 1 or hop < 1 or batch < 1:
            raise ValueError(
                f"window, hop and batch must be at least 1, got {window}, {hop} and {batch}"
            )
        self._window = window
        self._hop = hop
        # A window stays when the buffer is full; what comes after it begins at most `batch` more.
        self._samples = np.empty(window + max(1, batch * hop - 1), np.float32)
        self._filled = 0
        self._offset = 0
        """Position in the audio of the first buffered sample."""
        self._next = 0
        """Position in the audio of the next window on the grid of hops."""

    @property
    def length(self) -> int:
        """Samples taken so far."""
        return self._offset + self._filled

    def push(self, samples: Float32Array) -> Iterator[tuple[Int64Array, Float32Array]]:
        """Take samples, shape (n,); yield the starts, shape (m,), and windows, shape (m, window).

        The windows are views, valid until the next step of the iteration.
        """
        taken = 0
        while taken < len(samples):
            room = min(len(self._samples) - self._filled, len(samples) - taken)
            self._samples[self._filled : self._filled + room] = samples[taken : taken + room]
            self._filled += room
            taken += room
            if self._filled == len(self._samples):
                yield from self._flush()
                self._make_room()

    def finish(self) -> Iterator[tuple[Int64Array, Float32Array]]:
        """Yield the windows that are left, the one aligned with the end last."""
        yield from self._flush()
        end = self.length
        last = max(end - self._window, 0)
        # After _flush the next window of the grid does not fit, so all up to it were given.
        if end == 0 or last == self._next - self._hop:
            return
        tail = np.zeros((1, self._window), np.float32)
        kept = self._samples[last - self._offset : self._filled]
        tail[0, : len(kept)] = kept
        yield np.array([last], np.int64), tail

    def _flush(self) -> Iterator[tuple[Int64Array, Float32Array]]:
        first = self._next - self._offset
        # A hop longer than the window may put the next window beyond what is here.
        views = frame(
            self._samples[min(first, self._filled) : self._filled], self._window, self._hop
        )
        if len(views):
            starts = self._next + self._hop * np.arange(len(views), dtype=np.int64)
            self._next += len(views) * self._hop
            yield starts, views

    def _make_room(self) -> None:
        """Keep one window: all that the next one of the grid, or the one at the end, can need."""
        dropped = self._filled - self._window
        self._samples[: self._window] = self._samples[dropped : self._filled].copy()
        self._filled = self._window
        self._offset += dropped


class SessionDoor:
    """What every session checks: one row of float32 at a time, and nothing after the end."""

    def __init__(self) -> None:
        self._closed = False

    def check(self, samples: Float32Array) -> None:
        """Raise ValueError unless samples are float32 of shape (n,) and the session is open."""
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(
                "samples must be a float32 array of one dimension, "
                f"got {samples.dtype} of shape {samples.shape}"
            )
        if self._closed:
            raise ValueError("a session takes no samples after finish()")

    def close(self) -> None:
        """Let nothing more in; raise ValueError if that was said before."""
        if self._closed:
            raise ValueError("a session is finished only once")
        self._closed = True


class WindowSession:
    """Encodes one track as windows, in bounded memory.  Implements `EncodeSession`.

    Parameters
    ----------
    encoder : Encoder
    batch : int, optional
        Most windows per call of ``encoder.encode``; by default as many as hold about a million
        samples, at most 64.
    """

    def __init__(self, encoder: Encoder, *, batch: int | None = None) -> None:
        self._encoder = encoder
        self._spec = encoder.spec
        self._window, self._hop = window_samples(self._spec)
        batch = batch or min(_BATCH_WINDOWS, max(1, _BATCH_SAMPLES // self._window))
        self._buffer = WindowBuffer(self._window, self._hop, batch=batch)
        self._batch = batch
        self._rows: list[AnyArray] = []
        self._starts: list[Int64Array] = []
        self._scores: list[Float32Array] = []
        self._skipped = 0
        self._door = SessionDoor()

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), float32, any n, at the encoder's rate.

        Raises
        ------
        ValueError
            If the samples are not one row of float32, or after `finish`.
        EncoderError
            If the encoder returns rows that are not what its spec says.
        """
        self._door.check(samples)
        for starts, windows in self._buffer.push(samples):
            self._encode(starts, windows)

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows.

        Raises
        ------
        ValueError
            If called twice.
        """
        self._door.close()
        for starts, windows in self._buffer.finish():
            self._encode(starts, windows)
        rows = self._rows or [np.empty((0, self._spec.rows.width), _given_dtype(self._spec.rows))]
        starts = np.concatenate([np.empty(0, np.int64), *self._starts])
        return Encoded(
            rows=np.concatenate(rows),
            segments=self._segments(starts),
            skipped=self._skipped,
            label_scores=self._label_scores(),
        )

    def _label_scores(self) -> Float32Array | None:
        if not isinstance(self._encoder, Tagger):
            return None
        none = np.empty((0, len(self._encoder.labels)), np.float32)
        return np.concatenate([none, *self._scores])

    def _segments(self, starts: Int64Array) -> Float64Array:
        """Start and end in seconds; a padded window ends where the audio does."""
        ends = np.minimum(starts + self._window, self._buffer.length)
        return np.stack([starts, ends], axis=1) / float(self._spec.sample_rate)

    def _encode(self, starts: Int64Array, windows: Float32Array) -> None:
        for i in range(0, len(starts), self._batch):
            some, at = windows[i : i + self._batch], starts[i : i + self._batch]
            if self._spec.silence_peak > 0:
                # Not `>=`: NaN, which no decoder should let through, must not pass as silence.
                loud = ~(peaks(some) < self._spec.silence_peak)
                if not loud.all():
                    self._skipped += int(np.count_nonzero(~loud))
                    some, at = some[loud], at[loud]
            if len(at):
                self._rows.append(check_rows(self._spec, self._rows_of(some), len(at)))
                self._starts.append(at)

    def _rows_of(self, windows: Float32Array) -> AnyArray:
        """Encode a batch, and keep its label scores if the encoder tags on the way."""
        if not isinstance(self._encoder, Tagger):
            return self._encoder.encode(windows)
        rows, scores = self._encoder.encode_tagged(windows)
        shape = (len(windows), len(self._encoder.labels))
        if scores.shape != shape or scores.dtype != np.float32:
            raise EncoderError(
                f"encoder {self._spec.name!r} must return float32 label scores of shape {shape}, "
                f"got {scores.dtype} of shape {scores.shape}"
            )
        self._scores.append(scores)
        return rows


class TilingSession(WindowSession):
    """A session in which audio shorter than one window is repeated to fill it.

    Parameters
    ----------
    encoder : Encoder
    batch : int, optional
        As for `WindowSession`.
    repeat : {'whole', 'fill'}
        'whole': as often as it fits whole, then zeros (what CLAP calls repeatpad); 'fill': until
        the window is full, the last copy cut.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        batch: int | None = None,
        repeat: Literal["whole", "fill"] = "whole",
    ) -> None:
        super().__init__(encoder, batch=batch)
        self._repeated = repeat_padded if repeat == "whole" else repeat_filled

    def _encode(self, starts: Int64Array, windows: Float32Array) -> None:
        n = self._buffer.length
        if 0 < n < self._window:
            windows = self._repeated(windows[:, :n], self._window)
        super()._encode(starts, windows)


def repeat_padded(clips: Float32Array, length: int) -> Float32Array:
    """Repeat clips, shape (m, n), as often as they fit whole into `length`; then zeros.

    Examples
    --------
    >>> repeat_padded(np.array([[1, 2, 3]], np.float32), 8)
    array([[1., 2., 3., 1., 2., 3., 0., 0.]], dtype=float32)
    """
    tiled = np.tile(clips, (1, max(1, length // clips.shape[1])))[:, :length]
    return np.pad(tiled, ((0, 0), (0, length - tiled.shape[1])))


def repeat_filled(clips: Float32Array, length: int) -> Float32Array:
    """Repeat clips, shape (m, n), n > 0, until they fill `length`.

    Examples
    --------
    >>> repeat_filled(np.array([[1, 2, 3]], np.float32), 8)
    array([[1., 2., 3., 1., 2., 3., 1., 2.]], dtype=float32)
    """
    return np.tile(clips, (1, -(-length // clips.shape[1])))[:, :length]


def _given_dtype(rows: RowSpec) -> np.dtype[np.uint8] | np.dtype[np.float32]:
    """The dtype that encoders hand over (stores may keep a narrower one)."""
    return np.dtype(np.uint8) if rows.dtype == "bits" else np.dtype(np.float32)


def check_rows(spec: EncoderSpec, rows: AnyArray, n: int) -> AnyArray:
    """Return an encoder's rows, or raise `EncoderError` if `n` windows cannot have given them."""
    shape, dtype = (n, spec.rows.width), _given_dtype(spec.rows)
    if rows.shape != shape or rows.dtype != dtype:
        raise EncoderError(
            f"encoder {spec.name!r} must return {dtype} rows of shape {shape}, "
            f"got {rows.dtype} of shape {rows.shape}"
        )
    return rows


def open_session(encoder: Encoder) -> EncodeSession:
    """Begin a track: the encoder's own session if it has one, else windows."""
    if isinstance(encoder, StreamEncoder):
        return encoder.session()
    return WindowSession(encoder)


def encode_clip(encoder: Encoder, clip: Clip) -> Encoded:
    """Encode a clip as a track; segments are in seconds of the clip's source.

    Parameters
    ----------
    encoder : Encoder
    clip : Clip
        At the encoder's rate.

    Returns
    -------
    Encoded
        No rows if the clip is empty or silent.

    Raises
    ------
    SampleRateError
        If the clip is at another rate.
    """
    clip.check_rate(encoder.spec.sample_rate)
    session = open_session(encoder)
    session.push(clip.samples)
    return _shifted(session.finish(), clip.start)


def encode_query(encoder: Encoder, clip: Clip) -> Encoded:
    """Encode a clip as a query: by `QueryEncoder.encode_query` if the encoder has it.

    Parameters, returns and errors are those of `encode_clip`.
    """
    if not isinstance(encoder, QueryEncoder):
        return encode_clip(encoder, clip)
    clip.check_rate(encoder.spec.sample_rate)
    return encoder.encode_query(clip)


def _shifted(encoded: Encoded, start: float) -> Encoded:
    if start == 0:
        return encoded
    return replace(encoded, segments=encoded.segments + start)
