"""Writing a file complete or not at all: beside its place first, then renamed."""

from __future__ import annotations

from pathlib import Path

from earmark.errors import TrainingError

FREE = "free some space, or write elsewhere; the same command then goes on"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; whoever reads it sees the former content, or all of the new one.

    Raises
    ------
    TrainingError
        If it cannot be written: the former content stays, and nothing is left beside it.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> TrainingError:
    """Return the error that says which file could not be written, and why."""
    return TrainingError(f"{path} cannot be written: {error.strerror or error}", hint=FREE)
