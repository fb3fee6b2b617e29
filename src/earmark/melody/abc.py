"""ABC notation: the tunes of a file to notes.

Read are the fields that bear on pitch and time (``L M Q K V X T``), notes with accidentals,
octaves and lengths, bars, repeats with first and second endings, ties, tuplets, broken rhythm,
chords (their highest note) and rests; grace notes, chord symbols and decorations are passed over.
Of several voices the first one is taken.  A tune book is one long melody: its tunes follow each
other after a rest.  Source: the abc standard 2.1 (2011).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from earmark.errors import DecodeError
from earmark.melody.notes import Score, as_notes

BETWEEN_TUNES = 2.0
"""Seconds of rest between the tunes of a book."""

_SHARPS = {
    "c": 0, "g": 1, "d": 2, "a": 3, "e": 4, "b": 5, "f#": 6, "c#": 7, "g#": 8, "d#": 9, "a#": 10,
    "f": -1, "bb": -2, "eb": -3, "ab": -4, "db": -5, "gb": -6, "cb": -7, "fb": -8,
}  # fmt: skip
_MODES = {
    "": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "dor": -2, "phr": -4, "lyd": 1,
    "mix": -1, "loc": -5,
}  # fmt: skip
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_FIELD = re.compile(r"^([A-Za-z]):(.*)$")
_KEY = re.compile(r"^([A-Ga-g])([#b]?)\s*(maj|min|mix|dor|phr|lyd|loc|aeo|ion|m)?", re.IGNORECASE)
_TOKEN = re.compile(
    r"""
    (?P<inline>\[[A-Za-z]:[^\]]*\])
  | (?P<skip>"[^"]*" | ![^!\s]*! | \+[^+\s]+\+ | \{[^}]*\} | [HIJ-Yh-wuv~.](?=[\[^_=A-Ga-gzx(]))
  | (?P<repeat>:\|:|::|:\|\]?|\|:|\[\|:)
  | (?P<ending>\|?\s*\[\s*[0-9][0-9,\-]* | \|[0-9][0-9,\-]*)
  | (?P<bar>\|\]|\|\||\[\||\|)
  | (?P<tuplet>\((?P<p>[2-9])(?::(?P<q>[0-9]*)(?::(?P<r>[0-9]*))?)?)
  | (?P<chord>\[(?P<inner>[^\]\[|:]*)\](?P<clen>[0-9/]*))
  | (?P<note>(?P<acc>\^\^|\^|__|_|=)?(?P<step>[A-Ga-g])(?P<oct>[,']*)(?P<len>[0-9/]*))
  | (?P<rest>[zxZ](?P<rlen>[0-9/]*))
  | (?P<broken><+|>+)
  | (?P<tie>-)
    """,
    re.VERBOSE,
)


def read_abc(text: str, *, name: str = "abc") -> Score:
    """Read the tunes of an ABC file.

    Parameters
    ----------
    text : str
    name : str
        What to call it in messages.

    Returns
    -------
    Score

    Raises
    ------
    DecodeError
        If there is no key field (``K:``), or no note.

    Examples
    --------
    >>> read_abc("X:1\\nL:1/4\\nK:G\\nG A B f|").notes[:, 2]
    array([67., 69., 71., 78.])
    """
    rows: list[tuple[float, float, float]] = []
    tunes = [_Tune.parse(part) for part in split_tunes(text)]
    sounding = [tune for tune in tunes if tune is not None and tune.notes]
    if not any(line.startswith("K:") for line in text.splitlines()):
        raise DecodeError(name, "an ABC file must have a key field (K:), this one has none")
    if not sounding:
        raise DecodeError(name, "an ABC file must have notes, this one has none")
    at = 0.0
    for tune in sounding:
        rows += [(at + a, at + b, pitch) for a, b, pitch in tune.notes]
        at = rows[-1][1] + BETWEEN_TUNES
    voice = "its tune" if len(sounding) == 1 else f"{len(sounding)} tunes, one after the other"
    return Score(as_notes(rows), "abc", sounding[0].title, voice)


def split_tunes(text: str) -> list[str]:
    """Split a tune book at its ``X:`` fields; a file without any is one tune."""
    parts = re.split(r"(?m)^(?=X:)", text)
    tunes = [part for part in parts if "K:" in part]
    return tunes or [text]


def _length(text: str) -> Fraction:
    """Return the factor that ``3``, ``/2``, ``3/2`` or ``//`` stand for; 1 for nonsense."""
    if not text:
        return Fraction(1)
    up, slash, down = text.partition("/")
    try:
        top = Fraction(int(up)) if up else Fraction(1)
        if not slash:
            return top
        if not down.strip("/"):
            return Fraction(top, 2 ** (1 + down.count("/")))
        return Fraction(top, int(down.strip("/")))
    except (ValueError, ZeroDivisionError):
        return Fraction(1)


def _key(text: str) -> dict[str, int]:
    """Return the accidentals of a key field by step.

    Examples
    --------
    >>> sorted(_key("Em"))
    ['f']
    """
    text = text.strip()
    if text.upper().startswith("HP"):
        return {"f": 1, "c": 1}
    found = _KEY.match(text)
    signs: dict[str, int] = {}
    if found:
        tonic = (found[1] + found[2]).lower()
        count = _SHARPS.get(tonic, 0) + _MODES[(found[3] or "").lower()]
        steps = "fcgdaeb" if count > 0 else "beadgcf"
        signs = dict.fromkeys(steps[: abs(count)], 1 if count > 0 else -1)
        text = text[found.end() :]
    for sign, step in re.findall(r"(?:^|\s)(\^\^?|__?|=)([A-Ga-g])(?![a-z])", text):
        signs[step.lower()] = _ACCIDENTALS[sign]
    return signs


@dataclass
class _Tune:
    """Reads one tune; times are in whole notes until the end."""

    title: str = ""
    unit: Fraction | None = None
    metre: Fraction = Fraction(1)
    beat: Fraction = Fraction(1, 4)
    per_minute: float = 120.0
    key: dict[str, int] = field(default_factory=dict)
    notes: list[tuple[float, float, float]] = field(default_factory=list)
    _events: list[tuple[Fraction, int | None, bool]] = field(default_factory=list)
    """Length, pitch (None: rest), tied to the next."""
    _bars: dict[str, int] = field(default_factory=dict)
    _tuplet: tuple[Fraction, int] = (Fraction(1), 0)
    _broken: Fraction | None = None
    _section: int = 0
    _ending: int | None = None
    _voice: str | None = None
    _muted: bool = False

    @classmethod
    def parse(cls, text: str) -> _Tune | None:
        tune = cls()
        body = False
        for line in text.splitlines():
            if line.startswith("%"):
                continue
            line = line.partition("%")[0].rstrip().rstrip("\\")
            found = _FIELD.match(line)
            if found and not (body and line[0] in "|"):
                tune._field(found[1], found[2].strip())
                body = body or found[1] == "K"
            elif body:
                tune._music(line)
            elif not line.strip() and tune.title:
                continue
        tune._close()
        return tune

    def _field(self, name: str, value: str) -> None:
        if name == "T" and not self.title:
            self.title = value
        elif name == "L":
            self.unit = _fraction(value) or self.unit
        elif name == "M":
            common = {"C": Fraction(1), "C|": Fraction(1)}
            self.metre = common.get(value) or _fraction(value) or self.metre
        elif name == "Q":
            self._tempo(value)
        elif name == "K":
            self.key = _key(value)
            self._bars.clear()
        elif name == "V":
            voice = value.split()[0] if value.split() else ""
            self._voice = self._voice or voice
            self._muted = voice != self._voice

    def _tempo(self, value: str) -> None:
        found = re.search(r"(\d+)/(\d+)\s*=\s*(\d+)", value)
        number = re.search(r"(\d+)\s*$", value)
        if found and int(found[2]):
            self.beat, rate = Fraction(int(found[1]), int(found[2])), float(found[3])
        elif number:
            rate = float(number[1])
        else:
            return
        if 10 <= rate <= 1000:
            self.per_minute = rate

    def _music(self, line: str) -> None:
        if self._muted:
            return
        for found in _TOKEN.finditer(line):
            if found["inline"]:
                self._field(found["inline"][1], found["inline"][3:-1].strip())
            elif found["repeat"]:
                self._repeat(found["repeat"])
            elif found["ending"]:
                self._begin_ending(found["ending"])
            elif found["bar"]:
                self._bars.clear()
                if found["bar"] in ("||", "|]", "[|"):
                    self._ending = None
                    self._section = len(self._events)
            elif found["tuplet"]:
                self._begin_tuplet(found)
            elif found["chord"]:
                self._chord(found)
            elif found["note"]:
                self._sound(self._pitch(found), _length(found["len"]))
            elif found["rest"]:
                whole = found["rest"][0] == "Z"
                factor = _length(found["rlen"])
                self._sound(None, factor * self.metre / self._unit() if whole else factor)
            elif found["broken"]:
                self._break(found["broken"])
            elif found["tie"] and self._events:
                length, pitch, _ = self._events[-1]
                self._events[-1] = (length, pitch, True)

    def _unit(self) -> Fraction:
        if self.unit is not None:
            return self.unit
        return Fraction(1, 16) if self.metre < Fraction(3, 4) else Fraction(1, 8)

    def _begin_tuplet(self, found: re.Match[str]) -> None:
        p = int(found["p"])
        compound = self.metre.numerator % 3 == 0 and self.metre.denominator >= 8
        q = int(found["q"]) if found["q"] else _TUPLET_TIMES.get(p, 3 if compound else 2)
        r = int(found["r"]) if found["r"] else p
        self._tuplet = (Fraction(q, p), r)

    def _pitch(self, found: re.Match[str]) -> int:
        step = found["step"]
        octave = (5 if step.islower() else 4) + found["oct"].count("'") - found["oct"].count(",")
        place = step.lower() + str(octave)
        if found["acc"]:
            self._bars[place] = _ACCIDENTALS[found["acc"]]
        sign = self._bars.get(place, self.key.get(step.lower(), 0))
        return 12 * (octave + 1) + _STEPS[step.lower()] + sign

    def _chord(self, found: re.Match[str]) -> None:
        inner = [n for n in _TOKEN.finditer(found["inner"]) if n["note"]]
        if inner:
            length = _length(inner[0]["len"]) * _length(found["clen"])
            self._sound(max(self._pitch(n) for n in inner), length)

    def _sound(self, pitch: int | None, factor: Fraction) -> None:
        length = factor * self._unit()
        if self._tuplet[1]:
            length *= self._tuplet[0]
            self._tuplet = (self._tuplet[0], self._tuplet[1] - 1)
        if self._broken is not None:
            length *= self._broken
            self._broken = None
        self._events.append((length, pitch, False))

    def _break(self, signs: str) -> None:
        if not self._events:
            return
        short = Fraction(1, 2 ** len(signs))
        first, second = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        length, pitch, tied = self._events[-1]
        self._events[-1] = (length * first, pitch, tied)
        self._broken = second

    def _repeat(self, sign: str) -> None:
        self._bars.clear()
        if sign.startswith(":"):
            end = len(self._events) if self._ending is None else self._ending
            self._events += self._events[self._section : end]
        if self._ending is None or sign.endswith(":"):
            self._section = len(self._events)
        if sign.endswith(":"):
            self._ending = None

    def _begin_ending(self, sign: str) -> None:
        self._bars.clear()
        if re.search(r"[0-9]", sign) and re.findall(r"[0-9]", sign)[0] == "1":
            self._ending = len(self._events)
        else:
            self._ending = None
            self._section = len(self._events)

    def _close(self) -> None:
        """Turn whole notes into seconds, joining what is tied."""
        whole = 60.0 / self.per_minute / float(self.beat)
        at, tied = Fraction(0), False
        for length, pitch, ties in self._events:
            begin, end = float(at) * whole, float(at + length) * whole
            at += length
            if pitch is not None and end > begin:
                if tied and self.notes and self.notes[-1][2] == pitch:
                    self.notes[-1] = (self.notes[-1][0], end, float(pitch))
                else:
                    self.notes.append((begin, end, float(pitch)))
            tied = ties


def _fraction(text: str) -> Fraction | None:
    found = re.match(r"\(?\s*(\d+)(?:\+\d+)*\s*\)?\s*/\s*(\d+)", text)
    return Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else None
