"""What encoders are, what they give, and what else some of them can do.

A capability that only some encoders have is a protocol of its own, asked for with `isinstance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from earmark.errors import EncoderMismatch
from earmark.types.arrays import JSON, AnyArray, Float32Array, Float64Array, Metric, RowType, Scalar
from earmark.types.sound import AudioInfo, Clip
from earmark.types.tracks import Label


@dataclass(frozen=True)
class RowSpec:
    """The form of one stored row.

    Parameters
    ----------
    dtype : {'float16', 'float32', 'int8', 'bits'}
        As stored.  Encoders hand over float32, or uint8 with 8 bits a byte.  'int8' is for
        numbers within -1 and 1, which are kept to 1/127.
    ndim : int
        Numbers of a vector, or bits of a code (a multiple of 8).
    metric : {'cosine', 'inner_product', 'l2', 'hamming'}
        How near two rows are; 'hamming' if and only if dtype is 'bits'.
    """

    dtype: RowType
    ndim: int
    metric: Metric

    @property
    def width(self) -> int:
        """Entries of one row's array: `ndim`, or bytes for bits."""
        return self.ndim // 8 if self.dtype == "bits" else self.ndim

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of stored rows."""
        return np.dtype(np.uint8 if self.dtype == "bits" else self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of one stored row."""
        return self.width * self.numpy_dtype.itemsize


@dataclass(frozen=True)
class EncoderSpec:
    """What made a set of vectors, in full: two specs that differ are not to be compared.

    Parameters
    ----------
    name : str
        The encoder's name and the name of its rows in the store, e.g. ``"timbre"``.
    kind : str
        The kind of question it answers: 'semantic', 'similar', 'timbre', 'identify', 'hum'.
    rows : RowSpec
        The searched form.
    sample_rate : int
        The only rate, in Hz, at which it takes audio.
    window, hop : float
        In seconds.  Encoders with a session of their own may place segments differently.
    revision : str
        Names weights, codebook and algorithm; a new one whenever the same audio would give
        other rows.
    options : mapping
        All that the revision does not say, as JSON (for example the profile).
    refine : RowSpec, optional
        A second form under the same keys, for ranking the nearest rows of the first anew.
    matcher : str
        How neighbors become hits: 'best_segment', 'sequence' or 'align'.
    silence_peak : float
        Windows whose largest absolute sample is below this are not encoded: silence resembles
        everything.  0 encodes all.
    """

    name: str
    kind: str
    rows: RowSpec
    sample_rate: int
    window: float
    hop: float
    revision: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    refine: RowSpec | None = None
    matcher: str = "best_segment"
    silence_peak: float = 1e-4

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values; `from_json` is its inverse."""
        return asdict(self) | {"options": dict(self.options)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EncoderSpec:
        """Build a spec from what `to_json` gave.  Unknown keys are an error (TypeError)."""
        values = dict(data)
        values["rows"] = RowSpec(**values["rows"])
        if values.get("refine") is not None:
            values["refine"] = RowSpec(**values["refine"])
        return cls(**values)

    def differences(self, other: EncoderSpec) -> list[str]:
        """Say in words each field in which `other` differs from this spec."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            f"{f.name}: {mine[f.name]!r} against {theirs[f.name]!r}"
            for f in fields(self)
            if mine[f.name] != theirs[f.name]
        ]

    def check_same(self, other: EncoderSpec, *, hint: str | None = None) -> None:
        """Raise `EncoderMismatch`, naming each difference, unless the specs are equal."""
        if differences := self.differences(other):
            raise EncoderMismatch(
                f"rows of encoder {self.name!r} must be made by the same encoder; "
                f"stored against present: {'; '.join(differences)}",
                hint=hint or f"encode the library anew: earmark rebuild --encoder {self.name}",
            )


@dataclass(frozen=True)
class Encoded:
    """The rows of one track (or query) with the segments they stand for.

    Parameters
    ----------
    rows : array, shape (n, spec.rows.width)
        float32, or uint8 for bits; in order of time.
    segments : float64 array, shape (n, 2)
        Start and end of each row in seconds of the source.
    refine : array, shape (n, spec.refine.width), optional
        The second form, if the spec has one.
    skipped : int
        Windows left out because they were silent.
    facts : mapping
        What the encoder found out on the way (pitch, tempo, ...); becomes tags of the track.
    label_scores : float32 array, shape (n, labels), optional
        Probability of each of a `Tagger`'s labels in each row's segment.
    labels : tuple of Label
        The few of them that are worth keeping; what a store keeps.
    """

    rows: AnyArray
    segments: Float64Array
    refine: AnyArray | None = None
    skipped: int = 0
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    label_scores: Float32Array | None = None
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class EncodedScore:
    """A score as a track: its rows, what is said of the file, its title, and what was wrong."""

    encoded: Encoded
    info: AudioInfo
    title: str = ""
    warnings: tuple[str, ...] = ()


