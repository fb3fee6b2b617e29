"""Whole hums of tunes, as contours: for measuring and for calibrating, not for training.

A hum takes some seconds of a tune, from anywhere or from its beginning, and does to it what people
do.  No sound is made: pitch trackers add little of their own to clean recordings.

How hard is hard?  `HARD` has what measurements of search by humming usually make up: any key, tempo
0.7 to 1.4, time that jitters, notes missed and put in (one in ten each), drift, vibrato, slides,
noise, and each note up to a semitone out of tune.  `VERY_HARD` adds what real people do as well,
and what can make another tune of it: one note in eight is simply wrong, intervals are too small by
up to a quarter, one note in 25 is an octave off.  `EASY` and `NORMAL` have a little of everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.melody.notes import HOP, contour_of_notes
from earmark.types import Float32Array, Float64Array


@dataclass(frozen=True)
class Singer:
    """How someone sings.

    Parameters
    ----------
    tempo : float
        Largest ratio of tempi either way.
    jitter : float
        Standard deviation of a note's length, as a part of it.
    tuning : float
        Standard deviation of a note's pitch, in semitones.
    drift : float
        Standard deviation of the drift of the key from note to note, in semitones.
    wrong, missed, added, octave : float
        Part of the notes that are wrong, left out, put in before, an octave off.
    narrow : float
        Largest part by which all intervals are too small.
    vibrato : float
        Largest extent in semitones.
    gaps : float
        Part of the notes that begin with silence.
    noise : float
        Standard deviation of each frame's pitch.
    """

    tempo: float
    jitter: float
    tuning: float
    drift: float
    wrong: float
    missed: float
    added: float
    octave: float
    narrow: float
    vibrato: float
    gaps: float
    noise: float


EASY = Singer(1.15, 0.05, 0.12, 0.02, 0.01, 0.01, 0.01, 0.0, 0.05, 0.3, 0.3, 0.05)
NORMAL = Singer(1.4, 0.14, 0.3, 0.06, 0.05, 0.04, 0.04, 0.01, 0.12, 0.5, 0.4, 0.1)
HARD = Singer(1.4, 0.25, 0.4, 0.12, 0.0, 0.1, 0.1, 0.0, 0.0, 0.8, 0.5, 0.2)
VERY_HARD = Singer(1.4, 0.25, 0.55, 0.12, 0.13, 0.1, 0.1, 0.04, 0.25, 0.8, 0.5, 0.2)


def hum(
    notes: Float64Array,
    singer: Singer,
    rng: np.random.Generator,
    *,
    seconds: float = 10.0,
    beginning: bool = False,
) -> Float32Array:
    """Hum a tune.

    Parameters
    ----------
    notes : float64 array, shape (n, 3)
    singer : Singer
    rng : Generator
    seconds : float
        Length of the hum, about.
    beginning : bool
        Begin where the tune begins; else at any note that leaves half of the time at least.

    Returns
    -------
    float32 array, shape (frames,)
    """
    span = np.log(singer.tempo)
    ratio = float(np.exp(rng.uniform(-span, span)))
    last = max(0.0, float(notes[-1, 1]) - 0.6 * seconds / ratio)
    choices = np.flatnonzero(notes[:, 0] <= last)
    first = 0 if beginning or not len(choices) else int(rng.choice(choices))
    part = notes[first:]
    part = part[part[:, 0] < part[0, 0] + seconds / ratio]
    return _voice(_played(part, singer, ratio, rng), singer, rng)[: round(seconds / HOP)]


def _played(
    part: Float64Array, singer: Singer, ratio: float, rng: np.random.Generator
) -> Float64Array:
    """The notes as they are sung, with their mistakes."""
    middle = float(np.median(part[:, 2]))
    narrow = 1 - singer.narrow * rng.uniform(-0.3, 1)
    at, key = 0.0, float(rng.uniform(-9, 9))
    sung: list[tuple[float, float, float]] = []
    for i, (onset, end, pitch) in enumerate(part.tolist()):
        if i and rng.random() < singer.missed:
            continue
        follows = part[i + 1, 0] if i + 1 < len(part) else end
        stretch = ratio * float(np.exp(singer.jitter * rng.standard_normal()))
        key += singer.drift * rng.standard_normal()
        sounds = middle + narrow * (pitch - middle) + key + singer.tuning * rng.standard_normal()
        if rng.random() < singer.wrong:
            sounds += float(rng.choice([-3, -2, -1, 1, 2, 3]))
        if rng.random() < singer.octave:
            sounds += float(rng.choice([-12, 12]))
        if rng.random() < singer.added:
            sung.append((at, at + 0.12, sounds + float(rng.choice([-2, -1, 1, 2]))))
            at += 0.12
        begin = at + (0.06 if rng.random() < singer.gaps else 0.0)
        length = (end - onset) * stretch
        if length > begin - at:
            sung.append((begin, at + length, sounds))
        at += max((follows - onset) * stretch, 0.05)
    return np.array(sung, np.float64).reshape(-1, 3)


def _voice(sung: Float64Array, singer: Singer, rng: np.random.Generator) -> Float32Array:
    """The contour of a voice: slides, vibrato and noise."""
    line = contour_of_notes(sung).astype(np.float64)
    voiced = line > 0
    slid = line.copy()
    joined = voiced[1:] & voiced[:-1]
    slid[1:][joined] = 0.5 * (line[1:] + line[:-1])[joined]
    times = np.arange(len(line)) * HOP
    extent, rate = singer.vibrato * rng.random(), rng.uniform(4.5, 6.5)
    slid += extent * np.sin(2 * np.pi * rate * times)
    slid += singer.noise * rng.standard_normal(len(line))
    return np.where(voiced, slid, 0).astype(np.float32)
