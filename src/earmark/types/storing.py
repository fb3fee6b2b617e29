"""What a store is: the protocols that every engine fulfils, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from earmark.types.arrays import AnyArray, Int64Array, Scalar
from earmark.types.encoding import Encoded, EncoderSpec, State
from earmark.types.filters import Expr
from earmark.types.tracks import Known, Label, Neighbors, Segments, TextMatch, Track, TrackRecord


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
        """Add a track, or replace metadata and the given encoders' rows and labels of the one with
        the same path and content hash (those of all encoders if the hash differs).  Returns its id.
        Raises `InvalidVectors` for rows that are not what the spec says, NaN, infinite, or of
        length zero under cosine."""

    def copy_track(self, record: TrackRecord, source: int, encoders: Iterable[str]) -> int:
        """Add a track whose content is that of track `source`: rows and labels are copied."""

    def move_track(self, track: int, record: TrackRecord) -> None:
        """Give a track another path (and size, time, tags); its rows stay."""

    def set_tags(self, track: int, tags: Mapping[str, Scalar | None]) -> None:
        """Set the user's own tags; None removes one."""

    def remove_tracks(self, tracks: Iterable[int]) -> None:
        """Remove tracks with their rows."""

    def put_arrays(self, name: str, arrays: State) -> None:
        """Keep derived arrays (a map, say) under a name, instead of those that were there; an
        empty mapping drops them."""

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

    def find_labels(self, text: str, k: int, *, where: Expr | None = None) -> list[TextMatch]:
        """Best `k` tracks with labels that have any of the words, and the moment that has them.

        The score is the share of the known words, weighed by how rare they are among the names
        of labels, each times the score of the label that has it.  Words that no label has do not
        count."""

    def labels(self, tracks: Sequence[int]) -> dict[int, dict[str, list[Label]]]:
        """Labels of tracks by encoder, best first; tracks without any are left out."""

    def arrays(self, name: str) -> dict[str, AnyArray]:
        """The derived arrays of this name; empty if there are none."""

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


@runtime_checkable
class RoughStore(Protocol):
    """Capability: gives up some of the nearest rows for speed, where many rows ask together."""

    def search_roughly(
        self,
        encoder: str,
        queries: AnyArray,
        k: int,
        *,
        tracks: Int64Array | None = None,
        probes: int,
    ) -> Neighbors:
        """Most of the rows nearest to each query row; see `Store.search`.

        Parameters
        ----------
        probes : int
            How many of an index's lists to look at, where there is one.
        """
