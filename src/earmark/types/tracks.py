"""Catalogued files, and the answers that name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from earmark.types.arrays import Float32Array, Float64Array, Int64Array, Scalar
from earmark.types.sound import AudioInfo


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
    several joined by '+'.  `ranks` gives the 1-based rank with each of them, `details` what else
    its kind of search knows (how a hum lies over a tune), `aspects` how alike both are in each
    aspect of sound, where aspects were weighed.  `show` renders the hit as HTML for a
    notebook (the library sets it).  Where a recording was identified, `offset` is the track's
    time at the query's time 0, `speed` seconds of track per second of query, and `exact` says
    whether the range was made exact by comparing the sound itself.
    """

    track: Track
    score: float
    start: float | None
    end: float | None
    query_start: float | None
    query_end: float | None
    by: str
    ranks: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    aspects: Mapping[str, float] = field(default_factory=dict)
    show: Callable[[Hit], str] | None = field(default=None, repr=False, compare=False)
    offset: float | None = None
    speed: float | None = None
    exact: bool | None = None

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
            **self.details,
        } | {
            name: value
            for name in ("offset", "speed", "exact")
            if (value := getattr(self, name)) is not None
        }

    def _repr_html_(self) -> str | None:
        return self.show(self) if self.show else None


@dataclass(frozen=True, eq=False)
class Label:
    """A name that a `Tagger` gave a track, and when.

    Parameters
    ----------
    name : str
    score : float
        The largest of the moments' scores.
    moments : float64 array, shape (n, 3)
        Start and end in seconds, and the score there; in order of time.
    """

    name: str
    score: float
    moments: Float64Array


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
    """A track that has the words; `score` large when good.

    `start` and `end`, in seconds, are the moment that has them, None for words in the metadata.
    """

    track: int
    score: float
    start: float | None = None
    end: float | None = None
