"""Pitch: right on clean and noisy tones, silent on what has none; the fast search and its twin."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.melody import pitch, predominant
from earmark.melody.notes import contour_of_notes
from earmark.melody.tracking import Tracker, track_clip
from earmark.types import Clip
from melody_factory import RATE, sing, tune


def tone(midi: float, *, seconds: float = 1.0, harmonics: int = 6) -> np.ndarray:
    """Overtones up to half of the rate."""
    harmonics = min(harmonics, int(0.5 * RATE / (440 * 2 ** ((midi - 69) / 12))))
    phase = 2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * np.arange(int(seconds * RATE)) / RATE
    return (0.2 * sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))).astype(np.float32)


def contour(samples: np.ndarray) -> np.ndarray:
    return track_clip(Clip(samples.astype(np.float32), RATE)).contour


@pytest.mark.parametrize("midi", [41.3, 48.0, 57.7, 69.0, 81.2, 90.0])
def test_the_pitch_of_a_voice_is_right_to_a_tenth_of_a_semitone(midi):
    found = contour(tone(midi))
    assert (found > 0).mean() > 0.85
    np.testing.assert_allclose(found[found > 0], midi, atol=0.1)


@pytest.mark.parametrize("midi", [84.0, 96.0, 99.0])
def test_a_whistle_has_no_overtones(midi):
    found = contour(tone(midi, harmonics=1))
    np.testing.assert_allclose(np.median(found[found > 0]), midi, atol=0.15)


def test_noise_and_silence_have_no_pitch():
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    assert (contour(noise) > 0).mean() < 0.15
    assert not contour(np.zeros(RATE)).any()
    assert len(contour(np.zeros(0))) == 0


def test_a_tune_in_noise_is_followed():
    notes = tune(3, notes=12)
    samples = sing(notes, noise=0.05)
    found, truth = contour(samples), contour_of_notes(notes)
    n = min(len(found), len(truth))
    right = np.abs(found[:n] - truth[:n]) < 0.7
    assert right.mean() > 0.85


def test_pieces_give_the_same_as_the_whole():
    samples = sing(tune(4, notes=30))
    tracker = Tracker()
    for at in range(0, len(samples), 3001):
        tracker.push(samples[at : at + 3001])
    np.testing.assert_array_equal(tracker.finish().contour, contour(samples))


def slow_best_path(candidates: pitch.Candidates, costs: pitch.Costs) -> list[int]:
    """Viterbi, one transition at a time."""
    local = pitch._local_scores(candidates, costs)
    states = local.shape[1]

    def move(t: int, a: int, b: int) -> float:
        if a == states - 1 and b == states - 1:
            return 0.0
        if states - 1 in (a, b):
            return costs.change
        step = abs(candidates.pitches[t, b] - candidates.pitches[t - 1, a]) / 12
        return costs.jump * min(step, 1.5)

    best = [list(local[0])]
    back = []
    for t in range(1, len(local)):
        ways = [[best[-1][a] - move(t, a, b) for a in range(states)] for b in range(states)]
        back.append([int(np.argmax(w)) for w in ways])
        best.append([max(w) + local[t, b] for b, w in enumerate(ways)])
    path = [int(np.argmax(best[-1]))]
    for step in reversed(back):
        path.append(step[path[-1]])
    return path[::-1]


def test_the_fast_search_finds_the_path_of_its_slow_twin():
    rng = np.random.default_rng(0)
    n = 60
    candidates = pitch.Candidates(
        rng.uniform(50, 80, (n, pitch.CANDIDATES)).astype(np.float32),
        rng.uniform(0, 1, (n, pitch.CANDIDATES)).astype(np.float32),
        np.ones(n, np.float32),
    )
    costs = pitch.Costs()
    local = pitch._local_scores(candidates, costs)
    fast = pitch._viterbi(local, candidates.pitches, costs)
    assert fast.tolist() == slow_best_path(candidates, costs)


def test_the_leading_pitch_of_a_mixture_is_found():
    rng = np.random.default_rng(1)
    notes = tune(5, notes=20)
    notes[:, 2] += 7
    melody = sing(notes, noise=0)
    chord = sum(tone(m, seconds=len(melody) / RATE)[: len(melody)] for m in (48, 52, 55))
    mixture = melody + 0.4 * np.pad(chord, (0, len(melody) - len(chord)))
    mixture = (mixture + 0.01 * rng.standard_normal(len(mixture))).astype(np.float32)
    frames = len(mixture) // pitch.STEP
    found = pitch.best_path(predominant.mixture_candidates(mixture, frames), predominant.COSTS)
    times = np.arange(frames) * pitch.STEP / RATE
    truth = notes[np.clip(np.searchsorted(notes[:, 0], times, side="right") - 1, 0, None), 2]
    assert (np.abs(found.pitches - truth) < 0.7).mean() > 0.7
