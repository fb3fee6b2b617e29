"""The spectral code: agreement with a slow twin, robustness, comparison with stored bits."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.spectral_code import (
    BITS,
    SpectralFront,
    band_filters,
    band_levels,
    load_directions,
    pack,
    project,
    similarity,
    soft,
    unpack,
)


def melody(seconds: float, seed: int = 0) -> np.ndarray:
    """Tones that change every fifth of a second, with harmonics: music enough for a code."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 8000)
    out = np.zeros(n)
    for start in range(0, n, 1600):
        t = np.arange(min(1600, n - start)) / 8000
        for _ in range(3):
            f = 220.0 * 2.0 ** (rng.integers(0, 24) / 12)
            for h in range(1, 5):
                out[start : start + len(t)] += np.sin(2 * np.pi * f * h * t) / h * np.exp(-4 * t)
    return (out * 0.05).astype(np.float32)


def codes(samples: np.ndarray) -> np.ndarray:
    directions = load_directions()
    return project(band_levels(samples, directions.front), directions)


def slow_projection(samples: np.ndarray, code: int) -> np.ndarray:
    """One code in float64, written as its definition says."""
    directions = load_directions()
    front = directions.front
    filters = band_filters(front).astype(np.float64)
    patch = []
    for i in range(code, code + front.patch):
        frame = samples[i * front.hop : i * front.hop + front.n_fft].astype(np.float64)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front.n_fft) / front.n_fft)
        power = np.abs(np.fft.rfft(frame * window)) ** 2
        patch.append(np.log10(np.maximum(power @ filters, 1e-9)))
    return np.concatenate(patch) @ directions.matrix.astype(np.float64) - directions.threshold


def test_agrees_with_the_slow_twin() -> None:
    samples = melody(3.0)
    fast = codes(samples)
    for i in (0, 3, len(fast) - 1):
        np.testing.assert_allclose(fast[i], slow_projection(samples, i), atol=5e-3)


def test_one_code_needs_its_reach() -> None:
    reach = SpectralFront().reach
    assert len(codes(melody(2.0)[:reach])) == 1
    assert len(codes(melody(2.0)[: reach - 1])) == 0
    assert len(codes(np.zeros(0, np.float32))) == 0


def test_batches_of_segments_are_projected_alike() -> None:
    directions = load_directions()
    levels = band_levels(melody(4.0), directions.front)
    batch = project(np.stack([levels[:11], levels[5:16]]), directions)
    np.testing.assert_allclose(batch[1], project(levels[5:16], directions), atol=1e-5)


def test_bits_pack_and_unpack() -> None:
    projections = np.random.default_rng(0).standard_normal((7, BITS)).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(projections)), np.sign(projections))


def test_soft_rows_have_mean_size_one_and_keep_signs() -> None:
    projections = np.random.default_rng(0).standard_normal((9, BITS)).astype(np.float32)
    query = soft(projections)
    np.testing.assert_allclose(np.abs(query).mean(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(np.sign(query), np.sign(projections))
    assert np.diag(similarity(query, pack(projections))) == pytest.approx(1.0)


def test_level_hardly_matters() -> None:
    samples = melody(5.0)
    agree = np.mean((codes(samples) > 0) == (codes(samples * np.float32(0.1)) > 0))
    assert agree > 0.93


def test_noise_leaves_most_bits_and_other_music_half() -> None:
    samples, other = melody(20.0), melody(20.0, seed=5)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(len(samples)).astype(np.float32) * samples.std()
    clean = codes(samples) > 0
    assert np.mean(clean == (codes(samples + noise * np.float32(0.56)) > 0)) > 0.75
    assert abs(np.mean(clean == (codes(other) > 0)) - 0.5) < 0.06


def test_the_shipped_directions_fit_the_front_end() -> None:
    directions = load_directions()
    assert directions.front == SpectralFront()
    assert directions.matrix.shape == (directions.front.patch * directions.front.bands, BITS)
    assert directions.threshold.shape == (BITS,)
