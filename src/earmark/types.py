"""The nouns and the protocols that every other module speaks.

Words (see `docs/architecture.md`): a *clip* is decoded audio in memory, a *track* a catalogued
file, a *segment* an interval of a track in seconds.  An *encoder* turns windows of audio into
*rows* (float vectors, or bits packed into bytes); a *store* keeps the rows under integer *keys*,
consecutive in time within a track; a search gives *neighbors* (rows), a *matcher* makes *hits*
(tracks) of them.  *Distance* is small when near, *score* is large when good.

A capability that only some encoders have (a session over contiguous audio, a codebook fitted on
the library, text, prepared queries) is a protocol of its own, asked for with `isinstance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from earmark.errors import EncoderMismatch, SampleRateError

Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
Int64Array: TypeAlias = npt.NDArray[np.int64]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]
AnyArray: TypeAlias = npt.NDArray[Any]
JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Scalar: TypeAlias = "str | int | float"
"""One value of a tag."""

Metric = Literal["cosine", "inner_product", "l2", "hamming"]
RowType = Literal["float16", "float32", "bits"]


# --- sound -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clip:
    """Decoded mono audio in memory.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Nominally in [-1, 1].
    sample_rate : int
        In Hz.  It travels with the samples and is checked at the encoder's door.
    start : float
        Where the clip begins in its source, in seconds.
    source : str
        What to call it in messages.
    """

    samples: Float32Array
    sample_rate: int
    start: float = 0.0
    source: str = "clip"

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def check_rate(self, sample_rate: int) -> None:
        """Raise `SampleRateError` unless the clip is at `sample_rate` Hz."""
        if self.sample_rate != sample_rate:
            raise SampleRateError(
                f"{self.source}: samples must be at {sample_rate} Hz, got {self.sample_rate} Hz",
                hint="decode with earmark.audio.read(source, sample_rate=...)",
            )


@dataclass(frozen=True)
class AudioInfo:
    """What a decoder says of a source.

    Parameters
    ----------
    duration : float
        Seconds of audio: as the container claims before decoding, as counted after it.
    sample_rate : int
        In Hz, as stored.
    channels : int
        As stored.
    codec, container : str
        FFmpeg's short names, for example ``"vorbis"`` and ``"ogg"``.
    bit_rate : int
        In bits per second, 0 if unknown.
    """

    duration: float
    sample_rate: int
    channels: int
    codec: str
    container: str
    bit_rate: int = 0


# --- encoders ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RowSpec:
    """The form of one stored row.

    Parameters
    ----------
    dtype : {'float16', 'float32', 'bits'}
        As stored.  Encoders hand over float32, or uint8 with 8 bits a byte.
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
    """

    rows: AnyArray
    segments: Float64Array
    refine: AnyArray | None = None
    skipped: int = 0
    facts: Mapping[str, Scalar] = field(default_factory=dict)


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


@runtime_checkable
class TextEncoder(Protocol):
    """Capability: words in the same space as the audio."""

    def encode_text(self, texts: Sequence[str]) -> Float32Array:
        """Encode texts to rows, shape (len(texts), spec.rows.ndim)."""


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


# --- tracks and hits ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Track:
    """A catalogued file.

    Parameters
    ----------
    id : int
        Never used twice in one library.
    path : str
        Absolute path, ``archive.zip!/member``, or URL; bytes that are not UTF-8 are kept as
        lone surrogates (`os.fsdecode`).
    content_hash : str
        Hexadecimal digest of the file's bytes.
    size : int
        In bytes.
    mtime_ns : int
        Time of last change in ns since the epoch (of the archive, for a member; 0 if unknown).
    info : AudioInfo
        Its duration is counted while decoding.
    title, artist : str
        From the file's tags, or empty.
    tags : mapping
        All other tags, the user's own included.
    """

    id: int
    path: str
    content_hash: str
    size: int
    mtime_ns: int
    info: AudioInfo
    title: str = ""
    artist: str = ""
    tags: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.info.duration


@dataclass(frozen=True)
class TrackRecord:
    """What ingest hands to a store about one file (a `Track` before it has an id)."""

    path: str
    content_hash: str
    size: int
    mtime_ns: int
    info: AudioInfo
    title: str = ""
    artist: str = ""
    tags: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What planning needs to know of a path in the catalog.

    `track` is None for a path that failed last time; `error` is then its reason.
    """

    path: str
    track: int | None
    size: int
    mtime_ns: int
    content_hash: str
    encoders: frozenset[str]
    error: str = ""


