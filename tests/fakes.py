"""Stand-ins for tests: jobs for executors that do as their task says, encoders, a plain store.

Worker processes import this module by name, which works because pytest puts `tests` on the path
and executors hand their `sys.path` down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from earmark.errors import DecodeError, EncoderMismatch, SourceError
from earmark.sources import Source
from earmark.types import (
    AnyArray,
    Encoded,
    EncoderSpec,
    Float32Array,
    Known,
    RowSpec,
    State,
    Track,
    TrackRecord,
)

# --- jobs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deed:
    """A task that says what shall happen to it; `number` comes back as the result."""

    number: int
    deed: str = "work"
    seconds: float = 0.0
    size: int = 0

    @property
    def source(self) -> Source:
        return Source(f"/nowhere/{self.number}", self.size, 0)


def deed(task: Deed, claim: Callable[[float], None]) -> Any:
    """Do what the task says."""
    if task.deed == "slow-claim":
        claim(task.seconds)
        time.sleep(1.5)
        return task.number
    if task.deed == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task.deed == "exit":
        os._exit(7)
    if task.deed == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.deed == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if task.deed == "spin":
        while True:
            pass
    if task.deed == "decode-error":
        raise DecodeError(task.source.path, "it is not audio")
    if task.deed == "source-error":
        raise SourceError(task.source.path, "it is not there")
    if task.deed == "bug":
        raise ZeroDivisionError("a fault in an encoder")
    if task.deed == "environment":
        return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "PATH")}
    if task.deed == "pid":
        time.sleep(task.seconds)
        return os.getpid()
    if task.deed == "large":
        return np.zeros(int(task.seconds), np.uint8)
    time.sleep(task.seconds)
    return task.number


@dataclass(frozen=True)
class DeedJob:
    """Opens to `deed`; or fails to, as it is told."""

    fault: str = ""

    def open(self) -> Callable[[Deed, Callable[[float], None]], Any]:
        if self.fault == "error":
            raise EncoderMismatch("the encoder is another one", hint="ask again")
        if self.fault == "bug":
            raise ZeroDivisionError("a fault in a plug-in")
        if self.fault == "exit":
            os._exit(9)
        return deed


# --- encoders ----------------------------------------------------------------------------------


class LevelEncoder:
    """A row per second of audio: its mean, its level and a constant."""

    def __init__(self, name: str = "level") -> None:
        self.spec = EncoderSpec(
            name=name,
            kind="similar",
            rows=RowSpec("float32", 3, "l2"),
            sample_rate=8000,
            window=1.0,
            hop=1.0,
            revision="1",
        )

    def encode(self, windows: Float32Array) -> Float32Array:
        level = np.sqrt(np.square(windows).mean(axis=1))
        return np.stack([windows.mean(axis=1), level, np.ones_like(level)], axis=1)


class LearningEncoder(LevelEncoder):
    """As `LevelEncoder`, in units of the mean level of what it learned on."""

    def __init__(self, state: State | None = None) -> None:
        super().__init__("learning")
        self.fitted = bool(state)
        self._unit = np.float32(state["unit"][0]) if state else np.float32(1)
        self.spec = replace(self.spec, revision=f"1-{self._unit:.6g}" if state else "1")

    def encode(self, windows: Float32Array) -> Float32Array:
        return super().encode(windows) / self._unit

    def training_rows(self, windows: Float32Array) -> Float32Array:
        return super().encode(windows)

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        return {"unit": np.array([rows[:, 1].mean() + seed], np.float32)}

    def with_state(self, state: State) -> LearningEncoder:
        return LearningEncoder(state)


def create_encoder(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    state: State | None = None,
    settings: object = None,
) -> LevelEncoder:
    """As `earmark.encoders.create`, for the encoders of this module."""
    return LearningEncoder(state) if name == "learning" else LevelEncoder(name)


# --- store -------------------------------------------------------------------------------------


@dataclass
class _Content:
    tracks: dict[int, TrackRecord] = field(default_factory=dict)
    rows: dict[tuple[int, str], Encoded] = field(default_factory=dict)
    failures: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    specs: dict[str, EncoderSpec] = field(default_factory=dict)
    states: dict[str, dict[str, AnyArray]] = field(default_factory=dict)
    own: dict[int, dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> _Content:
        return _Content(
            dict(self.tracks),
            dict(self.rows),
            dict(self.failures),
            dict(self.specs),
            dict(self.states),
            {track: dict(tags) for track, tags in self.own.items()},
        )


class MemoryStore:
    """The part of a store that ingest uses, in memory.  Counts commits and put tracks."""

    url = "memory"

    def __init__(self) -> None:
        self.content = _Content()
        self.commits = 0
        self.puts = 0
        self.writers = 0
        self.next_id = 1
        self.indexed: list[str] = []

    def known(self) -> dict[str, Known]:
        content = self.content
        known = {
            path: Known(path, None, size, mtime_ns, "", frozenset(), error)
            for path, (size, mtime_ns, error) in content.failures.items()
        }
        for track, r in content.tracks.items():
            encoders = frozenset(name for t, name in content.rows if t == track)
            known[r.path] = Known(r.path, track, r.size, r.mtime_ns, r.content_hash, encoders)
        return known

    def encoders(self) -> dict[str, EncoderSpec]:
        return dict(self.content.specs)

    def state(self, encoder: str) -> dict[str, AnyArray]:
        return dict(self.content.states.get(encoder, {}))

    def track_ids(self, where: object = None) -> np.ndarray[Any, Any]:
        return np.array(sorted(self.content.tracks), np.int64)

    def tracks(self, ids: Sequence[int]) -> list[Track]:
        here = self.content.tracks
        tagged = [(i, self._tagged(i)) for i in ids if i in here]
        return [Track(id=i, **vars(record)) for i, record in tagged]

    def _tagged(self, track: int) -> TrackRecord:
        record = self.content.tracks[track]
        return replace(record, tags={**record.tags, **self.content.own.get(track, {})})

    def find_path(self, path: str) -> Track | None:
        ids = [i for i, r in self.content.tracks.items() if r.path == path]
        return self.tracks(ids)[0] if ids else None

    def rows(self, path: str, encoder: str) -> AnyArray:
        track = self.find_path(path)
        assert track is not None
        return self.content.rows[track.id, encoder].rows

    def needs_index(self, encoder: str) -> bool:
        return encoder not in self.indexed

    def rebuild(self, *, encoder: str | None = None, index: str | None = None) -> list[str]:
        assert not self.writers, "an index is built while a writer is open"
        self.indexed.append(encoder or "")
        return []

    @contextmanager
    def writer(self) -> Iterator[MemoryWriter]:
        assert not self.writers, "two writers at once"
        self.writers += 1
        try:
            yield MemoryWriter(self)
        finally:
            self.writers -= 1


class MemoryWriter:
    """Works on a copy of the content, which `commit` puts in place."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._content = store.content.copy()

    def commit(self) -> None:
        self._store.content = self._content.copy()
        self._store.commits += 1

    def put_encoder(self, spec: EncoderSpec, state: State) -> None:
        if spec.name in self._content.specs:
            self._content.specs[spec.name].check_same(spec)
            return
        self._content.specs[spec.name] = spec
        self._content.states[spec.name] = dict(state)

    def replace_encoder(self, spec: EncoderSpec, state: State) -> None:
        for key in [key for key in self._content.rows if key[1] == spec.name]:
            del self._content.rows[key]
        self._content.specs[spec.name] = spec
        self._content.states[spec.name] = dict(state)

    def put_track(self, record: TrackRecord, encoded: Mapping[str, Encoded]) -> int:
        self._store.puts += 1
        tracks = self._content.tracks
        found = [i for i, r in tracks.items() if r.path == record.path]
        if found and tracks[found[0]].content_hash != record.content_hash:
            self._drop_rows(found[0])
        track = found[0] if found else self._new_id()
        tracks[track] = record
        self._content.failures.pop(record.path, None)
        for name, rows in encoded.items():
            assert name in self._content.specs, f"encoder {name} was not declared"
            self._content.rows[track, name] = rows
        return track

    def copy_track(self, record: TrackRecord, source: int, encoders: Iterable[str]) -> int:
        rows = {name: self._content.rows[source, name] for name in encoders}
        assert self._content.tracks[source].content_hash == record.content_hash
        self._store.puts -= 1  # nothing was encoded for it
        return self.put_track(record, rows)

    def move_track(self, track: int, record: TrackRecord) -> None:
        others = [i for i, r in self._content.tracks.items() if r.path == record.path]
        assert others in ([], [track]), "the path is taken"
        self._content.tracks[track] = record

    def set_tags(self, track: int, tags: Mapping[str, Any]) -> None:
        self._content.own.setdefault(track, {}).update(tags)

    def remove_tracks(self, tracks: Iterable[int]) -> None:
        for track in tracks:
            del self._content.tracks[track]
            self._drop_rows(track)

    def put_failure(self, path: str, size: int, mtime_ns: int, error: str) -> None:
        self._content.failures[path] = (size, mtime_ns, error)

    def clear_failures(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._content.failures.pop(path, None)

    def _new_id(self) -> int:
        self._store.next_id += 1
        return self._store.next_id - 1

    def _drop_rows(self, track: int) -> None:
        for key in [key for key in self._content.rows if key[0] == track]:
            del self._content.rows[key]


def make_learning(
    *, options: Mapping[str, Any] | None = None, state: State | None = None
) -> LearningEncoder:
    """For `EncoderRef.factory`, in worker processes."""
    return LearningEncoder(state)
