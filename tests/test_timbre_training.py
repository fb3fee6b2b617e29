"""Making the timbre projection: the split, the MIDI it renders, degradations, discriminants."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from earmark.features.timbre import SAMPLE_RATE
from earmark.training.timbre import learn, render, split, synth, varied
from earmark.training.timbre.corpus import Table
from earmark.training.timbre.degrade import MEASURED, degrade


def test_the_split_is_as_it_was_drawn_and_keeps_apart_what_is_measured() -> None:
    s = split.load()
    assert s == split.draw(s.seed)
    assert not set(s.learn_programs) & set(s.measure_programs)
    assert not set(s.learn_keys) & set(s.measure_keys)
    assert set(s.tune_programs) < set(s.learn_programs)
    assert "timgm" not in (*s.learn_fonts, *s.learn_drum_fonts)
    assert not set(s.learn_drum_fonts) & set(s.measure_drum_fonts)
    # Free for any use: MIT, CC0, public domain.
    assert {*s.learn_fonts, *s.learn_drum_fonts} == {"fluid", "musescore", "csound"}
    assert len(s.measure_programs) == 45


def test_midi_lengths_are_variable_length_quantities() -> None:
    values = {0: b"\x00", 127: b"\x7f", 128: b"\x81\x00", 2_097_151: b"\xff\xff\x7f"}
    for value, expected in values.items():
        assert render._variable_length(value) == expected


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("fluidsynth") or not Path(split.FONTS["timgm"]).exists(),
    reason="needs fluidsynth and timgm6mb-soundfont",
)
def test_rendered_notes_have_the_pitch_that_was_asked_for(tmp_path: Path) -> None:
    notes = [render.Note(key, 100, 0.6) for key in (60, 69)]
    (got,) = render.render(
        Path(split.FONTS["timgm"]),
        [render.Preset("timgm", 0, 73)],
        notes,
        slot=1.0,
        sample_rate=SAMPLE_RATE,
        cache=tmp_path,
    )
    assert got.samples.shape == (2, SAMPLE_RATE)
    for note, samples in zip(notes, got.samples, strict=True):
        peak = np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples)
        ratio = 12 * np.log2(peak / (440 * 2 ** ((note.key - 69) / 12)))
        assert min(abs(ratio - octave) for octave in (0, 12)) < 0.5


def test_degradations_are_repeatable_differ_and_stay_in_range() -> None:
    sounds = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    one, two, other = (
        degrade(sounds, SAMPLE_RATE, np.random.default_rng(s), MEASURED) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.01
    assert np.abs(one).max() <= 0.9 + 1e-6
    assert one.dtype == np.float32


@pytest.mark.parametrize("maker", [synth.instrument, synth.hit, synth.texture])
def test_drawn_sounds_are_repeatable_and_sound(maker: synth.Maker) -> None:
    def play() -> np.ndarray:
        voice = maker(np.random.default_rng(3), SAMPLE_RATE, 0.5)
        return voice(60, 0.7, np.random.default_rng(4))

    np.testing.assert_array_equal(play(), play())
    assert 0.1 < np.abs(play()).max() <= 2
    assert np.isfinite(play()).all()


def test_discriminants_find_the_direction_that_tells_classes_apart() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([f"c{i}" for i in range(80)], 12)
    x = rng.standard_normal((len(label), 100)).astype(np.float32)
    place = np.repeat(rng.standard_normal(80), 12)
    x[:, 7] = 0.05 * x[:, 7] + place
    table = Table(x, label, label, np.full(len(label), -1), label)
    mean, scale = learn.standard(table)
    found = learn.discriminants(learn.standardised(x, mean, scale), table, learn.Recipe())
    assert found.shape == (100, 64)
    assert np.abs(found[:, 0]).argmax() == 7


def test_the_second_stage_brings_back_what_the_first_has_lost() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([f"c{i}" for i in range(90)], 10)
    place = rng.standard_normal((90, 80))
    z = (place[np.repeat(np.arange(90), 10)] + rng.standard_normal((900, 80))).astype(np.float32)
    first = np.zeros((900, 64), np.float32)
    first[:, 0], first[:, 1] = np.sign(z[:, 0]), 1
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    table = Table(z, label, label, np.full(900, -1), label)
    share = np.where(np.arange(900) % 2, 1.0, 0.2).astype(np.float32)
    again = learn.combine(z, first, table, share, learn.Recipe())
    final = learn.vectors_again(z, first, again)

    def found(vectors: np.ndarray) -> float:
        near = vectors @ vectors.T - 2 * np.eye(900)
        return float((label[near.argmax(axis=1)] == label).mean())

    assert found(final) > 0.9
    assert found(first) < 0.2
    np.testing.assert_allclose(np.linalg.norm(final, axis=1), 1, atol=1e-5)


def test_mouths_are_repeatable_named_for_what_they_imitate_and_differ() -> None:
    one, two = (list(varied.mouths(seed=3, count=2)) for _ in range(2))
    assert [s.coarse for s in one[:4]] == [
        *("drum/kick", "drum/snare", "drum/hihat closed", "drum/hihat open")
    ]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert 0.4 < np.abs(a.samples).max() <= 0.5 + 1e-6
    assert np.abs(one[0].samples - one[4].samples).max() > 0.05


def test_mixtures_and_varied_drums_keep_length_and_range() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(6000).astype(np.float32) for _ in range(2))
    mixed = varied._mixed(a, b, 0.4, 100, 0.2)
    assert mixed.shape == (6000,)
    assert np.abs(mixed).max() == pytest.approx(0.5, abs=1e-3)
    other = varied._otherwise(a, rng)
    assert other.shape == (6000,)
    assert np.isfinite(other).all()
    assert np.abs(other).max() == pytest.approx(0.5, abs=1e-3)