@dataclass(frozen=True)
class Hit:
    """One answer: a track, the moment in it, and the moment of the query that it matches.

    `start`, `end`, `query_start` and `query_end` are in seconds, and None where a match has no
    place in time (words in the metadata).  `by` names what found it: an encoder, 'metadata', or
    several joined by '+'.  `ranks` gives the 1-based rank with each of them.  `show` renders the
    hit as HTML for a notebook (the library sets it).
    """

    track: Track
    score: float
    start: float | None
    end: float | None
    query_start: float | None
    query_end: float | None
    by: str
    ranks: Mapping[str, int] = field(default_factory=dict)
    show: Callable[[Hit], str] | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the hit as the command line and the server print it."""
        return {
            "track": self.track.id,
            "path": self.track.path,
            "score": round(float(self.score), 6),
            "start": self.start,
            "end": self.end,
            "query_start": self.query_start,
            "query_end": self.query_end,
            "by": self.by,
            "title": self.track.title,
            "artist": self.track.artist,
            "duration": self.track.duration,
            "tags": dict(self.track.tags),
        }

    def _repr_html_(self) -> str | None:
        return self.show(self) if self.show else None


@dataclass(frozen=True)
class Neighbors:
    """The rows nearest to each query row.

    Parameters
    ----------
    keys : int64 array, shape (n_queries, k)
        Nearest first; -1 where there were fewer than k.
    distances : float32 array, shape (n_queries, k)
        cosine: 1 - cos; inner_product: -<q, x>; l2: Euclidean; hamming: bits.  Infinite at -1.
    exact : bool
        Whether every allowed row was looked at.
    """

    keys: Int64Array
    distances: Float32Array
    exact: bool


@dataclass(frozen=True)
class Segments:
    """Where rows lie: arrays of shape (n,), track -1 for a key that is no live row.

    `tracks` int64 track ids, `starts` and `ends` float64 seconds in the track.
    """

    tracks: Int64Array
    starts: Float64Array
    ends: Float64Array


@dataclass(frozen=True)
class TextMatch:
    """A track whose metadata has the words; `score` large when good."""

    track: int
    score: float


# --- filters -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compare:
    """``field op value``; op is one of ``= != < <= > >= like``."""

    field: str
    op: str
    value: Scalar


@dataclass(frozen=True)
class In:
    """``field in (values)``."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Exists:
    """The field is there and is neither empty nor 0: a bare name in an expression."""

    field: str


@dataclass(frozen=True)
class Not:
    """``not term``."""

    term: Expr


@dataclass(frozen=True)
class And:
    """All terms hold."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Or:
    """At least one term holds."""

    terms: tuple[Expr, ...]


Expr: TypeAlias = Compare | In | Exists | Not | And | Or
"""A filter over tracks, as every engine that earmark knows can express it."""


# --- stores ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """One fault that `Store.verify` found.

    `what` is 'shard', 'index', 'catalog' or 'state'; `tracks` the ids whose rows are affected;
    `mend` says what `rebuild` will do about it.
    """

    what: str
    name: str
    reason: str
    tracks: tuple[int, ...] = ()
    mend: str = ""


@dataclass(frozen=True)
class SpaceStats:
    """Size and health of one encoder's rows."""

    encoder: str
    tracks: int
    rows: int
    dead_rows: int
    bytes: int
    index: str
    index_rows: int


@dataclass(frozen=True)
class StoreStats:
    """Size and health of a store; `bytes` is all that lies on disk, `seconds` of audio."""

    url: str
    format: int
    tracks: int
    failures: int
    seconds: float
    bytes: int
    spaces: tuple[SpaceStats, ...]


