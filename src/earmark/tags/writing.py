"""Writing labels into files, and taking them out again: only ever on request.

Labels go into one field of their own, `FIELD`, so that nothing that a file says of itself is lost.
A file is written beside itself and renamed over, so that a crash leaves the old or the new one;
times of access and change are those of the writing.  Every change is first written to an undo log,
one JSON object a line: the path, what the field held before (null: there was none), and what was
written.  `undo` puts back what was there, unless the field has changed since.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.errors import AudioError, SourceError, UsageError

FIELD = "EARMARK_TAGS"
SEPARATOR = "; "
_ID3 = f"TXXX:{FIELD}"
_MP4 = f"----:com.apple.iTunes:{FIELD}"


@dataclass(frozen=True)
class Undone:
    """What became of one line of an undo log: `reason` is empty if it was undone."""

    path: str
    reason: str = ""


def write_labels(path: str | os.PathLike[str], labels: Sequence[str], *, log: Path) -> None:
    """Write labels into a file, and how to undo it into a log.

    Parameters
    ----------
    path : path
        A file, no archive member or URL.
    labels : sequence of str
        Best first; none removes the field.
    log : path
        Lines are added to it; it is synced before the file is touched.

    Raises
    ------
    AudioError
        If the file is not there, cannot be written, or is of a kind that has no tags.
    """
    file = Path(path)
    name = os.fspath(path)
    before = read_labels(file)
    after = SEPARATOR.join(label.replace(";", ",") for label in labels) or None
    if before == after:
        return
    _log(log, {"path": str(file.absolute()), "before": before, "after": after})
    _replace(file, name, after)


def read_labels(file: Path) -> str | None:
    """Return what the field holds, or None.

    Raises
    ------
    AudioError
        If the file is not there, or is of a kind that has no tags.
    """
    return _get(_open(file, str(file)))


def undo(log: Path) -> Iterator[Undone]:
    """Undo what a log tells, last change first.

    Raises
    ------
    UsageError
        If there is no such log, or it is none; then nothing is undone.
    """
    if not log.is_file():
        raise UsageError(f"an undo log must be a file, there is none at {log}")
    entries = []
    for number, line in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            entries.append((str(entry["path"]), entry["before"], entry["after"]))
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{log}, line {number}: this is no line of an undo log") from None
    for path, before, after in reversed(entries):
        yield _undo(Path(os.fsencode(path).decode("utf-8", "surrogateescape")), before, after)


def _undo(file: Path, before: str | None, after: str | None) -> Undone:
    try:
        now = read_labels(file)
        if now == before:
            return Undone(str(file))
        if now != after:
            return Undone(str(file), "its tags have changed since; left as they are")
        _replace(file, str(file), before)
    except AudioError as error:
        return Undone(str(file), error.reason)
    return Undone(str(file))


def _log(log: Path, entry: dict[str, Any]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:
        out.write(json.dumps(entry) + "\n")
        out.flush()
        os.fsync(out.fileno())


def _replace(file: Path, name: str, value: str | None) -> None:
    """Write the field into a copy, and put the copy in the file's place."""
    try:
        descriptor, draft = tempfile.mkstemp(
            prefix=".earmark-", suffix=file.suffix, dir=file.parent
        )
        os.close(descriptor)
    except OSError as error:
        raise SourceError(name, f"cannot be written: {error.strerror or error}") from error
    try:
        shutil.copyfile(file, draft)
        shutil.copymode(file, draft)
        opened = _open(Path(draft), name)
        _set(opened, value, name)
        opened.save()
        with open(draft, "rb") as written:
            os.fsync(written.fileno())
        Path(draft).replace(file)
    except OSError as error:
        raise SourceError(name, f"cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            Path(draft).unlink()


def _open(file: Path, name: str) -> Any:
    import mutagen

    if not file.is_file():
        raise SourceError(name, "there is no such file to write tags into")
    try:
        opened = mutagen.File(file)
    except (mutagen.MutagenError, OSError, ValueError) as error:
        raise SourceError(name, f"its tags cannot be read: {error}") from error
    if opened is None:
        raise SourceError(name, "files of this kind have no tags that can be written")
    return opened


def _kind(opened: Any) -> str:
    from mutagen.aiff import AIFF
    from mutagen.id3 import ID3FileType
    from mutagen.mp4 import MP4
    from mutagen.wave import WAVE

    if isinstance(opened, (ID3FileType, WAVE, AIFF)):
        return "id3"
    return "mp4" if isinstance(opened, MP4) else "plain"


def _get(opened: Any) -> str | None:
    if opened.tags is None:
        return None
    kind = _kind(opened)
    if kind == "id3":
        frame = opened.tags.get(_ID3)
        return None if frame is None else str(frame.text[0])
    values = opened.tags.get(_MP4 if kind == "mp4" else FIELD)
    if not values:
        return None
    first = values[0] if isinstance(values, (list, tuple)) else values
    return bytes(first).decode("utf-8", "replace") if kind == "mp4" else str(first)


def _set(opened: Any, value: str | None, name: str) -> None:
    kind = _kind(opened)
    key = {"id3": _ID3, "mp4": _MP4}.get(kind, FIELD)
    if value is None:
        if opened.tags is not None and key in opened.tags:
            del opened.tags[key]
        return
    if opened.tags is None:
        opened.add_tags()
    if kind == "id3":
        from mutagen.id3 import TXXX

        frame: Any = TXXX
        opened.tags.add(frame(encoding=3, desc=FIELD, text=[value]))
        return
    try:
        opened.tags[key] = [value.encode()] if kind == "mp4" else [value]
    except (TypeError, ValueError, KeyError) as error:
        raise SourceError(name, "files of this kind have no tags that can be written") from error
