"""Reading manifests: CSV files that say what should be found.

The first line names the columns.  Paths are absolute, URLs, or relative to the manifest's folder;
they become what the catalog calls a file (links are kept).  Names that are not UTF-8 survive.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark import sources
from earmark.errors import UsageError


@dataclass(frozen=True)
class Line:
    """A line of a manifest: its number in the file (the first is 1) and its values by column."""

    number: int
    values: Mapping[str, str]

    def get(self, column: str) -> str:
        """The value of a column without white space around it, '' if there is none."""
        return (self.values.get(column) or "").strip()


@dataclass(frozen=True)
class Manifest:
    """A manifest: where it is, its columns, its lines."""

    path: Path
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def file(self, line: Line, column: str = "path") -> str:
        """What the catalog calls the file that a column of a line names, '' if it names none."""
        text = line.values.get(column, "")
        if not text.strip():
            return ""
        if sources.is_url(text):
            return text
        return sources.canonical(os.path.join(self.path.absolute().parent, text))  # noqa: PTH118

    def error(self, line: Line, message: str) -> UsageError:
        """What to raise if something is wrong with a line."""
        return UsageError(f"{self.path}, line {line.number}: {message}")


def read(
    path: str | os.PathLike[str], needed: Sequence[str] = (), *, example: str = ""
) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    path : path
    needed : sequence of str
        Columns that it must have.
    example : str
        A first line as it should be, for the hint.

    Raises
    ------
    UsageError
        If there is no such file, it cannot be read as CSV, or it lacks a column or any line.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"the manifest must be a CSV file, there is none at {file}")
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
            reader = csv.DictReader(text)
            columns = tuple(reader.fieldnames or ())
            lines = tuple(
                Line(reader.line_num, {k: v for k, v in row.items() if k is not None and v})
                for row in reader
            )
    except (OSError, csv.Error) as error:
        raise UsageError(f"the manifest must be a readable CSV file; {file}: {error}") from error
    if missing := [name for name in needed if name not in columns]:
        raise UsageError(
            f"{file}: a manifest must have the columns {' and '.join(needed)}, "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint=f"the first line names the columns: {example or ','.join(needed)}",
        )
    if not lines:
        raise UsageError(f"{file}: a manifest must have lines after the first, this one has none")
    return Manifest(file, columns, lines)
