"""Pitch of a single voice, whistle or instrument: peaks of the autocorrelation, and the best path.

Each frame offers a few lags at which it resembles itself, with a strength near 1 for a clean
periodic sound; a path through them all that does not jump without need is the pitch, and where no
candidate is strong enough the frame is unvoiced.  Frames come by blocks, so that long recordings
need little memory: only their candidates are kept.

Source: Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-
noise ratio of a sampled sound" (1993); the search for the path is Viterbi's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array, Int64Array

SAMPLE_RATE = 11_025
"""In Hz; a whistle's fundamental and a voice's first harmonics lie well below half of it."""

FRAME = 512
"""Samples of a frame, 46 ms."""

STEP = 138
"""Samples between frames, 12.5 ms."""

LOWEST_HZ, HIGHEST_HZ = 62.0, 2500.0

CANDIDATES = 7

_FINER = 4
"""Lags are looked at in quarters of a sample."""

_OCTAVE_COST = 0.025
"""What a lag loses against one of half the length."""


@dataclass(frozen=True)
class Candidates:
    """What frames may be.

    Parameters
    ----------
    pitches : float32 array, shape (frames, CANDIDATES)
        In MIDI semitones, 0 for none.
    strengths : float32 array, shape (frames, CANDIDATES)
        About 0 to 1.
    levels : float32 array, shape (frames,)
        Largest absolute sample of each frame.
    """

    pitches: Float32Array
    strengths: Float32Array
    levels: Float32Array

    def __len__(self) -> int:
        return len(self.levels)


@dataclass(frozen=True)
class PitchTrack:
    """Pitch over time, a value every `STEP` samples.

    Parameters
    ----------
    pitches : float32 array, shape (frames,)
        In MIDI semitones, 0 where unvoiced.
    confidence : float32 array, shape (frames,)
        Strength of what was chosen, 0 where unvoiced.
    """

    pitches: Float32Array
    confidence: Float32Array


@dataclass(frozen=True)
class Costs:
    """What the path pays.

    Parameters
    ----------
    voicing : float
        Strength that a candidate must have to be better than silence.
    silence : float
        Part of the loudest level below which a frame is taken for silent.
    jump : float
        For a step of an octave between frames.
    change : float
        For going from voiced to unvoiced or back.
    """

    voicing: float = 0.5
    silence: float = 0.04
    jump: float = 0.5
    change: float = 0.12


def midi(hz: Float32Array) -> Float32Array:
    """Return frequencies in Hz as MIDI semitones."""
    semitones: Float32Array = (69.0 + 12.0 * np.log2(hz / 440.0)).astype(np.float32)
    return semitones


def frame_candidates(frames: Float32Array) -> Candidates:
    """Find the lags at which frames resemble themselves.

    Parameters
    ----------
    frames : float32 array, shape (n, FRAME)

    Returns
    -------
    Candidates
    """
    window, norm = _windows()
    centred = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred * window, 2 * FRAME, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    longest = int(np.ceil(SAMPLE_RATE / LOWEST_HZ * _FINER)) + 2
    auto = np.fft.irfft(power, 2 * FRAME * _FINER, axis=1)[:, :longest]
    r = auto / np.maximum(auto[:, :1], 1e-12) / norm[:longest]
    pitches, strengths = _peaks(r.astype(np.float32))
    return Candidates(pitches, strengths, np.abs(frames).max(axis=1, initial=0.0))


def _windows() -> tuple[Float32Array, Float32Array]:
    """The window, and its own autocorrelation at every finer lag."""
    window = np.hanning(FRAME + 2)[1:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(window, 2 * FRAME)) ** 2
    auto = np.fft.irfft(power, 2 * FRAME * _FINER)
    return window, (auto / auto[0]).astype(np.float32)


def _peaks(r: Float32Array) -> tuple[Float32Array, Float32Array]:
    """The strongest local maxima of each row: pitch and strength, shape (n, CANDIDATES)."""
    shortest = int(np.floor(SAMPLE_RATE / HIGHEST_HZ * _FINER))
    middle = r[:, shortest:-1]
    top = (middle > r[:, shortest - 1 : -2]) & (middle >= r[:, shortest + 1 :]) & (middle > 0.2)
    lags = np.arange(shortest, r.shape[1] - 1, dtype=np.float32)
    cost = _OCTAVE_COST * np.log2(lags * (LOWEST_HZ / SAMPLE_RATE / _FINER))
    score = np.where(top, middle - cost, -1.0).astype(np.float32)
    best = np.argpartition(-score, CANDIDATES - 1, axis=1)[:, :CANDIDATES]
    strengths = np.take_along_axis(score, best, axis=1)
    at = best + shortest
    before, here, after = (np.take_along_axis(r, at + d, axis=1) for d in (-1, 0, 1))
    bend = before - 2 * here + after
    delta = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0)
    exact = at + np.clip(delta, -0.5, 0.5)
    pitches = midi((SAMPLE_RATE * _FINER / exact).astype(np.float32))
    found = strengths > 0
    return np.where(found, pitches, 0).astype(np.float32), np.where(found, strengths, 0)


def best_path(candidates: Candidates, costs: Costs | None = None) -> PitchTrack:
    """Choose one candidate, or silence, for each frame.

    Parameters
    ----------
    candidates : Candidates
    costs : Costs, optional

    Returns
    -------
    PitchTrack
    """
    costs = costs or Costs()
    n = len(candidates)
    if n == 0:
        nothing = np.zeros(0, np.float32)
        return PitchTrack(nothing, nothing)
    local = _local_scores(candidates, costs)
    chosen = _viterbi(local, candidates.pitches, costs)
    rows = np.arange(n)
    voiced = chosen < CANDIDATES
    pick = np.minimum(chosen, CANDIDATES - 1)
    pitches = np.where(voiced, candidates.pitches[rows, pick], 0).astype(np.float32)
    confidence = np.where(voiced, candidates.strengths[rows, pick], 0).astype(np.float32)
    return PitchTrack(pitches, confidence)


def _local_scores(candidates: Candidates, costs: Costs) -> Float32Array:
    """What each state of each frame is worth, shape (n, CANDIDATES + 1); the last is silence."""
    loudest = float(np.percentile(candidates.levels, 99)) if len(candidates) else 0.0
    level = candidates.levels / max(loudest, 1e-9)
    unvoiced = costs.voicing + np.maximum(0.0, 2 - level * (1 + costs.voicing) / costs.silence)
    voiced = np.where(candidates.pitches > 0, candidates.strengths, -9.0)
    return np.concatenate([voiced, unvoiced[:, None]], axis=1).astype(np.float32)


def _viterbi(local: Float32Array, pitches: Float32Array, costs: Costs) -> Int64Array:
    """The states of the best path, shape (n,)."""
    n, states = local.shape
    octaves = pitches / np.float32(12.0)
    moves = np.full((n - 1 if n else 0, states, states), costs.change, np.float32)
    moves[:, :-1, :-1] = costs.jump * np.minimum(
        np.abs(octaves[1:, None, :] - octaves[:-1, :, None]), 1.5
    )
    moves[:, -1, -1] = 0
    back = np.zeros((n, states), np.int64)
    score = local[0].copy()
    for t in range(1, n):
        arrivals = score[:, None] - moves[t - 1]
        back[t] = arrivals.argmax(axis=0)
        score = arrivals.max(axis=0) + local[t]
    path = np.zeros(n, np.int64)
    path[-1] = int(score.argmax())
    for t in range(n - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
