"""Fingerprints of a test set or a folder, in the files of the published program.

``db.mm``, ``query.mm`` and ``dummy_db.mm`` are float32 arrays without a header, one row a segment;
``db_shape.npy`` and so on hold their shapes.  Beside them lie ``db_tracks.csv`` and so on (name,
first row, number of rows), which say where one recording ends, and ``made_by.json``.

A file under its final name is complete.  What is being written is ``db.mm.part``, with a journal of
the recordings whose rows are safely in it: a run that was killed goes on after the last of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import AudioError
from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.data import open_piece
from earmark.training.nafp.encoding import SegmentEncoder, rows
from earmark.training.nafp.layout import Source, TestSet
from earmark.training.whole_file import not_written, write_whole
from earmark.types import Failure, Float32Array

MADE_BY = "made_by.json"
COMMIT_BYTES = 16 << 20
"""Rows are synced and entered in the journal each time that so many bytes have been written."""

Encode = Callable[[Piece, int], Float32Array]
"""From a recording and its number to its rows."""


@dataclass(frozen=True)
class Part:
    """What was written under one name (``db``, ``query``, ``dummy_db``)."""

    name: str
    tracks: int
    rows: int
    failed: tuple[Failure, ...]


@dataclass(frozen=True)
class Generated:
    """What `generate` wrote, and where; `others` are files that failed and are no part's."""

    folder: Path
    ndim: int
    made_by: dict[str, Any]
    parts: tuple[Part, ...]
    others: tuple[Failure, ...] = ()

    @property
    def failed(self) -> tuple[Failure, ...]:
        """All files that could not be used, each once."""
        every = (*(f for part in self.parts for f in part.failed), *self.others)
        return tuple({f.path: f for f in every}.values())


@dataclass(frozen=True)
class Progress:
    """How far a part is; handed to the caller's `on_track`."""

    part: str
    tracks: int
    total: int


