"""The encoders of `identify` keep the contract, and their rows follow the sound."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from earmark import framing
from earmark.encoders.spectral import Spectral
from earmark.errors import EncoderError, UsageError
from earmark.spectral_code import band_levels, load_directions, pack, project
from earmark.testing import check_encoder
from earmark.types import Clip, QueryEncoder, StreamEncoder

RATE = 8000


def music(seconds: float, seed: int = 0) -> np.ndarray:
    """Chords of decaying harmonics: enough like music to tell moments apart."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * RATE))
    for start in range(0, len(out), 2000):
        t = np.arange(min(6000, len(out) - start)) / RATE
        for _ in range(2):
            f = 196.0 * 2.0 ** (rng.integers(0, 30) / 12)
            for h in range(1, 6):
                wave = np.sin(2 * np.pi * f * h * t) / h * np.exp(-3 * t)
                out[start : start + len(t)] += wave
    return (out * 0.05).astype(np.float32)


def noisy(samples: np.ndarray, snr_db: float, seed: int = 9) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    level = samples.std() * 10 ** (-snr_db / 20)
    return (samples + level * noise).astype(np.float32)


@pytest.fixture(scope="module")
def fingerprint() -> object:
    pytest.importorskip("onnxruntime")
    from earmark.encoders.fingerprint import Fingerprint

    return Fingerprint()


def test_fingerprint_keeps_the_contract(fingerprint) -> None:
    check_encoder(fingerprint, tolerance=2e-3)
    assert isinstance(fingerprint, StreamEncoder)
    assert isinstance(fingerprint, QueryEncoder)


def test_a_query_made_gradually_has_the_same_rows(fingerprint) -> None:
    clip = Clip(music(4.3), RATE, start=2.0)
    whole = fingerprint.encode_query(clip)
    prepared = fingerprint.prepare_query(clip)
    some = prepared.encode(every=2)
    np.testing.assert_allclose(some.rows, whole.rows[::2], atol=1e-5)
    np.testing.assert_array_equal(some.segments, whole.segments[::2])
    every = prepared.encode()
    np.testing.assert_allclose(every.rows, whole.rows, atol=1e-5)
    np.testing.assert_array_equal(every.segments, whole.segments)
    nothing = fingerprint.prepare_query(Clip(np.zeros(RATE, np.float32), RATE)).encode()
    assert nothing.rows.shape == (0, 64)


def test_no_segment_of_a_gradual_query_is_encoded_twice(fingerprint, monkeypatch) -> None:
    prepared = fingerprint.prepare_query(Clip(music(3.0), RATE))
    made = []
    embed = type(fingerprint._network).embed
    monkeypatch.setattr(
        type(fingerprint._network), "embed", lambda s, f, n: made.append(len(f)) or embed(s, f, n)
    )
    total = len(prepared.encode(every=2).rows) * 2
    assert sum(made) == (total + 1) // 2
    assert sum(made) < len(prepared.encode().rows) == sum(made)


def test_spectral_keeps_the_contract() -> None:
    check_encoder(Spectral())


def test_fingerprint_rows_are_unit_vectors_that_survive_noise(fingerprint) -> None:
    clean = music(20.0)
    a = framing.encode_clip(fingerprint, Clip(clean, RATE)).rows
    b = framing.encode_clip(fingerprint, Clip(noisy(clean, 5.0), RATE)).rows
    other = framing.encode_clip(fingerprint, Clip(music(20.0, seed=3), RATE)).rows
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1.0, atol=1e-3)
    same, chance = (a * b).sum(axis=1), (a * other).sum(axis=1)
    assert np.median(same) > 0.5
    assert np.median(chance) < 0.35


def test_a_query_is_encoded_four_times_as_densely(fingerprint) -> None:
    clip = Clip(music(10.0), RATE, start=3.0)
    track = framing.encode_clip(fingerprint, clip)
    query = framing.encode_query(fingerprint, clip)
    assert query.segments[0, 0] == track.segments[0, 0] == 3.0
    np.testing.assert_allclose(query.rows[::4][:10], track.rows[:10], atol=1e-3)
    np.testing.assert_allclose(np.diff(query.segments[:, 0]), 0.125)


def test_spectral_rows_are_four_consecutive_codes() -> None:
    samples = music(6.0)
    encoded = framing.encode_clip(Spectral(), Clip(samples, RATE))
    directions = load_directions()
    codes = pack(project(band_levels(samples, directions.front), directions))
    np.testing.assert_array_equal(encoded.rows[3].reshape(4, 4), codes[12:16])
    np.testing.assert_allclose(np.diff(encoded.segments[:-1, 0]), 0.5)


def test_spectral_rows_survive_noise() -> None:
    clean = music(20.0)
    a = framing.encode_clip(Spectral(), Clip(clean, RATE)).rows
    b = framing.encode_clip(Spectral(), Clip(noisy(clean, 5.0), RATE)).rows
    other = framing.encode_clip(Spectral(), Clip(music(20.0, seed=3), RATE)).rows
    assert np.bitwise_count(a ^ b).sum(axis=1).mean() < 36
    assert np.bitwise_count(a ^ other).sum(axis=1).mean() > 52


def test_windows_of_another_length_are_refused(fingerprint) -> None:
    for encoder in (fingerprint, Spectral()):
        with pytest.raises(EncoderError, match="shape"):
            encoder.encode(np.zeros((2, 77), np.float32))


def test_options_are_refused() -> None:
    pytest.importorskip("onnxruntime")
    from earmark.encoders import fingerprint, spectral

    for module, allowed in ((fingerprint, "option 'model' alone"), (spectral, "no options")):
        with pytest.raises(UsageError, match=f"{allowed}, got size"):
            module.create({"size": 3}, None)
        assert module.create({}, None).spec.matcher == "sequence"


def test_encoders_travel_to_workers(fingerprint) -> None:
    for encoder in (fingerprint, Spectral()):
        assert pickle.loads(pickle.dumps(encoder)).spec == encoder.spec  # noqa: S301
