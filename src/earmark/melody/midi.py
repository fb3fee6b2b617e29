"""Standard MIDI files: their notes in seconds, and which of their tracks is the melody.

Read are headers, tracks, notes, tempo changes, names and programs.  A file that is damaged gives
what could be read before the damage, with a warning, or a plain reason.  The melody is the channel
of a track that looks most like one: named so, mostly one note at a time, in the range of voices,
high, moving, present all along; the drum channel never is.  How far it is ahead of the next says
how sure that is.  Source: the Standard MIDI Files specification 1.0 (1988).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np

from earmark.errors import DecodeError
from earmark.melody.notes import MOST_SECONDS, Score, as_notes, skyline
from earmark.types import Float64Array

_DRUMS = 9
_MOST_EVENTS = 2_000_000
_NAMED = re.compile(r"melod|vocal|voice|lead|sing|gesang|chant|tune|solo", re.IGNORECASE)
_NOT = re.compile(r"bass|drum|perc|chord|pad|harmon|accomp|string|rhythm", re.IGNORECASE)
_BASS_PROGRAMS = range(32, 40)
_DEFAULT_TEMPO = 500_000
_NO_TITLES = frozenset(
    {"untitled", "major_track", "control track", "tempo", "conductor", "track 1"}
)


@dataclass
class _Track:
    """What was read of one track: notes in ticks by channel, and its name."""

    name: str = ""
    notes: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    programs: dict[int, int] = field(default_factory=dict)
    tempi: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """One channel of one track.

    Parameters
    ----------
    name : str
    channel : int
        From 0.
    program : int
        General MIDI instrument, from 0.
    notes : float64 array, shape (n, 3)
        Onset, end (seconds), pitch; may overlap.
    """

    name: str
    channel: int
    program: int
    notes: Float64Array


def read_midi(data: bytes, *, name: str = "midi") -> Score:
    """Read the melody of a MIDI file.

    Parameters
    ----------
    data : bytes
    name : str
        What to call it in messages.

    Returns
    -------
    Score

    Raises
    ------
    DecodeError
        If it is no MIDI file, is damaged before its first note, has no notes but those of drums,
        or its tempo makes it last longer than an hour or less than half a second.
    """
    parts, warnings, title = read_parts(data, name=name)
    tuned = [part for part in parts if part.channel != _DRUMS and len(part.notes)]
    if not tuned:
        drums = any(len(part.notes) for part in parts)
        what = "only drums" if drums else "none"
        raise DecodeError(
            name, f"a MIDI file must have notes to find a melody, this one has {what}"
        )
    ends = max(float(part.notes[:, 1].max()) for part in tuned)
    if not 0.5 <= ends <= MOST_SECONDS:
        raise DecodeError(
            name, f"a melody must last 0.5 to {MOST_SECONDS:.0f} s, its tempo makes it {ends:.3g} s"
        )
    chosen, certainty = choose(tuned)
    part = tuned[chosen]
    voice = f"channel {part.channel + 1}" + (f" ({part.name})" if part.name else "")
    if len(tuned) > 1:
        voice += f", one of {len(tuned)} parts"
    return Score(skyline(part.notes), "midi", title, voice, certainty, tuple(warnings))


def read_parts(data: bytes, *, name: str = "midi") -> tuple[list[Part], list[str], str]:
    """Read all parts of a MIDI file; return them with warnings and the file's title."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[20:]
    if data[:4] != b"MThd" or len(data) < 14:
        raise DecodeError(name, "not a MIDI file: its header is missing or cut off")
    length, form, _, division = struct.unpack(">IHHH", data[4:14])
    if form > 2 or length < 6 or division == 0:
        raise DecodeError(
            name, f"its MIDI header is broken: length {length}, format {form}, division {division}"
        )
    tracks, warnings = _tracks(data, 8 + length)
    if not tracks:
        raise DecodeError(name, "a MIDI file must have tracks, this one has none")
    clock = _Clock.of(tracks, division)
    parts = [
        Part(
            track.name,
            channel,
            track.programs.get(channel, 0),
            as_notes([(*clock.seconds(on, off), float(pitch)) for on, off, pitch in notes]),
        )
        for track in tracks
        for channel, notes in sorted(track.notes.items())
    ]
    title = tracks[0].name.strip()
    return parts, warnings, "" if title.lower() in _NO_TITLES else title


def _tracks(data: bytes, at: int) -> tuple[list[_Track], list[str]]:
    tracks: list[_Track] = []
    warnings: list[str] = []
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        body = data[at + 8 : at + 8 + size]
        if kind == b"MTrk":
            track = _Track()
            fault = _read_track(body, track)
            if fault is None and len(body) < size:
                fault = "it is cut off"
            if fault is not None:
                warnings.append(f"track {len(tracks) + 1} is damaged: {fault}")
            tracks.append(track)
        at += 8 + size
    return tracks, warnings


