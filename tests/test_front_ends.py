"""Log-mel front-ends against slow twins, and against transformers' own for CLAP."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.encoders import clap, panns, vggish
from earmark.features.reference_mel import MelFront, filters, log_mel, window
from earmark.framing import repeat_filled, repeat_padded
from earmark.types import Float32Array, Float64Array


def sound(seconds: float, rate: int, seed: int = 0) -> Float32Array:
    """Noise that swells, with a gliding tone."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    swell = np.linspace(0, 0.5, len(t)) ** 2
    return (swell * rng.uniform(-1, 1, len(t)) + 0.3 * np.sin(900 * t * (1 + t))).astype(np.float32)


def slaney_mel(hz: float) -> float:
    """Slaney's mel of a frequency, in the words of his toolbox."""
    return hz / (200 / 3) if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27)


def slaney_hz(mel: float) -> float:
    """Inverse of `slaney_mel`."""
    return mel * 200 / 3 if mel < 15 else 1000 * np.exp(np.log(6.4) / 27 * (mel - 15))


def slow_db(samples: Float32Array, rate: int, hop: int) -> Float64Array:
    """CLAP's and Cnn14's front-end one frame and one band at a time."""
    low, high = slaney_mel(50), slaney_mel(14_000)
    edges = [slaney_hz(low + (high - low) * i / 65) for i in range(66)]
    x = np.concatenate([samples[1:513][::-1], samples, samples[-513:-1][::-1]]).astype(np.float64)
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / 1024) for i in range(1024)])
    found = []
    for start in range(0, len(x) - 1023, hop):
        power = np.abs(np.fft.rfft(x[start : start + 1024] * hann)) ** 2
        row = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            hz = np.arange(513) * rate / 1024
            triangle = np.maximum(
                0, np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre))
            )
            row.append(power @ triangle * 2 / (right - left))
        found.append(10 * np.log10(np.maximum(row, 1e-10)))
    return np.array(found)


@pytest.mark.parametrize("module", [clap, panns])
def test_db_front_ends_agree_with_the_slow_twin(module) -> None:
    rate, hop = module.FRONT.sample_rate, module.FRONT.hop
    samples = sound(0.2, rate)
    found = module.features(samples[None])[0, 0]
    expected = slow_db(samples, rate, hop)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-3


def test_clap_front_end_agrees_with_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="rand_trunc", padding="repeatpad"
    )
    for seconds in (10.0, 3.3, 0.02):
        samples = sound(seconds, 48_000)
        given = extractor(samples, sampling_rate=48_000, return_tensors="np")["input_features"]
        found = clap.features(repeat_padded(samples[None], 480_000))
        assert found.shape == given.shape == (1, 1, 1001, 64)
        away = np.abs(found - given)
        assert away[given > given.max() - 40].max() < 1e-4
        assert away.max() < 0.02  # near the floor, where float32 leaves fewer digits


def slow_vggish(samples: Float32Array) -> Float64Array:
    """VGGish's front-end one frame and one band at a time."""
    mels = [1127 * np.log(1 + hz / 700) for hz in (125, 7500)]
    edges = np.linspace(*mels, 66)
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / 400) for i in range(400)])
    bins = [1127 * np.log(1 + i * 31.25 / 700) for i in range(257)]
    found = []
    for start in range(0, len(samples) - 399, 160):
        magnitude = np.abs(np.fft.rfft(samples[start : start + 400] * hann, 512))
        row = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            weights = [
                max(0.0, min((m - left) / (centre - left), (right - m) / (right - centre)))
                for m in bins
            ]
            weights[0] = 0
            row.append(np.dot(magnitude, weights))
        found.append(np.log(np.array(row) + 0.01))
    return np.array(found)


def test_vggish_front_end_agrees_with_the_slow_twin() -> None:
    samples = sound(2.0, 16_000)
    found = vggish.features(samples[None])
    expected = slow_vggish(samples)
    assert found.shape == (2, 1, 96, 64)
    assert np.abs(found[:, 0].reshape(-1, 64) - expected[:192]).max() < 1e-4


def test_four_seconds_are_four_examples() -> None:
    assert vggish.features(np.zeros((3, 64_000), np.float32)).shape == (12, 1, 96, 64)


def test_windows_do_not_see_each_other() -> None:
    pair = np.stack([sound(1, 48_000, seed) for seed in (1, 2)])
    together = clap.features(pair)
    assert np.array_equal(together[:1], clap.features(pair[:1]))
    assert np.array_equal(together[1:], clap.features(pair[1:]))


def test_frames_are_counted_as_they_come() -> None:
    fronts: list[MelFront] = [clap.FRONT, panns.FRONT, vggish.FRONT]
    for front in fronts:
        for n in (2000, 4321, front.sample_rate):
            assert log_mel(np.zeros((1, n), np.float32), front).shape[1] == front.frames(n)


def test_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        filters(clap.FRONT)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        window(clap.FRONT)[0] = 1


def test_short_clips_are_repeated_whole() -> None:
    clip = np.arange(1, 4, dtype=np.float32)[None]
    assert repeat_padded(clip, 8).tolist() == [[1, 2, 3, 1, 2, 3, 0, 0]]
    assert repeat_padded(clip, 3).tolist() == clip.tolist()
    assert repeat_padded(clip, 2).tolist() == [[1, 2]]


def test_short_clips_can_be_repeated_without_a_gap() -> None:
    clip = np.arange(1, 4, dtype=np.float32)[None]
    assert repeat_filled(clip, 8).tolist() == [[1, 2, 3, 1, 2, 3, 1, 2]]
    assert repeat_filled(clip, 3).tolist() == clip.tolist()
    assert repeat_filled(clip, 2).tolist() == [[1, 2]]
