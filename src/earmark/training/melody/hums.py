"""Pairs to learn from: a window of a tune, and the same moment as someone might hum it.

All is done on points of contours, for a whole batch at once: no sound is made.  What people do to
a tune, and pitch trackers to people, is drawn anew for each pair: another tempo that wobbles,
another key that drifts, wrong, missed and added notes, slides, vibrato, breath, octave errors,
stray pitches.  How much of it there is is drawn too, so that easy and hard pairs mix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.melody import windows
from earmark.training.melody.tunes import Tunes
from earmark.types import Float32Array, Float64Array, Int64Array

_GRID = 0.025
"""Seconds between the entries of the table that looks up which note sounds."""

_SLOTS = 48
"""Notes of a window that get their own errors."""


@dataclass(frozen=True)
class Spoiling:
    """How far a hum strays from its tune; each hum draws its own share of these.

    Parameters
    ----------
    tempo : float
        Largest ratio of window lengths either way.
    shift : float
        Largest shift of the window's start, in windows.
    wobble : float
        Size of the tempo's unsteadiness, in windows.
    wrong, missed, added, octave : float
        Largest part of the notes that suffer it.
    tuning : float
        Standard deviation of a note's pitch, in semitones.
    drift : float
        Largest drift of the key over the window, in semitones.
    vibrato : float
        Largest extent, in semitones.
    gaps : float
        Largest part of the notes that begin with silence.
    narrow : float
        Largest part by which all intervals are too small (or half of it: too large).
    """

    tempo: float = 1.22
    shift: float = 0.08
    wobble: float = 0.035
    wrong: float = 0.2
    missed: float = 0.15
    added: float = 0.15
    octave: float = 0.08
    tuning: float = 0.45
    drift: float = 1.5
    vibrato: float = 0.7
    gaps: float = 0.5
    narrow: float = 0.3


class PairMaker:
    """Draws pairs of windows of tunes and of hums.

    Parameters
    ----------
    tunes : Tunes
    seed : int
    spoiling : Spoiling
    """

    def __init__(self, tunes: Tunes, *, seed: int, spoiling: Spoiling | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self._spoiling = spoiling or Spoiling()
        self._pitches = tunes.notes[:, 2].astype(np.float32)
        tables, lengths = [], []
        first = 0
        for part in tunes.parts():
            frames = int(np.ceil(part[-1, 1] / _GRID))
            middle = (np.arange(frames) + 0.5) * _GRID
            index = np.searchsorted(part[:, 0], middle, side="right") - 1
            sounds = (index >= 0) & (middle < part[index, 1])
            tables.append(np.where(sounds, first + index, -1))
            lengths.append(frames)
            first += len(part)
        self._table = np.concatenate(tables)
        self._lengths = np.array(lengths)
        self._offsets = np.cumsum(self._lengths) - self._lengths
        share = np.sqrt(self._lengths)
        self._odds = share / share.sum()

    def batch(self, size: int) -> tuple[Float32Array, Float32Array]:
        """Draw pairs, each of another tune: two arrays of shape (size, 2, POINTS)."""
        rng = self._rng
        tunes = rng.choice(len(self._lengths), size, replace=False, p=self._odds)
        seconds = windows.SECONDS * np.exp(rng.uniform(-0.5, 0.5, size))
        length = self._lengths[tunes] * _GRID
        start = rng.uniform(-0.15 * seconds, np.maximum(length - 0.6 * seconds, 0.1))
        grid = (np.arange(windows.POINTS) + 0.5) / windows.POINTS
        plain = self._notes(tunes, start[:, None] + seconds[:, None] * grid)
        target = self._spoil(plain, tunes, rng.beta(0.4, 2.0, size) * 0.7)
        amount = rng.beta(1.3, 1.3, size)
        times = start[:, None] + seconds[:, None] * self._warp(grid, amount)
        hum = self._spoil(self._notes(tunes, times), tunes, amount)
        return windows.features(target), windows.features(hum)

    def _warp(self, grid: Float64Array, amount: Float64Array) -> Float64Array:
        """Where in the tune's window each point of the hum lies, shape (size, POINTS)."""
        rng, how = self._rng, self._spoiling
        size = len(amount)
        span = np.log(how.tempo)
        ratio = np.exp(rng.uniform(-span, span, size))[:, None]
        shift = rng.uniform(-how.shift, how.shift, size)[:, None]
        wobble = np.zeros((size, len(grid)))
        for cycles in (1, 2, 4, 7):
            phase = rng.uniform(0, 2 * np.pi, size)[:, None]
            extent = (how.wobble * amount * rng.standard_normal(size) / np.sqrt(cycles))[:, None]
            wobble += extent * np.sin(2 * np.pi * cycles * grid + phase)
        warped: Float64Array = 0.5 + shift + ratio * (grid - 0.5) + wobble
        return warped

    def _notes(self, tunes: Int64Array, times: Float64Array) -> Int64Array:
        """Which note sounds at times of tunes, -1 for none; shape of `times`."""
        index = np.floor(times / _GRID).astype(np.int64)
        length = self._lengths[tunes][:, None]
        inside = (index >= 0) & (index < length)
        place = self._offsets[tunes][:, None] + np.clip(index, 0, length - 1)
        return np.where(inside, self._table[place], -1)

    def _spoil(self, notes: Int64Array, tunes: Int64Array, amount: Float64Array) -> Float32Array:
        """Pitches of notes as someone might hum them, 0 for rests."""
        rng, how = self._rng, self._spoiling
        size, points = notes.shape
        strength = amount[:, None]
        first = np.where(notes >= 0, notes, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
        slot = np.where(notes >= 0, notes - np.minimum(first, notes.max() + 1), 0) % _SLOTS
        slot = np.abs(slot)

        def per_note(table: Float64Array) -> Float64Array:
            return np.take_along_axis(table, slot, axis=1)

        def chance(most: float) -> Float64Array:
            hit = rng.random((size, _SLOTS)) < most * strength * rng.random((size, 1))
            return per_note(hit.astype(np.float64))

        missed = (chance(how.missed) > 0) & (notes > first)
        pitch = self._pitches[np.maximum(np.where(missed, notes - 1, notes), 0)].astype(np.float64)
        wrong = rng.choice([-4, -3, -2, -2, -1, -1, 1, 1, 2, 2, 3, 5], (size, _SLOTS))
        pitch += chance(how.wrong) * per_note(wrong.astype(np.float64))
        pitch += per_note(rng.standard_normal((size, _SLOTS))) * how.tuning * strength
        middle = pitch.mean(axis=1, keepdims=True)
        pitch = middle + (pitch - middle) * (
            1 - how.narrow * strength * rng.uniform(-0.5, 1.0, (size, 1))
        )
        pitch += chance(how.octave) * per_note(rng.choice([-12.0, 12.0], (size, _SLOTS)))
        pitch = self._slide(pitch, strength)
        pitch += self._drift(size, points, strength)
        pitch += self._added(size, points, strength)
        pitch += rng.standard_normal((size, points)) * 0.15 * strength
        sounds = (notes >= 0) & ~self._silent(notes, chance(how.gaps) > 0, strength)
        sounds |= (notes < 0) & (rng.random((size, 1)) < 0.1 * strength)
        pitch += rng.uniform(48, 60)
        keep = sounds.any(axis=1, keepdims=True)
        return np.where(sounds | ~keep, np.maximum(pitch, 1.0), 0.0).astype(np.float32)

    def _slide(self, pitch: Float64Array, strength: Float64Array) -> Float64Array:
        """Let pitches run into each other: a moving mean over one to four points."""
        width = self._rng.integers(1, 5, len(pitch))
        padded = np.pad(pitch, ((0, 0), (3, 0)), mode="edge")
        slid = pitch.copy()
        for points in (2, 3, 4):
            rows = (width == points) & (strength[:, 0] > 0.15)
            parts = [padded[rows, 3 - i : padded.shape[1] - i] for i in range(points)]
            slid[rows] = np.mean(parts, axis=0)
        return slid

    def _drift(self, size: int, points: int, strength: Float64Array) -> Float64Array:
        rng, how = self._rng, self._spoiling
        grid = np.linspace(-0.5, 0.5, points)
        drift = how.drift * strength * rng.uniform(-1, 1, (size, 1)) * grid
        jump = rng.choice([-2.0, -1.0, 1.0, 2.0], (size, 1)) * (
            grid > rng.uniform(-0.4, 0.4, (size, 1))
        )
        drift += jump * (rng.random((size, 1)) < 0.2 * strength)
        rate = rng.uniform(10, 26, (size, 1)) * np.pi
        extent = how.vibrato * strength * rng.random((size, 1))
        wave: Float64Array = drift + extent * np.sin(rate * (grid + rng.random((size, 1))))
        return wave

    def _added(self, size: int, points: int, strength: Float64Array) -> Float64Array:
        """Short notes that the tune does not have, and stray pitches."""
        rng, how = self._rng, self._spoiling
        column = np.arange(points)
        added = np.zeros((size, points))
        for _ in range(3):
            begin = rng.integers(0, points, (size, 1))
            long = rng.integers(1, 6, (size, 1))
            happens = rng.random((size, 1)) < 3 * how.added * strength
            step = rng.choice([-5.0, -2.0, -1.0, 1.0, 2.0, 3.0, 7.0], (size, 1))
            added += happens * step * ((column >= begin) & (column < begin + long))
        return added

    def _silent(
        self,
        notes: Int64Array,
        gap: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
        strength: Float64Array,
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where consonants, breath or the tracker leave holes."""
        rng = self._rng
        size, points = notes.shape
        begins = np.zeros(notes.shape, bool)
        begins[:, 1:] = notes[:, 1:] != notes[:, :-1]
        begins[:, 1:] |= begins[:, :-1] & (rng.random((size, 1)) < 0.3)
        column = np.arange(points)
        at, long = rng.integers(0, points, (size, 1)), rng.integers(2, 9, (size, 1))
        breath = (column >= at) & (column < at + long) & (rng.random((size, 1)) < 0.5 * strength)
        holes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (begins & gap) | breath
        return holes