def _read_track(body: bytes, track: _Track) -> str | None:
    """Read events into a track; return what stopped it, None if nothing did."""
    at = tick = status = 0
    sounding: dict[tuple[int, int], list[int]] = {}
    try:
        for _ in range(_MOST_EVENTS):
            if at >= len(body):
                break
            delta, at = _number(body, at)
            tick += delta
            if body[at] & 0x80:
                status = body[at]
                at += 1
            if status == 0xFF:
                kind = body[at]
                size, at = _number(body, at + 1)
                _meta(track, kind, body[at : at + size], tick)
                at += size
                status = 0
                if kind == 0x2F:
                    break
            elif status in (0xF0, 0xF7):
                size, at = _number(body, at)
                at += size
                status = 0
            elif status & 0x80:
                at = _channel_event(track, body, at, status, tick, sounding)
            else:
                return "an event without a status"
    except IndexError:
        return "it ends within an event"
    finally:
        for (channel, pitch), onsets in sounding.items():
            for onset in onsets:
                if tick > onset:
                    track.notes.setdefault(channel, []).append((onset, tick, pitch))
    return None


def _channel_event(
    track: _Track,
    body: bytes,
    at: int,
    status: int,
    tick: int,
    sounding: dict[tuple[int, int], list[int]],
) -> int:
    """Take one channel event; return where the next begins."""
    kind, channel = status >> 4, status & 15
    first = body[at]
    if kind in (0xC, 0xD):
        if kind == 0xC:
            track.programs.setdefault(channel, first)
        return at + 1
    second = body[at + 1]
    if kind == 9 and second:
        sounding.setdefault((channel, first), []).append(tick)
    elif kind in (8, 9):
        onsets = sounding.get((channel, first))
        if onsets:
            onset = onsets.pop(0)
            if tick > onset:
                track.notes.setdefault(channel, []).append((onset, tick, first))
    return at + 2


def _meta(track: _Track, kind: int, body: bytes, tick: int) -> None:
    if kind == 0x51 and len(body) == 3:
        track.tempi.append((tick, int.from_bytes(body, "big")))
    elif kind == 0x03 and not track.name:
        track.name = body.decode("utf-8", "replace").strip("\0 ")[:120]


def _number(body: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length; return it and where the next byte is."""
    value = 0
    for _ in range(4):
        byte = body[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return value, at


@dataclass(frozen=True)
class _Clock:
    """Turns ticks into seconds."""

    ticks: Float64Array
    times: Float64Array
    rates: Float64Array
    """Where each tempo begins, in ticks and seconds, and its seconds per tick."""

    @classmethod
    def of(cls, tracks: list[_Track], division: int) -> _Clock:
        if division & 0x8000:
            frames = 256 - (division >> 8)
            rate = 1.0 / max(1, frames * (division & 0xFF))
            return cls(np.zeros(1), np.zeros(1), np.array([rate]))
        tempi = {0: _DEFAULT_TEMPO}
        for track in tracks:
            tempi.update({tick: tempo for tick, tempo in track.tempi if tempo > 0})
        ticks = np.array(sorted(tempi), np.float64)
        rates = np.array([tempi[int(t)] for t in ticks]) / 1e6 / division
        times = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * rates[:-1])])
        return cls(ticks, times, rates)

    def seconds(self, on: int, off: int) -> tuple[float, float]:
        """Seconds of two ticks."""
        both = np.array([on, off], np.float64)
        at = np.searchsorted(self.ticks, both, side="right") - 1
        found = self.times[at] + (both - self.ticks[at]) * self.rates[at]
        return float(found[0]), float(found[1])


def choose(parts: list[Part]) -> tuple[int, float]:
    """Return the index of the part that is most likely the melody, and how sure that is, 0 to 1."""
    if len(parts) == 1:
        alone = _overlap(parts[0].notes)
        return 0, float(np.clip(1 - alone, 0.3, 1.0))
    span = max(float(p.notes[:, 1].max()) for p in parts) - min(
        float(p.notes[:, 0].min()) for p in parts
    )
    scores = np.array([_melodiousness(part, max(span, 1e-3)) for part in parts])
    odds = np.exp(2.0 * (scores - scores.max()))
    best = int(scores.argmax())
    return best, float(odds[best] / odds.sum())


def _overlap(notes: Float64Array) -> float:
    """Part of the notes that begin while another still sounds for a while."""
    if len(notes) < 2:
        return 0.0
    running = np.maximum.accumulate(notes[:-1, 1])
    return float(np.mean(running - notes[1:, 0] > 0.06))


def _melodiousness(part: Part, span: float) -> float:
    """How much a part looks like a melody, in no unit."""
    notes = part.notes
    pitches = notes[:, 2]
    score = 0.0
    if _NAMED.search(part.name):
        score += 2.5
    if _NOT.search(part.name) or part.program in _BASS_PROGRAMS:
        score -= 2.0
    score -= 2.5 * _overlap(notes)
    middle = float(np.median(pitches))
    score += 1.5 * float(np.clip((middle - 48) / 20, -1, 1)) - 1.0 * (middle > 86)
    covered = float((notes[:, 1] - notes[:, 0]).sum()) / span
    score += 1.5 * min(covered, 1.0)
    variety = len(np.unique(pitches)) / 8
    score += 0.8 * min(variety, 1.0)
    if len(pitches) > 2:
        leaps = np.abs(np.diff(pitches))
        score -= 0.6 * float(np.mean(leaps == 0)) + 1.0 * float(np.mean(leaps > 9))
    return score - (1.5 if len(notes) < 8 else 0.0)
