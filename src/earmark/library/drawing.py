"""Two contours over one another: as a PNG file, and as SVG for a notebook.

Drawn without a plotting library: a handful of lines and numbers need none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from earmark.errors import QueryError
from earmark.types import Float64Array, Hit, UInt8Array

WIDTH, HEIGHT = 900, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 30, 34
_TUNE, _HUM = (52, 101, 164), (230, 97, 0)
_GRID, _INK = (225, 225, 225), (60, 60, 60)
_BREAK = 4.0
"""Semitones between neighbouring points above which a line is not drawn through."""

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

_GLYPHS: Mapping[str, tuple[str, ...]] = {
    "0": ("111", "101", "101", "101", "111"), "1": ("010", "110", "010", "010", "111"),
    "2": ("111", "001", "111", "100", "111"), "3": ("111", "001", "011", "001", "111"),
    "4": ("101", "101", "111", "001", "001"), "5": ("111", "100", "111", "001", "111"),
    "6": ("111", "100", "111", "101", "111"), "7": ("111", "001", "010", "010", "010"),
    "8": ("111", "101", "111", "101", "111"), "9": ("111", "101", "111", "001", "111"),
    "A": ("010", "101", "111", "101", "101"), "B": ("110", "101", "110", "101", "110"),
    "C": ("011", "100", "100", "100", "011"), "D": ("110", "101", "101", "101", "110"),
    "E": ("111", "100", "110", "100", "111"), "F": ("111", "100", "110", "100", "100"),
    "G": ("011", "100", "101", "101", "011"), "H": ("101", "101", "111", "101", "101"),
    "M": ("101", "111", "111", "101", "101"), "N": ("111", "101", "101", "101", "101"),
    "S": ("011", "100", "010", "001", "110"), "T": ("111", "010", "010", "010", "010"),
    "U": ("101", "101", "101", "101", "111"), "#": ("101", "111", "101", "111", "101"),
    "-": ("000", "000", "111", "000", "000"), ".": ("000", "000", "000", "000", "010"),
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """Where times and pitches lie in the picture.

    Parameters
    ----------
    times, query, target : float64 arrays, shape (n,)
        Seconds of the hum, and semitones.
    """

    times: Float64Array
    query: Float64Array
    target: Float64Array

    @classmethod
    def of(cls, hit: Hit) -> Frame:
        """Take the contours of a hit of `Library.hum`.

        Raises
        ------
        QueryError
            If the hit has none.
        """
        contour = hit.details.get("contour")
        if not isinstance(contour, Mapping) or not contour.get("times"):
            raise QueryError(f"only hits of a hum have contours to draw, got one of {hit.by!r}")
        return cls(*(np.asarray(contour[n], np.float64) for n in ("times", "query", "target")))

    @property
    def pitches(self) -> tuple[float, float]:
        """Lowest and highest pitch of the picture: octave errors may leave it."""
        low, high = np.percentile(np.concatenate([self.query, self.target]), [2, 98])
        return float(low) - 2.0, float(high) + 2.0

    def x(self, times: Float64Array) -> Float64Array:
        """Columns of times."""
        span = max(float(self.times[-1] - self.times[0]), 1e-3)
        columns: Float64Array = _LEFT + (times - self.times[0]) / span * (WIDTH - _LEFT - _RIGHT)
        return columns

    def y(self, pitches: Float64Array) -> Float64Array:
        """Rows of pitches."""
        low, high = self.pitches
        room = HEIGHT - _TOP - _BOTTOM
        rows: Float64Array = HEIGHT - _BOTTOM - (pitches - low) / (high - low) * room
        return rows

    def marks(self) -> tuple[list[float], list[int]]:
        """Times and pitches that get a line of the grid."""
        span = float(self.times[-1] - self.times[0])
        step = next((s for s in (1, 2, 5, 10, 20, 60) if span / s <= 12), 120)
        first = int(np.ceil(self.times[0] / step))
        times = [k * step for k in range(first, int(self.times[-1] / step) + 1)]
        low, high = self.pitches
        every = 1 if high - low <= 14 else 2 if high - low <= 26 else 4
        rows = range(int(np.ceil(low)), int(high) + 1)
        return [float(t) for t in times], [p for p in rows if p % every == 0]


def note_name(pitch: int) -> str:
    """Return the name of a MIDI pitch.

    Examples
    --------
    >>> note_name(60), note_name(70)
    ('C4', 'A#4')
    """
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def png(hit: Hit) -> bytes:
    """Draw a hit's contours: the tune blue, the hum orange over it.

    Parameters
    ----------
    hit : Hit
        Of `Library.hum`.

    Returns
    -------
    bytes
        A PNG file of `WIDTH` x `HEIGHT`.

    Raises
    ------
    QueryError
        If the hit has no contours.
    """
    frame = Frame.of(hit)
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    times, pitches = frame.marks()
    for time in times:
        column = int(frame.x(np.array([time]))[0])
        image[_TOP : HEIGHT - _BOTTOM, column] = _GRID
        _write(image, f"{time:g}S", column - 6, HEIGHT - _BOTTOM + 8, _INK)
    for pitch in pitches:
        row = int(frame.y(np.array([float(pitch)]))[0])
        image[row, _LEFT : WIDTH - _RIGHT] = _GRID
        _write(image, note_name(pitch), 8, row - 5, _INK)
    for values, colour, width in ((frame.target, _TUNE, 5), (frame.query, _HUM, 2)):
        for part in _unbroken(values):
            _polyline(image, frame.x(frame.times[part]), frame.y(values[part]), colour, width)
    _write(image, "TUNE", _LEFT, 10, _TUNE)
    _write(image, "HUM", _LEFT + 60, 10, _HUM)
    return _encode(image)


def _unbroken(values: Float64Array) -> list[slice]:
    """The stretches of a line without leaps."""
    cuts = np.flatnonzero(np.abs(np.diff(values)) > _BREAK) + 1
    edges = [0, *cuts.tolist(), len(values)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def _polyline(
    image: UInt8Array, x: Float64Array, y: Float64Array, colour: Sequence[int], width: int
) -> None:
    """Draw connected points with a round pen."""
    dense = np.linspace(0, len(x) - 1, max(2, 40 * len(x)))
    columns = np.interp(dense, np.arange(len(x)), x)
    rows = np.interp(dense, np.arange(len(y)), y)
    reach = width // 2 + 1
    offsets = np.arange(-reach, reach + 1)
    for dx in offsets:
        for dy in offsets:
            r, c = np.rint(rows).astype(int) + dy, np.rint(columns).astype(int) + dx
            near = (r - rows) ** 2 + (c - columns) ** 2 <= (width / 2) ** 2
            near &= (r >= _TOP) & (r < HEIGHT - _BOTTOM) & (c >= _LEFT) & (c < WIDTH - _RIGHT)
            image[r[near], c[near]] = colour


def _write(image: UInt8Array, text: str, x: int, y: int, colour: Sequence[int]) -> None:
    """Write text in letters of 3 x 5 dots, two pixels each."""
    for letter in text.upper():
        for row, dots in enumerate(_GLYPHS.get(letter, ())):
            for column, dot in enumerate(dots):
                r, c = y + 2 * row, x + 2 * column
                if dot == "1" and 0 <= r < HEIGHT - 1 and 0 <= c < WIDTH - 1:
                    image[r : r + 2, c : c + 2] = colour
        x += 8


def _encode(image: UInt8Array) -> bytes:
    """Return an RGB image, shape (height, width, 3), as a PNG file."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    height, width, _ = image.shape
    lines = np.concatenate(
        [np.zeros((height, 1), np.uint8), image.reshape(height, 3 * width)], axis=1
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def svg(hit: Hit) -> str:
    """Draw a hit's contours for a page; the same picture as `png`, with its title."""
    frame = Frame.of(hit)
    times, pitches = frame.marks()
    parts: list[str] = []
    for time in times:
        x = frame.x(np.array([time]))[0]
        parts.append(f'<path d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}" stroke="#e1e1e1"/>')
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{time:g} s</text>')
    for pitch in pitches:
        y = frame.y(np.array([float(pitch)]))[0]
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="#e1e1e1"/>')
        parts.append(f'<text x="6" y="{y + 4:.0f}">{note_name(pitch)}</text>')
    for values, colour, width in ((frame.target, "#3465a4", 5), (frame.query, "#e66100", 2)):
        lines = [_svg_line(frame, values, part) for part in _unbroken(values)]
        style = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"'
        parts.append(f'<path d="{" ".join(lines)}" {style}/>')
    label = hit.track.title or hit.track.path.rsplit("/", 1)[-1]
    label = label.encode("utf-8", "backslashreplace").decode("utf-8")
    parts.append(f'<text x="{_LEFT}" y="18">{escape(label)}: tune blue, hum orange</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="600" '
        f'font-family="sans-serif" font-size="12" role="img">{"".join(parts)}</svg>'
    )


def _svg_line(frame: Frame, values: Float64Array, part: slice) -> str:
    points: list[Any] = list(zip(frame.x(frame.times[part]), frame.y(values[part]), strict=True))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