State: TypeAlias = Mapping[str, AnyArray]
"""Fitted arrays of an encoder by name: stored as arrays, never as pickled code."""


@runtime_checkable
class Encoder(Protocol):
    """Windows of audio in, rows out.  Pure: the same window gives the same row, whatever its
    batch-mates."""

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is."""

    def encode(self, windows: Float32Array) -> AnyArray:
        """Encode windows.

        Parameters
        ----------
        windows : float32 array, shape (n, samples)
            ``samples == round(spec.window * spec.sample_rate)``; a clip shorter than one window
            arrives padded with zeros.

        Returns
        -------
        array, shape (n, spec.rows.width)
            float32, or uint8 with packed bits.
        """


class EncodeSession(Protocol):
    """Takes one track's audio piece by piece, in order."""

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), any n, at the encoder's rate."""

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows."""


@runtime_checkable
class StreamEncoder(Protocol):
    """Capability: places its own segments on contiguous audio, in bounded memory."""

    def session(self) -> EncodeSession:
        """Begin a new track."""


@runtime_checkable
class QueryEncoder(Protocol):
    """Capability: a query is encoded differently from a track (a hum, a pitched-up clip)."""

    def encode_query(self, clip: Clip) -> Encoded:
        """Encode a whole query at the encoder's rate."""


class GradualQuery(Protocol):
    """A query whose rows are made as they are asked for."""

    def encode(self, *, every: int = 1) -> Encoded:
        """Encode every so manyth segment from the first on; no segment is encoded twice."""


@runtime_checkable
class GradualEncoder(Protocol):
    """Capability: some rows of a query can be had before the rest is paid for."""

    def prepare_query(self, clip: Clip) -> GradualQuery:
        """Take a whole query at the encoder's rate."""


@runtime_checkable
class ScoreEncoder(Protocol):
    """Capability: reads scores (MIDI, MusicXML, ABC, lists of notes), which have no sound."""

    def encode_score(self, data: bytes, name: str) -> EncodedScore:
        """Encode the content of a file.  Raises `DecodeError` if it is no sound score."""


@runtime_checkable
class TextEncoder(Protocol):
    """Capability: words in the same space as the audio."""

    def encode_text(self, texts: Sequence[str]) -> Float32Array:
        """Encode texts to rows, shape (len(texts), spec.rows.ndim)."""


@runtime_checkable
class AspectEncoder(Protocol):
    """Capability: tells in which respects two sounds are alike, from their stored rows alone."""

    @property
    def aspects(self) -> tuple[str, ...]:
        """Names of similarities, at most 1 each."""

    @property
    def nudges(self) -> tuple[str, ...]:
        """Names of differences from the query, from -1 to 1."""

    def compare(self, query: AnyArray, rows: AnyArray) -> Mapping[str, Float32Array]:
        """Compare one row of the second form, shape (width,), with others, shape (n, width).

        Returns
        -------
        mapping of float32 arrays, shape (n,)
            One under each name of `aspects` and `nudges`.
        """


@runtime_checkable
class Tagger(Protocol):
    """Capability: says on the way which of a fixed set of labels each window has."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the scores."""

    def encode_tagged(self, windows: Float32Array) -> tuple[AnyArray, Float32Array]:
        """Encode windows and tag them in one pass.

        Returns
        -------
        rows : array, shape (n, spec.rows.width)
            As `Encoder.encode` gives them.
        scores : float32 array, shape (n, len(labels))
            Probabilities.
        """


@runtime_checkable
class FittedEncoder(Protocol):
    """Capability: learns state (a codebook, a projection) on the user's own library."""

    @property
    def fitted(self) -> bool:
        """Whether state is present; `encode` raises `NotFitted` without it."""

    def training_rows(self, windows: Float32Array) -> Float32Array:
        """Return what `fit` learns from, shape (m, d), for windows, shape (n, samples)."""

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        """Learn from a sample of training rows, shape (m, d); return the state's arrays."""

    def with_state(self, state: State) -> Encoder:
        """Return the same encoder with this state; its revision names the state's content."""


@runtime_checkable
class LabelledEncoder(Protocol):
    """Capability: a `FittedEncoder` that learns better if told which rows belong together."""

    def fit_labelled(
        self, rows: Float32Array, labels: Sequence[str], *, seed: int
    ) -> dict[str, AnyArray]:
        """Learn from training rows, shape (m, d), with the label of each."""