class Writer(Protocol):
    """Changes to a store.  Nothing is visible, or survives a crash, before `commit`; what
    `commit` returned from does both."""

    def put_encoder(self, spec: EncoderSpec, state: State) -> None:
        """Declare an encoder.  The same spec again is a no-op, another one under the same name
        raises `EncoderMismatch`; see `replace_encoder`."""

    def replace_encoder(self, spec: EncoderSpec, state: State) -> None:
        """Drop all rows of the encoder of this name and declare the new one, at `commit`."""

    def drop_encoder(self, name: str) -> None:
        """Drop an encoder and all its rows."""

    def put_track(self, record: TrackRecord, encoded: Mapping[str, Encoded]) -> int:
        """Add a track, or replace metadata and the given encoders' rows of the one with the same
        path and content hash (all its rows if the hash differs).  Returns its id.
        Raises `InvalidVectors` for rows that are not what the spec says, NaN, infinite, or of
        length zero under cosine."""

    def copy_track(self, record: TrackRecord, source: int, encoders: Iterable[str]) -> int:
        """Add a track whose content is that of track `source`: rows are copied, not encoded."""

    def move_track(self, track: int, record: TrackRecord) -> None:
        """Give a track another path (and size, time, tags); its rows stay."""

    def set_tags(self, track: int, tags: Mapping[str, Scalar | None]) -> None:
        """Set the user's own tags; None removes one."""

    def remove_tracks(self, tracks: Iterable[int]) -> None:
        """Remove tracks with their rows."""

    def put_failure(self, path: str, size: int, mtime_ns: int, error: str) -> None:
        """Remember why a path failed, so that it is not tried again until it changes."""

    def clear_failures(self, paths: Iterable[str]) -> None:
        """Forget failures."""

    def commit(self) -> None:
        """Make all changes since the last commit visible and durable, as one."""


class Store(Protocol):
    """Tracks with their metadata, and rows under keys.  Reading is from a snapshot that a call
    takes for itself; one writer at a time, any number of readers."""

    @property
    def url(self) -> str:
        """What opens this store again."""

    def close(self) -> None:
        """Release files and connections."""

    # tracks
    def fields(self) -> dict[str, str]:
        """Names that `where` may use, with 'text', 'number' or 'mixed'."""

    def count(self, where: Expr | None = None) -> int:
        """Number of tracks."""

    def track_ids(self, where: Expr | None = None) -> Int64Array:
        """Ids of tracks, ascending, shape (n,).  Raises `UnknownField`."""

    def tracks(self, ids: Sequence[int]) -> list[Track]:
        """Tracks in the order of `ids`; ids that are not there are left out."""

    def find_path(self, path: str) -> Track | None:
        """The track at exactly this path."""

    def known(self) -> dict[str, Known]:
        """All paths, failures included, for planning."""

    def find_text(self, text: str, k: int, *, where: Expr | None = None) -> list[TextMatch]:
        """Best `k` tracks whose metadata have the words: prefixes match, typos are forgiven."""

    # rows
    def encoders(self) -> dict[str, EncoderSpec]:
        """The encoders that made rows here."""

    def state(self, encoder: str) -> dict[str, AnyArray]:
        """The fitted arrays of an encoder (empty if it has none)."""

    def search(
        self,
        encoder: str,
        queries: AnyArray,
        k: int,
        *,
        tracks: Int64Array | None = None,
        refine: AnyArray | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Rows nearest to each query row.

        Parameters
        ----------
        queries : array, shape (n, spec.rows.width)
        k : int
            Rows per query, at least 1.
        tracks : int64 array, optional
            Only rows of these tracks, ascending ids.
        refine : array, shape (n, spec.refine.width), optional
            Rank the nearest rows anew by the second form; distances are then in its metric.
        exact : bool
            Look at every row.
        """

    def locate(self, encoder: str, keys: Int64Array) -> Segments:
        """The segments of rows."""

    def keys(self, encoder: str, track: int) -> Int64Array:
        """The live keys of a track, ascending and consecutive, shape (n,); empty if none."""

    def vectors(
        self, encoder: str, keys: Int64Array, *, form: Literal["rows", "refine"] = "rows"
    ) -> AnyArray:
        """Stored rows, shape (len(keys), width): float32, or uint8 for bits.  Keys that are
        not live raise KeyError."""

    # care
    def writer(self) -> AbstractContextManager[Writer]:
        """Begin to write.  Raises `LibraryLocked` if another process does.  Leaving the context
        without `commit` drops what was not committed."""

    def stats(self) -> StoreStats:
        """Sizes and health."""

    def verify(self) -> list[Damage]:
        """Check all that is stored against its checksums; an empty list is good news."""

    def rebuild(self, *, encoder: str | None = None, index: str | None = None) -> list[str]:
        """Derive indexes anew (of the kind `index`: auto, flat, ivf, ivfpq, ivfpq-rr, hnsw) and
        say what was done."""

    def compact(self) -> int:
        """Drop dead rows and unreferenced files; return the bytes won."""


# --- progress ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A source that failed, with its reason (without the path)."""

    path: str
    error: str


@dataclass(frozen=True)
class Progress:
    """How far a long job is; handed to the caller's `on_progress`.

    `stage` is 'scan', 'fit' or 'encode'; seconds are of audio.
    """

    stage: str
    files: int
    files_total: int
    seconds: float
    seconds_total: float
    current: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]
