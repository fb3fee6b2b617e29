"""The descriptors of `earmark.features.timbre` against slow twins, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.features.timbre import (
    GROUPS,
    SAMPLE_RATE,
    cepstra,
    describe,
    envelope,
    groups,
    harmonic,
)
from earmark.features.timbre.spectra import FLOOR_DB, LONG_HOP, SHORT_HOP, analyse, mel_filters
from earmark.types import Float32Array


def note(hz: float, *, seconds: float = 1.0, tilt: float = 1.0, fall: float = 3.0) -> Float32Array:
    """A decaying note of 30 partials with a fixed formant."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    out = np.zeros(len(t))
    for h in range(1, 31):
        if h * hz < 10_000:
            gain = h**-tilt * (1 + 4 * np.exp(-((np.log2(h * hz / 1200) / 0.4) ** 2)))
            out += gain * np.sin(2 * np.pi * h * hz * t + h)
    out *= np.exp(-fall * t) * np.minimum(t / 0.005, 1)
    return (out / np.abs(out).max() * 0.5).astype(np.float32)


def one(samples: Float32Array) -> dict[str, Float32Array]:
    return groups(samples[None], np.array([len(samples)]))[0]


def slow_power(samples: Float32Array, length: int, hop: int) -> np.ndarray:
    window = np.sin(np.pi / 2 * np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2)
    rows = []
    for start in range(0, len(samples), hop):
        piece = np.zeros(length)
        part = samples[start : start + length]
        piece[: len(part)] = part
        rows.append(np.abs(np.fft.rfft(piece * window)) ** 2)
    return np.array(rows)


def test_the_shared_spectra_equal_their_slow_twin() -> None:
    x = note(330.0)
    s = analyse(x[None], np.array([len(x)]))
    power = slow_power(x, 1024, SHORT_HOP)
    np.testing.assert_allclose(s.power[0], power, rtol=1e-3, atol=1e-4)
    mel = power @ mel_filters()
    db = np.maximum(10 * np.log10(np.maximum(mel / mel.max(), 1e-30)), FLOOR_DB)
    np.testing.assert_allclose(s.mel_db[0], db, atol=0.05)
    assert s.log_db.shape[1] == len(range(0, len(x), LONG_HOP))


def test_mfcc_statistics_equal_their_slow_twin() -> None:
    x = note(440.0)
    s = analyse(x[None], np.array([len(x)]))
    k, n = np.arange(24), np.arange(64)
    basis = np.cos(np.pi * k[None] * (2 * n[:, None] + 1) / 128) * np.sqrt(2 / 64)
    basis[:, 0] /= np.sqrt(2)
    coefficients = s.mel_db[0].astype(np.float64) @ basis
    weight = s.weight[0].astype(np.float64)
    mean = sum(w * c for w, c in zip(weight, coefficients, strict=True))
    variance = sum(w * (c - mean) ** 2 for w, c in zip(weight, coefficients, strict=True))
    found = cepstra.mfcc_stats(s)[0]
    np.testing.assert_allclose(found[:23], mean[1:], atol=0.02)
    np.testing.assert_allclose(found[23:47], np.sqrt(variance), atol=0.02)


