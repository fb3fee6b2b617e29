"""Choosing the directions of the spectral code on synthetic music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.spectral_code import BITS, band_levels, project
from earmark.training.degrade import NoiseBank, add_noise
from earmark.training.fingerprint.data import Piece
from earmark.training.spectral import SpectralTraining, fit, save


def music(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(n)
    for start in range(0, n, 2000):
        t = np.arange(min(6000, n - start)) / 8000
        for _ in range(3):
            f = 196.0 * 2.0 ** (rng.integers(0, 30) / 12)
            for h in range(1, 6):
                wave = np.sin(2 * np.pi * f * h * t) * np.exp(-3 * t) / h
                out[start : start + len(t)] += wave
    return (out * 0.05).astype(np.float32)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Piece]:
    folder = tmp_path_factory.mktemp("pcm")
    found = []
    for i in range(20):
        (music(120_000, i) * 32767).astype("<i2").tofile(folder / f"{i}.s16")
        found.append(Piece(folder / f"{i}.s16", f"album{i}", 120_000))
    return found


@pytest.fixture(scope="module")
def noise() -> NoiseBank:
    rng = np.random.default_rng(0)
    return NoiseBank(*(rng.standard_normal((2, 100_000)).astype(np.float32) * 0.1))


@pytest.fixture(scope="module")
def directions(pieces, noise):
    return fit(pieces, noise, config=SpectralTraining(pairs=300))


def test_bits_are_balanced_and_nearly_independent(directions, pieces) -> None:
    codes = np.concatenate(
        [project(band_levels(p.read(0, p.samples), directions.front), directions) for p in pieces]
    )
    signs = np.sign(codes)
    assert np.abs(signs.mean(axis=0)).max() < 0.35
    correlation = np.corrcoef(signs.T) - np.eye(BITS)
    assert np.abs(correlation).mean() < 0.12


def test_bits_survive_noise_that_was_not_in_training(directions) -> None:
    unseen = music(160_000, 99)
    over = np.random.default_rng(5).standard_normal(len(unseen)).astype(np.float32)
    clean, noisy = (
        project(band_levels(x, directions.front), directions) > 0
        for x in (unseen, add_noise(unseen, over, snr_db=3.0))
    )
    assert np.mean(clean == noisy) > 0.7


def test_the_level_does_not_matter(directions) -> None:
    np.testing.assert_allclose(directions.matrix.sum(axis=0), 0.0, atol=1e-3)


def test_the_same_seed_gives_the_same_directions(pieces, noise, directions) -> None:
    again = fit(pieces, noise, config=SpectralTraining(pairs=300))
    np.testing.assert_array_equal(again.matrix, directions.matrix)


def test_what_is_saved_is_read_back(directions, tmp_path: Path, monkeypatch) -> None:
    from earmark import spectral_code

    (tmp_path / "weights").mkdir()
    save(directions, tmp_path / "weights" / "spectral.npz")
    monkeypatch.setattr(spectral_code.resources, "files", lambda package: tmp_path)
    read = spectral_code.load_directions.__wrapped__()
    assert read.front == directions.front
    np.testing.assert_array_equal(read.matrix, directions.matrix)
