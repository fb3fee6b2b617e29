"""Ranges to a hundredth of a second: offset, speed, edges, noise, nothing in common."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.errors import SampleRateError
from earmark.identify.exact_range import exact_range
from earmark.types import Clip

RATE = 8000


def music(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * RATE))
    for start in range(0, len(out), 1700):
        t = np.arange(min(4000, len(out) - start)) / RATE
        for _ in range(2):
            f = 196.0 * 2.0 ** (rng.uniform(0, 30) / 12)
            for h in range(1, 6):
                wave = np.sin(2 * np.pi * f * h * t + rng.uniform(0, 6)) / h * np.exp(-4 * t)
                out[start : start + len(t)] += wave
    return (out * 0.05).astype(np.float32)


SONG = music(60.0, 0)


def noisy(samples: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal(len(samples))
    return (samples + samples.std() * 10 ** (-snr_db / 20) * noise).astype(np.float32)


@pytest.mark.parametrize("snr_db", [60.0, 5.0])
def test_offset_is_exact(snr_db: float) -> None:
    start = 123_457
    query = Clip(noisy(SONG[start : start + 80_000], snr_db), RATE)
    found = exact_range(query, Clip(SONG, RATE), offset=start / RATE + 0.11, speed=1.0)
    assert found is not None
    assert found.offset == pytest.approx(start / RATE, abs=0.005)
    assert found.speed == pytest.approx(1.0, abs=0.0005)
    assert found.query_start == pytest.approx(0.0, abs=0.03)
    assert found.query_end == pytest.approx(10.0, abs=0.03)


@pytest.mark.parametrize("speed", [0.97, 1.02])
def test_speed_is_exact(speed: float) -> None:
    soxr = pytest.importorskip("soxr")
    query = soxr.resample(SONG[80_000:200_000], 1000 * speed, 1000).astype(np.float32)
    found = exact_range(Clip(query, RATE), Clip(SONG, RATE), offset=10.05, speed=speed + 0.003)
    assert found is not None
    assert found.speed == pytest.approx(speed, abs=0.0005)
    assert found.offset == pytest.approx(10.0, abs=0.01)


def test_edges_are_exact_to_hundredths() -> None:
    other = music(20.0, 9)
    query = np.concatenate([other[:24_080], SONG[160_000:224_000], other[24_080:50_000]])
    found = exact_range(Clip(query, RATE), Clip(SONG, RATE), offset=20.0 - 3.01 + 0.05, speed=1.0)
    assert found is not None
    assert found.query_start == pytest.approx(3.01, abs=0.05)
    assert found.query_end == pytest.approx(11.01, abs=0.05)
    assert found.start == pytest.approx(20.0, abs=0.05)


def test_a_part_of_the_track_will_do() -> None:
    part = Clip(SONG[100_000:300_000], RATE, start=12.5)
    query = Clip(SONG[160_000:224_000], RATE)
    found = exact_range(query, part, offset=20.1, speed=1.0)
    assert found is not None
    assert found.offset == pytest.approx(20.0, abs=0.002)


def test_what_agrees_nowhere_has_no_range() -> None:
    found = exact_range(Clip(music(8.0, 5), RATE), Clip(SONG, RATE), offset=20.0, speed=1.0)
    assert found is None or found.end - found.start < 1.0
    silence = Clip(np.zeros(40_000, np.float32), RATE)
    assert exact_range(silence, Clip(SONG, RATE), offset=20.0, speed=1.0) is None


def test_rates_must_agree() -> None:
    with pytest.raises(SampleRateError):
        exact_range(Clip(SONG, RATE), Clip(SONG, 16_000), offset=0.0, speed=1.0)


def test_sizes_of_transforms_are_quick_and_never_too_small() -> None:
    from earmark.identify.exact_range import _fast_size

    assert [_fast_size(n) for n in (1, 2, 7, 16385, 20800)] == [1, 2, 8, 17280, 21600]
    for least in range(1, 3000, 37):
        size = _fast_size(least)
        assert least <= size < 2 * least
        for factor in (2, 3, 5):
            while size % factor == 0:
                size //= factor
        assert size == 1
