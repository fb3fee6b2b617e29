"""The timbre profile `default`: pitch-free, robust, nothing to fit and nothing to download.

A sound of up to 6 s is one row: silence before and after it is cut off, descriptors of timbre
(`earmark.features.timbre`) are taken of the rest and projected (`timbre_projection`) to a vector
of 64 numbers, which re-ranks, and 256 bits, which are searched.  Longer sounds are windows of 3 s
every 2 s, each aligned with its first onset in the same way.  Level does not count; a constant
offset is taken out; what is silent gives no row.  Behind the 64 numbers stand 28 that say what the
sound is like in single aspects (`timbre_aspects`).

The profile `own` (`timbre_own`) shares all of this but the projection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from earmark.encoders import timbre_aspects, timbre_facts
from earmark.encoders.timbre_projection import BITS, VECTOR, Projection, shipped
from earmark.errors import EncoderError
from earmark.features.timbre import SAMPLE_RATE, aspects, groups
from earmark.features.timbre.envelope import aligned, bounds
from earmark.framing import SessionDoor, WindowBuffer, peaks
from earmark.types import (
    AnyArray,
    Encoded,
    EncoderSpec,
    Float32Array,
    Float64Array,
    Int64Array,
    RowSpec,
    Scalar,
    State,
    UInt8Array,
)

NAME = "timbre"
_ALGORITHM = "2"
"""Raised whenever the same audio and projection would give other rows."""

WHOLE = 6 * SAMPLE_RATE
"""Longest sound, in samples, that is one row."""
WINDOW, HOP = 3 * SAMPLE_RATE, 2 * SAMPLE_RATE
_FACTS = 30 * SAMPLE_RATE
"""Longest sound that is looked at for pitch, tempo and the like."""
_BATCH = 8
_SILENCE_PEAK = 1e-4


@dataclass(frozen=True)
class Described:
    """What is known of n segments.

    Parameters
    ----------
    vectors : float32 array, shape (n, 64)
        Timbre, of unit length.
    refine : float32 array, shape (n, 92)
        The rows' second form: timbre and aspects.
    said : mapping of float32 arrays, shape (n,)
        As `earmark.features.timbre.aspects`.
    midi : float32 array, shape (n,)
        Pitch by subharmonic summation, as a MIDI number, whether there is one or not.
    bounds : int64 array, shape (n, 2)
        First sample and end of the sound in each.
    """

    vectors: Float32Array
    refine: Float32Array
    said: Mapping[str, Float32Array]
    midi: Float32Array
    bounds: Int64Array


class Default:
    """The profile `default`: 256 bits and 64 numbers a segment, and its aspects.

    Implements `Encoder`, `StreamEncoder` and `AspectEncoder`.

    Parameters
    ----------
    projection : Projection, optional
        The package's own if left out.
    """

    profile = "default"
    aspects = timbre_aspects.ASPECTS
    nudges = timbre_aspects.NUDGES

    def __init__(self, projection: Projection | None = None) -> None:
        self._projection = projection or shipped()
        self._spec = EncoderSpec(
            name=NAME,
            kind="timbre",
            rows=RowSpec("bits", BITS, "hamming"),
            sample_rate=SAMPLE_RATE,
            window=WINDOW / SAMPLE_RATE,
            hop=HOP / SAMPLE_RATE,
            revision=f"{self.profile}-{_ALGORITHM}-{self._projection.digest}",
            options={"profile": self.profile},
            refine=RowSpec("float16", VECTOR + timbre_aspects.WIDTH, "cosine"),
            silence_peak=_SILENCE_PEAK,
        )

    @classmethod
    def from_state(cls, state: State | None) -> Default:
        """Make the profile's encoder; it keeps no state in a library.

        Raises
        ------
        EncoderError
            If there is state: it belongs to another profile.
        """
        if state:
            raise EncoderError(
                f"the profile {cls.profile!r} of encoder {NAME!r} has no fitted state, "
                f"got {', '.join(sorted(state))}",
                hint="the state is another profile's: options must name that one",
            )
        return cls()

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is; the revision names algorithm and projection."""
        return self._spec

    def encode(self, windows: Float32Array) -> UInt8Array:
        """Encode windows, float32 of shape (n, 66150), to packed bits of shape (n, 32).

        Raises
        ------
        ValueError
            If the windows have another shape or type.
        """
        if windows.ndim != 2 or windows.shape[1] != WINDOW or windows.dtype != np.float32:
            raise ValueError(
                f"windows must be float32 of shape (n, {WINDOW}), "
                f"got {windows.dtype} of shape {windows.shape}"
            )
        codes = np.zeros((len(windows), BITS // 8), np.uint8)
        for at in range(0, len(windows), _BATCH):
            vectors = self.describe(windows[at : at + _BATCH]).vectors
            codes[at : at + len(vectors)] = self._projection.codes(vectors)
        return codes

    def codes(self, vectors: Float32Array) -> UInt8Array:
        """The bits that go with vectors, shape (n, 64): uint8, shape (n, 32)."""
        return self._projection.codes(vectors)

    def compare(self, query: AnyArray, rows: AnyArray) -> dict[str, Float32Array]:
        """Similarity of a row's second form to others in each aspect; see `timbre_aspects`."""
        return timbre_aspects.compare(query, rows)

    def describe(self, segments: Float32Array) -> Described:
        """Describe segments of one length, at least one, float32 of shape (n, m)."""
        batch, lengths, limits = sounding(segments)
        found, pitch, spectra = groups(batch, lengths)
        vectors = self._projection.vectors(np.concatenate(list(found.values()), axis=1))
        said = aspects(found, spectra)
        level = timbre_aspects.level_db(segments)
        block = timbre_aspects.block(found, said, pitch.hz, pitch.confidence, level)
        midi = (69 + 12 * np.log2(pitch.hz / 440)).astype(np.float32)
        return Described(vectors, timbre_aspects.joined(vectors, block), said, midi, limits)

    def session(self) -> DefaultSession:
        """Begin a new track."""
        return DefaultSession(self)


class DefaultSession:
    """Encodes one track: whole if it is short, as windows if not.  Implements `EncodeSession`."""

    def __init__(self, encoder: Default) -> None:
        self._encoder = encoder
        self._head: list[Float32Array] = []
        self._length = 0
        self._buffer: WindowBuffer | None = None
        self._described: list[Described] = []
        self._starts: list[Int64Array] = []
        self._skipped = 0
        self._door = SessionDoor()

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), float32, any n, at 22,050 Hz.

        Raises
        ------
        ValueError
            If the samples are not one row of float32, or after `finish`.
        """
        self._door.check(samples)
        if self._length < _FACTS:
            self._head.append(samples[: _FACTS - self._length].copy())
        before, self._length = self._length, self._length + len(samples)
        if self._length <= WHOLE:
            return
        if self._buffer is None:
            self._buffer = WindowBuffer(WINDOW, HOP, batch=_BATCH)
            earlier = np.concatenate(self._head)[:before]
            self._windows(self._buffer.push(earlier))
        self._windows(self._buffer.push(samples))

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows.

        Raises
        ------
        ValueError
            If called twice.
        """
        self._door.close()
        segments = self._sliding() if self._buffer is not None else self._whole()
        vectors = np.concatenate(
            [np.empty((0, VECTOR), np.float32), *(d.vectors for d in self._described)]
        )
        width = VECTOR + timbre_aspects.WIDTH
        refine = np.concatenate(
            [np.empty((0, width), np.float32), *(d.refine for d in self._described)]
        )
        return Encoded(
            rows=self._encoder.codes(vectors),
            segments=segments,
            refine=refine,
            skipped=self._skipped,
            facts=self._facts() if len(vectors) else {},
        )

    def _whole(self) -> Float64Array:
        samples = np.concatenate([np.empty(0, np.float32), *self._head])
        if not len(samples):
            return np.empty((0, 2))
        if _silent(samples[None])[0]:
            self._skipped += 1
            return np.empty((0, 2))
        self._described.append(self._encoder.describe(samples[None]))
        return self._described[0].bounds / SAMPLE_RATE

    def _sliding(self) -> Float64Array:
        if self._buffer is not None:
            self._windows(self._buffer.finish())
        starts = np.concatenate([np.empty(0, np.int64), *self._starts])
        ends = np.minimum(starts + WINDOW, self._length)
        return np.stack([starts, ends], axis=1) / float(SAMPLE_RATE)

    def _windows(self, batches: Iterator[tuple[Int64Array, Float32Array]]) -> None:
        for starts, windows in batches:
            for at in range(0, len(windows), _BATCH):
                some = windows[at : at + _BATCH]
                loud = ~_silent(some)
                self._skipped += int(np.count_nonzero(~loud))
                if loud.any():
                    self._described.append(self._encoder.describe(some[loud]))
                    self._starts.append(starts[at : at + _BATCH][loud])

    def _facts(self) -> dict[str, Scalar]:
        """The median of each aspect over the rows, and what is known of short sounds."""
        names = self._described[0].said
        together = {n: np.concatenate([d.said[n] for d in self._described]) for n in names}
        found: dict[str, Scalar] = {
            name: round(float(np.median(values)), 3) for name, values in together.items()
        }
        if self._length <= _FACTS:
            samples = np.concatenate(self._head)
            begin, end = bounds(samples - samples.mean())
            midi = float(np.median(np.concatenate([d.midi for d in self._described])))
            found |= timbre_facts.facts(samples, samples[begin:end], second_midi=midi)
        return found


def sounding(segments: Float32Array) -> tuple[Float32Array, Int64Array, Int64Array]:
    """The sound in each segment: without offset, from its onset on, zeros after its end.

    Parameters
    ----------
    segments : float32 array, shape (n, m)
        n at least 1.

    Returns
    -------
    batch : float32 array, shape (n, k)
    lengths : int64 array, shape (n,)
        Valid samples of each row of the batch.
    bounds : int64 array, shape (n, 2)
        First sample and end of the sound in the segment.
    """
    level = segments - segments.mean(axis=1, keepdims=True)
    limits = np.array([bounds(row) for row in level], np.int64).reshape(len(segments), 2)
    cut = [aligned(row, int(a), int(b)) for row, (a, b) in zip(level, limits, strict=True)]
    lengths = np.array([len(c) for c in cut], np.int64)
    batch = np.zeros((len(segments), int(lengths.max())), np.float32)
    for row, sound in zip(batch, cut, strict=True):
        row[: len(sound)] = sound
    return batch, lengths, limits


def _silent(segments: Float32Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each segment, shape (n, m), is silence or a constant."""
    return peaks(segments - segments.mean(axis=1, keepdims=True)) < _SILENCE_PEAK
