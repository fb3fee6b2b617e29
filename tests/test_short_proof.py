"""Two strokes on one drum are two recordings; a lossy copy of one is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import audio_factory
import earmark
from earmark.identify.overlap import Overlap
from earmark.library import short_proof

RATE = 22050


def stroke(seed: int) -> np.ndarray:
    """A drum: the same tone and decay each time, with other noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(3.5 * RATE)) / RATE
    body = np.sin(2 * np.pi * 180 * time) * np.exp(-1.5 * time)
    rattle = rng.normal(size=len(time)) * np.exp(-2 * time)
    return (0.5 * body + 0.3 * rattle).astype(np.float32)


def test_correlation_of_a_sound_with_itself_late_and_quiet_is_one() -> None:
    sound = stroke(1)
    late = np.concatenate([np.zeros(700, np.float32), 0.1 * sound])
    alike, lag = short_proof.correlation(late, sound)
    assert alike == pytest.approx(1.0, abs=1e-3)
    assert lag == 700
    assert short_proof.correlation(sound, late)[1] == -700


def test_correlation_of_silence_is_none() -> None:
    assert short_proof.correlation(stroke(1), np.zeros(100, np.float32)) == (0.0, 0)


def test_correlation_of_two_strokes_is_low_although_their_tone_is_one() -> None:
    assert short_proof.correlation(stroke(1), stroke(2))[0] < 0.5


@pytest.fixture
def drums(tmp_path: Path) -> earmark.Library:
    for seed in range(4):
        audio_factory.write_wav(tmp_path / f"stroke_{seed}.wav", stroke(seed), RATE)
    audio_factory.encode(tmp_path / "copy.mp3", stroke(2), RATE, codec="libmp3lame")
    audio_factory.write_wav(tmp_path / "quiet.wav", 0.5 * stroke(2), RATE)
    library = earmark.open(tmp_path / "library")
    library.add([tmp_path / f"stroke_{n}.wav" for n in range(4)], encoders=["fingerprint"])
    library.add([tmp_path / "copy.mp3", tmp_path / "quiet.wav"])
    return library


def shared(a: earmark.Track, b: earmark.Track) -> Overlap:
    return Overlap(0.0, 1.0, 0.0, a.duration, 0.0, b.duration, 3, 0.9, 3.0, 0.0)


def test_strokes_are_not_copies_but_an_mp3_is(drums: earmark.Library, tmp_path: Path) -> None:
    first, second = drums.track(tmp_path / "stroke_1.wav"), drums.track(tmp_path / "stroke_2.wav")
    copy = drums.track(tmp_path / "copy.mp3")
    proof = short_proof.prove(second, copy, shared(second, copy))
    assert proof is not None
    assert abs(proof[0].offset) < 0.1
    assert proof[1] > 0.9
    assert short_proof.prove(first, copy, shared(first, copy)) is None
    groups = drums.duplicates()
    found = {Path(str(t.path)).name for group in groups for t in group.tracks}
    assert {"stroke_2.wav", "quiet.wav"} <= found <= {"stroke_2.wav", "quiet.wav", "copy.mp3"}


def test_what_is_gone_proves_nothing_and_long_stretches_need_no_proof(
    drums: earmark.Library, tmp_path: Path
) -> None:
    second, copy = drums.track(tmp_path / "stroke_2.wav"), drums.track(tmp_path / "copy.mp3")
    (tmp_path / "copy.mp3").unlink()
    overlap = shared(second, copy)
    assert short_proof.prove(second, copy, overlap) is None
    long = dataclasses.replace(overlap, a_end=60.0)
    assert short_proof.prove(second, copy, long) == (long, long.confidence)