def test_contrast_equals_its_slow_twin() -> None:
    x = note(220.0)
    s = analyse(x[None], np.array([len(x)]))
    power = s.power[0].astype(np.float64)
    db = np.maximum(10 * np.log10(np.maximum(power / power.max(), 1e-30)), FLOOR_DB)
    low, high = round(800 * 1024 / SAMPLE_RATE), round(1600 * 1024 / SAMPLE_RATE)
    band = np.sort(db[:, low : high + 1], axis=1)
    count = max(1, band.shape[1] // 5)
    expected = (s.weight[0] * (band[:, -count:].mean(1) - band[:, :count].mean(1))).sum()
    assert cepstra.contrast_stats(s)[0, 6] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("samples", [300, 5_000, 30_000, 60_000])
def test_descriptors_do_not_depend_on_padding_or_batch(samples: int) -> None:
    rng = np.random.default_rng(samples)
    x = rng.standard_normal(samples).astype(np.float32)
    x *= np.exp(-np.arange(samples) / 9000).astype(np.float32)
    alone = describe(x[None], np.array([samples]))
    company = np.zeros((3, samples + 50_000), np.float32)
    company[1, :samples] = x
    company[2] = rng.standard_normal(company.shape[1])
    lengths = np.array([100, samples, company.shape[1]])
    np.testing.assert_allclose(describe(company, lengths)[1], alone[0], atol=2e-3)


def test_descriptors_do_not_depend_on_level() -> None:
    x = note(330.0)
    loud, soft = (describe((g * x)[None], np.array([len(x)])) for g in (1.0, 0.01))
    np.testing.assert_allclose(loud, soft, atol=0.02)


def test_constant_q_harmonic_coefficients_leave_the_pitch_out() -> None:
    """Partials moved together along the log axis change them little, and other levels much."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE

    def tone(hz: float, tilt: float) -> Float32Array:
        waves = [h**-tilt * np.sin(2 * np.pi * h * hz * t + h) for h in range(1, 11)]
        return (0.1 * sum(waves)).astype(np.float32)

    base, moved, other = (one(tone(*a)) for a in ((330.0, 1.0), (466.2, 1.0), (330.0, 0.0)))

    def far(name: str, a: dict[str, Float32Array]) -> float:
        return float(np.linalg.norm(base[name] - a[name]))

    assert far("cqhc", moved) / far("cqhc", other) < 0.7 * far("mean", moved) / far("mean", other)


@pytest.mark.parametrize("hz", [82.4, 196.0, 440.0, 1046.5])
def test_the_pitch_of_harmonic_notes_is_found(hz: float) -> None:
    x = note(hz)
    pitch = harmonic.find_pitch(analyse(x[None], np.array([len(x)])))
    assert abs(12 * np.log2(float(pitch.hz[0]) / hz)) < 0.6


def test_bounds_cut_silence_off_and_keep_the_sound() -> None:
    x = np.concatenate([np.zeros(8000), note(440.0, seconds=0.5), np.zeros(9000)])
    begin, end = envelope.bounds(x.astype(np.float32))
    assert 8000 <= begin <= 8100
    assert 8000 + 0.2 * SAMPLE_RATE < end <= 8000 + 0.5 * SAMPLE_RATE + 256


def test_attack_and_length_are_told_apart() -> None:
    slow = note(440.0, fall=1.0) * np.minimum(np.arange(SAMPLE_RATE) / 8000, 1).astype(np.float32)
    quick = note(440.0, fall=1.0)
    at = envelope.N_COURSE
    attack = [float(one(x)["envelope"][0, at]) for x in (quick, slow)]
    assert attack[0] + 2 < attack[1]
    short = one(note(440.0, fall=30.0))["envelope"][0, at + 6]
    assert short < one(quick)["envelope"][0, at + 6]


@pytest.mark.parametrize(
    "name", ["silence", "constant", "click", "tone", "noise", "clipped", "one"]
)
def test_odd_sounds_give_finite_descriptors(name: str) -> None:
    n = 22_050
    t = np.arange(n, dtype=np.float32)
    sounds = {
        "silence": np.zeros(n),
        "constant": np.full(n, 0.25),
        "click": np.concatenate([np.zeros(n // 2), np.ones(3), np.zeros(n // 2)]),
        "tone": np.sin(0.1 * t),
        "noise": np.random.default_rng(0).standard_normal(n),
        "clipped": np.sign(np.sin(0.1 * t)),
        "one": np.ones(1),
    }
    x = sounds[name].astype(np.float32)
    found = one(x)
    assert tuple(found) == GROUPS
    for values in found.values():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
