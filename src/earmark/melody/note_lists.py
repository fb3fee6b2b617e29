"""Notes as tables: CSV with a header, or JSON.

Columns are ``onset`` (or start, time), ``end`` (or offset) or ``duration``, and ``pitch`` (or midi,
note), in seconds and MIDI semitones, or ``frequency`` in Hz.  JSON is a list of such objects, or of
``[onset, duration, pitch]``, or an object with such a list under ``notes``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from earmark.errors import DecodeError
from earmark.melody.notes import MOST_SECONDS, Score, as_notes, skyline

_ONSET = ("onset", "start", "time", "onset_seconds", "start_time")
_END = ("end", "offset", "end_time")
_DURATION = ("duration", "length", "dur")
_PITCH = ("pitch", "midi", "note", "midi_note", "pitch_midi")
_HZ = ("frequency", "hz", "f0", "frequency_hz")
_TRIPLE = 3


def read_note_list(data: bytes, *, suffix: str, name: str = "notes") -> Score:
    """Read a list of notes.

    Parameters
    ----------
    data : bytes
    suffix : {'csv', 'json'}
    name : str
        What to call it in messages.

    Returns
    -------
    Score

    Raises
    ------
    DecodeError
        If it is not such a list, a number is none, or there is no note.
    """
    try:
        text = data.decode("utf-8-sig")
        rows = _json_rows(text) if suffix == "json" else _csv_rows(text)
        notes = [_note(row) for row in rows]
    except (UnicodeDecodeError, ValueError, TypeError, KeyError, csv.Error) as error:
        plain = error.args[0] if isinstance(error, KeyError) and error.args else error
        reason = str(plain) or type(error).__name__
        raise DecodeError(
            name,
            f"not a list of notes: {reason}",
            hint="columns: onset,duration,pitch in seconds and MIDI semitones",
        ) from error
    notes = [n for n in notes if n[1] > n[0]]
    if not notes:
        raise DecodeError(name, "a list of notes must have notes, this one has none")
    if max(end for _, end, _ in notes) > MOST_SECONDS or min(on for on, _, _ in notes) < 0:
        raise DecodeError(name, f"times of notes must lie in 0 to {MOST_SECONDS:.0f} s")
    return Score(skyline(as_notes(notes)), "notes", "", "its notes")


def _csv_rows(text: str) -> Iterable[Mapping[str, Any]]:
    head = text.splitlines()[0] if text.strip() else ""
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in head else ",")
    for row in reader:
        yield {(key or "").strip().lower(): value for key, value in row.items()}


def _json_rows(text: str) -> Iterable[Mapping[str, Any]]:
    data = json.loads(text)
    rows = data.get("notes") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise ValueError("JSON must hold a list of notes")
    for row in rows:
        if isinstance(row, dict):
            yield {str(key).lower(): value for key, value in row.items()}
        elif isinstance(row, list) and len(row) >= _TRIPLE:
            yield {"onset": row[0], "duration": row[1], "pitch": row[2]}
        else:
            raise ValueError("a note must be an object, or [onset, duration, pitch]")


def _first(row: Mapping[str, Any], names: Iterable[str]) -> float | None:
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            number = float(value)
            if not math.isfinite(number):
                raise ValueError(f"{name} must be a finite number, got {value!r}")
            return number
    return None


def _note(row: Mapping[str, Any]) -> tuple[float, float, float]:
    onset, pitch = _first(row, _ONSET), _first(row, _PITCH)
    hz = _first(row, _HZ) if pitch is None else None
    if hz is not None and hz > 0:
        pitch = 69 + 12 * math.log2(hz / 440)
    if onset is None or pitch is None:
        raise ValueError("a note must have onset and pitch")
    end, duration = _first(row, _END), _first(row, _DURATION)
    if end is None and duration is None:
        raise ValueError("a note must have a duration or an end")
    return onset, onset + duration if duration is not None else float(end or 0.0), pitch
