"""The user's own tags: a CSV, TSV or JSON file beside the audio."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from earmark.errors import UsageError, nearest
from earmark.sources import canonical, is_url
from earmark.tags.values import as_number, field_name
from earmark.types import Scalar


@dataclass(frozen=True)
class Sidecar:
    """Tags of the user's own, by source.

    Parameters
    ----------
    file : str
        Where they were read.
    rows : mapping
        Canonical path of a source -> its tags.
    """

    file: str
    rows: Mapping[str, dict[str, Scalar]] = field(default_factory=dict)

    def lookup(self, path: str) -> dict[str, Scalar]:
        """Tags of a source, empty if the file says nothing of it."""
        return dict(self.rows.get(canonical(path), {}))


def read_sidecar(file: str) -> Sidecar:
    """Read a file of metadata.

    CSV (or TSV) has a header with the column ``path``; JSON is a list of objects with a ``path``
    each, or an object of objects by path.  Paths are absolute, URLs, or relative to the folder of
    the file.  A column of a CSV is of numbers if all that stands in it is: one ``007`` makes
    it text.  Empty cells and nulls are no tags.

    Parameters
    ----------
    file : str
        A path that ends in ``.csv``, ``.tsv`` or ``.json``.

    Returns
    -------
    Sidecar

    Raises
    ------
    UsageError
        If the file is missing or malformed; the message names the line.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in (".csv", ".tsv", ".json"):
        raise UsageError(
            f"metadata must be a .csv, .tsv or .json file, got {file}",
            hint="the first line of a CSV names its columns: path,genre,...",
        )
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            text = stream.read()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: metadata must be UTF-8, byte {error.start} is not") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from error
    read = _read_json if suffix == ".json" else _read_csv
    rows: dict[str, dict[str, Scalar]] = {}
    places: dict[str, str] = {}
    folder = Path(file).absolute().parent
    for place, path, tags in read(file, text):
        key = canonical(path if is_url(path) else str(folder / path))
        if key in places:
            raise UsageError(f"{file}: {place}: {path!r} was already described in {places[key]}")
        places[key] = place
        rows[key] = tags
    return Sidecar(file, rows)


_Row: TypeAlias = tuple[str, str, dict[str, Scalar]]


def _read_csv(file: str, text: str) -> Iterator[_Row]:
    delimiter = _delimiter(file, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        header = next(reader, [])
        lines.extend((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise UsageError(f"{file}: line {reader.line_num}: {error}") from error
    names = _header(file, header)
    for line, row in lines:
        if len(row) != len(names):
            raise UsageError(f"{file}: line {line}: expected {len(names)} cells, got {len(row)}")
    at = names.index("path")
    columns = {
        name: _column([row[number].strip() for _, row in lines])
        for number, name in enumerate(names)
        if number != at
    }
    for number, (line, row) in enumerate(lines):
        if not row[at]:
            raise UsageError(f"{file}: line {line}: the path is empty")
        values = {name: column[number] for name, column in columns.items()}
        yield f"line {line}", row[at], {n: v for n, v in values.items() if v != ""}


def _delimiter(file: str, text: str) -> str:
    if file.lower().endswith(".tsv"):
        return "\t"
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count) if "," not in first else ","


def _header(file: str, header: list[str]) -> list[str]:
    names = [field_name(cell) for cell in header]
    if "path" not in names:
        raise UsageError(
            f"{file}: line 1: a column must be named path, got {', '.join(header) or 'nothing'}",
            hint=nearest("path", names),
        )
    for number, name in enumerate(names):
        if not name or name in names[:number]:
            raise UsageError(
                f"{file}: line 1: columns must have names of their own, got {header[number]!r}"
            )
    return names


def _column(cells: list[str]) -> list[Scalar]:
    numbers = [as_number(cell) for cell in cells if cell]
    if None in numbers:
        return list(cells)
    left = iter(numbers)
    return ["" if not cell else next(left) or 0 for cell in cells]


def _read_json(file: str, text: str) -> Iterator[_Row]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{file}: line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{file}: nested too deeply") from error
    if isinstance(data, dict):
        entries = [(f"entry {path!r}", path, value) for path, value in data.items()]
    elif isinstance(data, list):
        entries = [
            (f"entry {n}", item.get("path") if isinstance(item, dict) else None, item)
            for n, item in enumerate(data, 1)
        ]
    else:
        raise UsageError(f"{file}: must be a list of objects, or an object of objects by path")
    for place, path, value in entries:
        if not isinstance(value, dict) or not isinstance(path, str) or not path:
            raise UsageError(f"{file}: {place}: must be an object with a text named path")
        yield place, path, _entry(file, place, value)


def _entry(file: str, place: str, value: Mapping[str, Any]) -> dict[str, Scalar]:
    tags: dict[str, Scalar] = {}
    for name, item in value.items():
        if name == "path" or item is None or item == "":
            continue
        if isinstance(item, list) and all(isinstance(part, str) for part in item):
            item = "; ".join(item)
        if isinstance(item, bool):
            item = int(item)
        if not isinstance(item, str | int | float) or not _storable(item):
            raise UsageError(
                f"{file}: {place}: {name} must be a text or a finite number, got {item!r}"
            )
        tags[field_name(name)] = item
    return tags


def _storable(item: Scalar) -> bool:
    return isinstance(item, str) or (math.isfinite(item) and -(2**63) <= item < 2**63)
