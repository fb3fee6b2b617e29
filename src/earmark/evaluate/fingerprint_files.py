"""Files of fingerprints as the published program writes them, opened for reading only.

A folder holds ``db.mm`` and ``query.mm`` (and ``dummy_db.mm``): float32 rows without a header,
``*_shape.npy`` their shapes.  Row i of the queries is row i of the tracks degraded, unless
``*_tracks.csv`` say which recording each row is of: then names decide, if any are known.
``made_by.json`` says what network made them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import UsageError
from earmark.types import Float32Array, Int64Array


@dataclass(frozen=True)
class Rows:
    """Rows of one part, mapped; and the recordings that they are of, where known.

    Parameters
    ----------
    values : float32 array, shape (n, ndim)
    tracks : dict from str to (first row, rows), or None
    """

    name: str
    values: Float32Array
    tracks: dict[str, tuple[int, int]] | None

    @property
    def ends(self) -> Int64Array:
        """For each row, one past the last row of its recording; shape (n,)."""
        n = len(self.values)
        ends = np.full(n, n, np.int64)
        for first, count in (self.tracks or {}).values():
            ends[first : first + count] = first + count
        return ends


def read_rows(folder: Path, name: str) -> Rows:
    """Map the rows of a part, for reading only.

    Raises
    ------
    UsageError
        If files are missing, disagree about the shape, or hold what is no finite number.
    """
    path = folder / f"{name}.mm"
    try:
        shape = tuple(int(n) for n in np.load(folder / f"{name}_shape.npy", allow_pickle=False))
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder} must hold {name}.mm and {name}_shape.npy: {error}",
            hint="earmark fingerprint generate writes them",
        ) from error
    if len(shape) != 2 or shape[1] < 1 or size != shape[0] * shape[1] * 4:
        raise UsageError(f"{path} must be of the shape {shape} in float32, has {size} bytes")
    if shape[0] == 0:
        return Rows(name, np.zeros(shape, np.float32), {})
    values: Float32Array = np.memmap(path, np.dtype("<f4"), "r", shape=shape)
    for first in range(0, len(values), 1 << 16):
        if not np.isfinite(values[first : first + (1 << 16)]).all():
            raise UsageError(f"{path} must hold finite numbers, and does not")
    return Rows(name, values, _tracks(folder / f"{name}_tracks.csv", shape[0]))


def _tracks(path: Path, rows: int) -> dict[str, tuple[int, int]] | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            read = {r["name"]: (int(r["first"]), int(r["rows"])) for r in csv.DictReader(file)}
    except (KeyError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} must have the columns name,first,rows: {error!r}") from error
    if any(first < 0 or first + count > rows for first, count in read.values()):
        raise UsageError(f"{path} names rows beyond the {rows} that there are")
    return read


@dataclass(frozen=True)
class Bench:
    """Everything that is searched: other tracks first, then those to be found, and the queries.

    Parameters
    ----------
    parts : tuple of Rows
        ``dummy_db`` if it is there, then ``db``.
    query : Rows
    encoder : str
        What made them, as far as it is known.
    """

    parts: tuple[Rows, ...]
    query: Rows
    encoder: str

    @property
    def size(self) -> int:
        """Rows that are searched."""
        return sum(len(part.values) for part in self.parts)

    @property
    def offset(self) -> int:
        """The number of the first row of the tracks to be found."""
        return self.size - len(self.parts[-1].values)

    def rows(self, numbers: Int64Array) -> Float32Array:
        """Return rows by their numbers, any shape; the last axis is added."""
        out = np.empty((*numbers.shape, self.query.values.shape[1]), np.float32)
        first = 0
        for part in self.parts:
            here = (numbers >= first) & (numbers < first + len(part.values))
            out[here] = part.values[numbers[here] - first]
            first += len(part.values)
        return out

    def ends(self) -> Int64Array:
        """For each row, one past the last of its recording; shape (size,)."""
        ends, first = [], 0
        for part in self.parts:
            ends.append(part.ends + first)
            first += len(part.values)
        return np.concatenate(ends)

    def truth(self) -> Int64Array:
        """For each row of the queries, the row that it should find; -1 for none; shape (n,)."""
        db, query = self.parts[-1], self.query
        n = len(query.values)
        if db.tracks is None or query.tracks is None:
            rows = np.arange(n, dtype=np.int64)
            rows[len(db.values) :] = -1
            return np.where(rows < 0, rows, rows + self.offset)
        truth = np.full(n, -1, np.int64)
        for name, target in _paired(list(query.tracks), list(db.tracks)).items():
            first, count = query.tracks[name]
            start, there = db.tracks[target]
            same = min(count, there)
            truth[first : first + same] = self.offset + start + np.arange(same)
        return truth


def _paired(queries: Sequence[str], tracks: Sequence[str]) -> dict[str, str]:
    """Which track each query is of: that of its name, with any suffix; if no name is known and
    there are as many of both, that of its place, as the released program has it."""
    known = set(tracks)
    stems: dict[str, list[str]] = {}
    for track in tracks:
        stems.setdefault(str(Path(track).with_suffix("")), []).append(track)
    found = {}
    for name in queries:
        alike = stems.get(str(Path(name).with_suffix("")), [])
        if name in known:
            found[name] = name
        elif len(alike) == 1:
            found[name] = alike[0]
    if not found and len(queries) == len(tracks):
        return dict(zip(queries, tracks, strict=True))
    return found


def read_bench(folder: Path, *, skip_dummy: bool = False) -> Bench:
    """Open a folder of fingerprints.

    Raises
    ------
    UsageError
        As `read_rows`; or if the parts were made by different encoders.
    """
    names = ["db"] if skip_dummy or not (folder / "dummy_db.mm").exists() else ["dummy_db", "db"]
    parts = tuple(read_rows(folder, name) for name in names)
    query = read_rows(folder, "query")
    widths = {p.name: p.values.shape[1] for p in (*parts, query)}
    if len(set(widths.values())) > 1:
        raise UsageError(f"all parts must have rows of one width, got {widths}")
    return Bench(parts, query, _encoder(folder, [*names, "query"]))


def _encoder(folder: Path, names: Sequence[str]) -> str:
    """What made the parts, if they say so and agree."""
    try:
        made = json.loads((folder / "made_by.json").read_text(encoding="utf-8"))
        facts = {name: made[name]["identity"] for name in names if name in made}
    except FileNotFoundError:
        return "unknown"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / 'made_by.json'} cannot be read: {error!r}") from error
    makers = {name: f"{f['encoder']} ({f['revision']})" for name, f in facts.items()}
    if len(set(makers.values())) > 1:
        said = ", ".join(f"{name} by {maker}" for name, maker in makers.items())
        raise UsageError(
            f"all parts must be made by one network, but {said}",
            hint="generate them again, or leave the dummies out with --skip-dummy",
        )
    return next(iter(makers.values()), "unknown")
