"""Notes of a tune, and the contour that they draw.

A *score* is what was read of a symbolic file: the notes of its melody, and how sure it is that
they are the melody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from earmark.types import Float32Array, Float64Array

HOP = 0.05
"""Seconds between the frames of a contour."""

LOWEST, HIGHEST = 12.0, 127.0
"""Pitches outside are no melody."""

LONGEST_REST = 2.0
"""Seconds of a contour that a rest may take: nobody hums a rest of eight bars."""

MOST_SECONDS = 3600.0
"""A melody that lasts longer is refused: a tempo or a time in the file is absurd."""


@dataclass(frozen=True)
class Score:
    """What was read of a symbolic file.

    Parameters
    ----------
    notes : float64 array, shape (n, 3)
        Onset, end (seconds) and pitch (MIDI semitones); ordered, without overlap.
    form : str
        'midi', 'musicxml', 'abc' or 'notes'.
    title : str
        As the file says, or empty.
    voice : str
        Which part of the file the melody is, in words.
    certainty : float
        How sure it is that this is the melody, 0 to 1.
    warnings : tuple of str
        What was wrong with the file but did not stop it.
    """

    notes: Float64Array
    form: str
    title: str = ""
    voice: str = ""
    certainty: float = 1.0
    warnings: tuple[str, ...] = field(default=())

    @property
    def duration(self) -> float:
        """Where the last note ends, in seconds."""
        return float(self.notes[:, 1].max()) if len(self.notes) else 0.0


def as_notes(rows: list[tuple[float, float, float]]) -> Float64Array:
    """Return notes as an array, shape (n, 3), ordered by onset, then pitch.

    Examples
    --------
    >>> as_notes([(1.0, 2.0, 60.0), (0.0, 1.0, 62.0)])[:, 2]
    array([62., 60.])
    """
    notes = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def skyline(notes: Float64Array) -> Float64Array:
    """Return the highest note at each time, as a melody without overlap.

    Parameters
    ----------
    notes : float64 array, shape (n, 3)
        In any order, overlapping or not.

    Returns
    -------
    float64 array, shape (m, 3)
        A note that a higher one interrupts ends there; one that begins under a higher one that
        still sounds is left out, unless more than half of it is heard after that one's end.

    Notes
    -----
    Uitdenbogerd and Zobel, "Melodic matching techniques for large music databases" (1999).

    Examples
    --------
    >>> skyline(np.array([[0.0, 1.0, 60.0], [0.0, 1.0, 67.0], [0.5, 2.0, 72.0]]))[:, 2]
    array([67., 72.])
    """
    order = np.lexsort((-notes[:, 2], notes[:, 0]))
    kept: list[list[float]] = []
    for onset, end, pitch in notes[order].tolist():
        if end <= onset:
            continue
        if kept and onset < kept[-1][1] - 1e-6:
            before = kept[-1]
            if onset - before[0] < 1e-3:
                continue  # a chord: its highest note came first
            if pitch >= before[2]:
                before[1] = onset
            elif end - before[1] > 0.5 * (end - onset):
                onset = before[1]
            else:
                continue
        kept.append([onset, end, pitch])
    return np.array(kept, dtype=np.float64).reshape(-1, 3)


def shorten_rests(notes: Float64Array, *, longest: float = LONGEST_REST) -> Float64Array:
    """Return notes whose rests last at most `longest` seconds, beginning at 0.

    Examples
    --------
    >>> shorten_rests(np.array([[3.0, 4.0, 60.0], [9.0, 10.0, 62.0]]))[:, 0]
    array([0., 3.])
    """
    if not len(notes):
        return notes
    gaps = np.diff(notes[:, 0], prepend=0.0) - np.concatenate(
        [[0.0], notes[:-1, 1] - notes[:-1, 0]]
    )
    excess = np.maximum(0.0, gaps - longest)
    excess[0] = notes[0, 0]
    shift = np.cumsum(excess)
    moved = notes.copy()
    moved[:, 0] -= shift
    moved[:, 1] -= shift
    return moved


def contour_of_notes(notes: Float64Array, *, hop: float = HOP) -> Float32Array:
    """Return the pitch of each frame; 0 where nothing sounds.

    Parameters
    ----------
    notes : float64 array, shape (n, 3)
        Ordered, without overlap.
    hop : float
        Seconds between frames; a frame's time is its middle.

    Returns
    -------
    float32 array, shape (frames,)

    Examples
    --------
    >>> contour_of_notes(np.array([[0.0, 0.1, 60.0], [0.15, 0.2, 62.0]]))
    array([60., 60.,  0., 62.], dtype=float32)
    """
    if not len(notes):
        return np.zeros(0, np.float32)
    frames = int(np.ceil(round(float(notes[:, 1].max()) / hop, 6)))
    middle = (np.arange(frames) + 0.5) * hop
    index = np.searchsorted(notes[:, 0], middle, side="right") - 1
    sounds = (index >= 0) & (middle < notes[index, 1])
    return np.where(sounds, notes[index, 2], 0.0).astype(np.float32)
