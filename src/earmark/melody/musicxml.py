"""MusicXML, plain or packed (``.mxl``): the first voice of the part that looks like the melody.

Read are parts, divisions, notes with ties, rests, chords (their highest note), backward and
forward moves, tempo and repeats without endings.  Declarations of entities are refused: a file has
no need of them, and they can be made to fill all memory.  Source: MusicXML 4.0 (W3C, 2021).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from earmark.errors import DecodeError
from earmark.melody.midi import Part, choose
from earmark.melody.notes import MOST_SECONDS, Score, as_notes, skyline

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MOST_BYTES = 64_000_000
_DEFAULT_TEMPO = 120.0


def read_musicxml(data: bytes, *, name: str = "musicxml") -> Score:
    """Read the melody of a MusicXML file.

    Parameters
    ----------
    data : bytes
        XML, or a zip archive with XML in it.
    name : str
        What to call it in messages.

    Returns
    -------
    Score

    Raises
    ------
    DecodeError
        If it is not MusicXML, or has no notes.
    """
    root = _parse(_unpack(data, name) if data[:2] == b"PK" else data, name)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise DecodeError(name, f"not MusicXML: its root is {root.tag!r}")
    if root.tag == "score-timewise":
        raise DecodeError(name, "a MusicXML score must be partwise, this one is timewise")
    names = {p.get("id"): (p.findtext("part-name") or "") for p in root.iter("score-part")}
    parts: list[Part] = []
    for part in root.findall("part"):
        notes = _Part().read(part)
        if notes:
            label = names.get(part.get("id"), "")
            parts.append(Part(label, len(parts), 0, as_notes(notes)))
    if not parts:
        raise DecodeError(name, "a MusicXML file must have notes, this one has none")
    best, certainty = choose(parts)
    ends = float(parts[best].notes[:, 1].max())
    if ends > MOST_SECONDS:
        raise DecodeError(name, f"a melody must last at most {MOST_SECONDS:.0f} s, not {ends:.3g}")
    voice = parts[best].name or f"part {best + 1}"
    if len(parts) > 1:
        voice += f", one of {len(parts)} parts"
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    return Score(skyline(parts[best].notes), "musicxml", title.strip(), voice, certainty)


def _unpack(data: bytes, name: str) -> bytes:
    """Return the first score of a packed file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = [
                info
                for info in archive.infolist()
                if info.filename.lower().endswith((".xml", ".musicxml"))
                and not info.filename.startswith("META-INF")
            ]
            if not inside:
                raise DecodeError(name, "packed MusicXML must hold a score, this file has none")
            if inside[0].file_size > _MOST_BYTES:
                raise DecodeError(name, f"a score must have at most {_MOST_BYTES} bytes")
            return archive.read(inside[0])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise DecodeError(name, f"the packed MusicXML file is damaged: {error}") from error


def _parse(data: bytes, name: str) -> Element:
    if b"<!ENTITY" in data:
        raise DecodeError(name, "a MusicXML file must not declare entities, this one does")
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise DecodeError(name, f"not well-formed XML: {error}") from error


@dataclass
class _Part:
    """Reads one part; times are in seconds."""

    divisions: float = 1.0
    tempo: float = _DEFAULT_TEMPO
    voice: str | None = None
    at: float = 0.0
    notes: list[tuple[float, float, float]] = field(default_factory=list)
    _held: dict[float, int] = field(default_factory=dict)
    """Index of the note that each pitch is tied on from."""
    _begun: float = 0.0
    """Where the last note of a chord began."""
    _section: tuple[int, float] = (0, 0.0)

    def read(self, part: Element) -> list[tuple[float, float, float]]:
        for measure in part.findall("measure"):
            for item in measure:
                self._item(item)
        return [n for n in self.notes if n[1] > n[0]]

    def _item(self, item: Element) -> None:
        if item.tag == "attributes":
            self.divisions = max(_float(item.findtext("divisions"), self.divisions), 1e-6)
        elif item.tag == "note":
            self._note(item)
        elif item.tag in ("backup", "forward"):
            sign = -1 if item.tag == "backup" else 1
            self.at = max(0.0, self.at + sign * self._seconds(item))
        elif item.tag in ("sound", "direction"):
            sound = item if item.tag == "sound" else item.find("sound")
            if sound is not None and sound.get("tempo"):
                tempo = _float(sound.get("tempo"), self.tempo)
                self.tempo = tempo if 10 <= tempo <= 1000 else self.tempo
        elif item.tag == "barline":
            repeat = item.find("repeat")
            if repeat is not None:
                self._repeat(repeat.get("direction") or "")

    def _seconds(self, item: Element) -> float:
        return _float(item.findtext("duration"), 0.0) / self.divisions * 60.0 / self.tempo

    def _note(self, item: Element) -> None:
        if item.find("grace") is not None:
            return
        length = self._seconds(item)
        if item.find("chord") is None:
            self._begun = self.at
            self.at += length
        pitch = item.find("pitch")
        voice = item.findtext("voice") or "1"
        if pitch is None or item.find("cue") is not None:
            return
        self.voice = self.voice or voice
        if voice != self.voice:
            return
        step = _STEPS.get((pitch.findtext("step") or "").strip().upper())
        if step is None:
            return
        semitones = 12 * (_float(pitch.findtext("octave"), 4) + 1) + step
        semitones += _float(pitch.findtext("alter"), 0.0)
        ties = {tie.get("type") for tie in item.findall("tie")}
        before = self._held.pop(semitones, None) if "stop" in ties else None
        end = self._begun + length
        if before is not None:
            onset = self.notes[before][0]
            self.notes[before] = (onset, end, semitones)
        else:
            before = len(self.notes)
            self.notes.append((self._begun, end, semitones))
        if "start" in ties:
            self._held[semitones] = before

    def _repeat(self, direction: str) -> None:
        if direction == "backward":
            first, begin = self._section
            shift = self.at - begin
            self.notes += [(a + shift, b + shift, p) for a, b, p in self.notes[first:]]
            self.at += shift
        self._section = (len(self.notes), self.at)


def _float(text: str | None, default: float) -> float:
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default