def generate(
    encoder: SegmentEncoder,
    given: TestSet,
    folder: Path,
    *,
    cache: Path,
    seed: int,
    degrade: Encode | None = None,
    on_track: Callable[[Progress], None] | None = None,
) -> Generated:
    """Write fingerprints.

    Parameters
    ----------
    encoder : SegmentEncoder
    given : TestSet
    folder : Path
        Made if it is not there.
    cache : Path
        Takes decoded recordings.
    seed : int
        Of the degradations; written down.
    degrade : callable, optional
        Makes the queries of a test set that has none, from its tracks; without it there are none.
    on_track : callable, optional
        Called after each recording.

    Returns
    -------
    Generated

    Raises
    ------
    TrainingError
        If rows cannot be written; the same call goes on after the last that were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rate = encoder.features.sample_rate

    def plain(piece: Piece, _: int) -> Float32Array:
        return rows(encoder, piece)

    todo: list[tuple[str, Sequence[Source], Encode]] = [("db", given.db, plain)]
    if given.query is not None:
        todo.append(("query", given.query, plain))
    elif degrade is not None:
        todo.append(("query", given.db, degrade))
    if given.dummy:
        todo.append(("dummy_db", given.dummy, plain))
    facts = dict(encoder.identity) | {"hop": encoder.features.hop, "ndim": encoder.ndim}
    parts = []
    for name, sources, encode in todo:
        identity = facts | {"degraded": encode is degrade, "seed": seed, "of": _digest(sources)}
        done = finished(folder, name, identity)
        writer = _Writer(folder, name, encoder.ndim, identity, on_track)
        try:
            parts.append(done or writer.write(sources, encode, rate, cache))
        except OSError as error:  # files that cannot be read are failures of their own
            raise not_written(writer.rows_path, error) from error
    return Generated(folder, encoder.ndim, facts, tuple(parts))


def finished(folder: Path, name: str, identity: dict[str, Any]) -> Part | None:
    """Return a part that is already there, made in the same way of the same files."""
    made = read_made_by(folder).get(name)
    if made is None or made["identity"] != identity or not (folder / f"{name}.mm").is_file():
        return None
    failed = tuple(Failure(f["path"], f["error"]) for f in made["failed"])
    return Part(name, made["tracks"], made["rows"], failed)


def read_made_by(folder: Path) -> dict[str, Any]:
    """Return what each part of a folder was made by, by name; empty if that is not known."""
    try:
        read = json.loads((folder / MADE_BY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _digest(sources: Sequence[Source]) -> str:
    """Twelve hexadecimal digits that change with the files: names, sizes and times."""
    digest = hashlib.sha256()
    for source in sources:
        facts = source.path.stat() if source.path.exists() else None
        seen = (facts.st_size, facts.st_mtime_ns) if facts else None
        digest.update(f"{source.name}|{source.path}|{seen}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]


@dataclass
class _State:
    """What the journal vouches for, and what waits to be vouched for."""

    entries: dict[str, tuple[int, int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    waiting_bytes: int = 0


class _Writer:
    """Writes one part: rows first, then the journal, at last the final names."""

    def __init__(
        self,
        folder: Path,
        name: str,
        ndim: int,
        identity: dict[str, Any],
        on_track: Callable[[Progress], None] | None,
    ) -> None:
        self.folder, self.name, self.ndim, self.on_track = folder, name, ndim, on_track
        self.identity = identity
        self.rows_path = folder / f"{name}.mm.part"
        self.journal_path = folder / f"{name}.journal.part"

    def write(self, sources: Sequence[Source], encode: Encode, rate: int, cache: Path) -> Part:
        state = self._resume()
        with (
            self.rows_path.open("r+b" if self.rows_path.exists() else "w+b") as file,
            self.journal_path.open("a", encoding="utf-8") as journal,
        ):
            file.truncate(state.rows * self.ndim * 4)
            file.seek(0, os.SEEK_END)
            for number, source in enumerate(sources):
                if source.name not in state.entries and source.name not in state.failed:
                    self._one(source, number, encode, rate, cache, state, file)
                if state.waiting_bytes >= COMMIT_BYTES:
                    _commit(state, file, journal)
                if self.on_track is not None:
                    self.on_track(Progress(self.name, number + 1, len(sources)))
            _commit(state, file, journal)
        paths = {source.name: str(source.path) for source in sources}
        failed = tuple(Failure(paths[n], reason) for n, reason in state.failed.items())
        part = Part(self.name, len(state.entries), state.rows, failed)
        self._finish(state, part)
        return part

    def _one(
        self,
        source: Source,
        number: int,
        encode: Encode,
        rate: int,
        cache: Path,
        state: _State,
        file: io.BufferedRandom,
    ) -> None:
        try:
            made = encode(open_piece(source, sample_rate=rate, cache=cache), number)
        except (AudioError, OSError) as error:
            reason = error.reason if isinstance(error, AudioError) else str(error)
            state.failed[source.name] = reason
            state.waiting.append({"name": source.name, "failed": reason})
            return
        file.write(np.ascontiguousarray(made, "<f4").tobytes())
        state.entries[source.name] = (state.rows, len(made))
        state.waiting.append({"name": source.name, "first": state.rows, "rows": len(made)})
        state.rows += len(made)
        state.waiting_bytes += made.nbytes

    def _resume(self) -> _State:
        """Read the journal; one of another encoder, or of other files, is begun anew."""
        state = _State()
        header = json.dumps(self.identity, sort_keys=True)
        lines = self.journal_path.read_text("utf-8").split("\n") if self._unfinished() else []
        if not lines or lines[0] != header:
            self.rows_path.unlink(missing_ok=True)
            self.journal_path.write_text(header + "\n", encoding="utf-8")
            return state
        for line in lines[1:-1]:  # what follows the last end of a line was being written
            entry = json.loads(line)
            if "failed" in entry:
                state.failed[entry["name"]] = entry["failed"]
            else:
                state.entries[entry["name"]] = (entry["first"], entry["rows"])
                state.rows = entry["first"] + entry["rows"]
        whole = "\n".join([*lines[:-1], ""])
        self.journal_path.write_text(whole, encoding="utf-8")
        return state

    def _unfinished(self) -> bool:
        return self.journal_path.exists() and self.rows_path.exists()

    def _finish(self, state: _State, part: Part) -> None:
        """Give all their final names, the rows last."""
        shape = io.BytesIO()
        np.save(shape, np.array([state.rows, self.ndim]))
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["name", "first", "rows"])
        writer.writerows([name, *place] for name, place in state.entries.items())
        (self.folder / f"{self.name}.mm").unlink(missing_ok=True)
        write_whole(self.folder / f"{self.name}_shape.npy", shape.getvalue())
        write_whole(self.folder / f"{self.name}_tracks.csv", table.getvalue().encode())
        facts = asdict(part) | {"identity": self.identity}
        made_by = read_made_by(self.folder) | {self.name: facts}
        write_whole(self.folder / MADE_BY, json.dumps(made_by, indent=2).encode())
        self.rows_path.replace(self.folder / f"{self.name}.mm")
        self.journal_path.unlink()


def _commit(state: _State, file: io.BufferedRandom, journal: io.TextIOWrapper) -> None:
    """Make rows last, then vouch for them."""
    if not state.waiting:
        return
    file.flush()
    os.fsync(file.fileno())
    journal.write("".join(json.dumps(entry) + "\n" for entry in state.waiting))
    journal.flush()
    os.fsync(journal.fileno())
    state.waiting.clear()
    state.waiting_bytes = 0
