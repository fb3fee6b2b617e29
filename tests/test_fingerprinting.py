"""Features of the fingerprint: shapes, scaling, and agreement with a slow twin."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.fingerprinting import (
    FrontEnd,
    hann,
    mel_filters,
    scale_segments,
    segment_features,
    slaney_hz,
    slaney_mel,
)

FRONT = FrontEnd()


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32) * np.float32(0.1)


def slow_features(samples: np.ndarray, front: FrontEnd, step: int) -> list[np.ndarray]:
    """Segment by segment, frame by frame, sample by sample, in float64."""
    filters = mel_filters(front).astype(np.float64)
    found = []
    start = 0
    while (start + front.frames) * front.hop <= len(samples):
        mel = np.zeros((front.bands, front.frames))
        for i in range(front.frames):
            frame = np.zeros(front.n_fft)
            for k in range(front.n_fft):
                at = (start + i) * front.hop - front.n_fft // 2 + k
                if 0 <= at < len(samples):
                    frame[k] = samples[at]
            mel[:, i] = np.abs(np.fft.rfft(frame * hann(front.n_fft))) @ filters
        decibels = 20.0 * np.log10(np.maximum(mel / mel.max(), 10.0 ** (-front.floor_db / 20)))
        found.append(1.0 + decibels / (front.floor_db / 2))
        start += step
    return found


def test_features_agree_with_the_slow_twin() -> None:
    samples = noise(12_300)
    fast = segment_features(samples, FRONT, step=16)
    slow = slow_features(samples, FRONT, 16)
    assert len(fast) == len(slow) == 2
    np.testing.assert_allclose(fast, slow, atol=2e-4)


def test_mel_scale_is_slaneys() -> None:
    assert slaney_mel(np.array([1000.0]))[0] == pytest.approx(15.0)
    assert slaney_mel(np.array([6400.0]))[0] == pytest.approx(42.0)
    frequencies = np.geomspace(20.0, 8000.0, 50)
    np.testing.assert_allclose(slaney_hz(slaney_mel(frequencies)), frequencies, rtol=1e-12)


def test_every_band_has_a_bin() -> None:
    assert (mel_filters(FRONT).sum(axis=0) > 0).all()


def test_pitch_moves_the_filters() -> None:
    plain, higher = mel_filters(FRONT), mel_filters(FRONT, pitch=1.05)
    assert plain[:, 100].argmax() == pytest.approx(1.05 * higher[:, 100].argmax(), abs=1.5)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(8000) / 8000).astype(np.float32)
    mean = segment_features(tone, FRONT, step=16)[0].mean(axis=1)
    edges = np.linspace(slaney_mel(np.array(160.0)), slaney_mel(np.array(4000.0)), 258)
    assert abs(int(mean.argmax()) - int(np.argmin(np.abs(edges[1:-1] - 15.0)))) <= 1


@pytest.mark.parametrize("gain", [1e-3, 1.0, 30.0])
def test_level_does_not_matter(gain: float) -> None:
    samples = noise(9000)
    a = segment_features(samples, FRONT, step=16)
    b = segment_features(samples * np.float32(gain), FRONT, step=16)
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_segment_does_not_depend_on_its_neighbours() -> None:
    quiet, loud = noise(24_000), noise(24_000)
    loud[16_000:] *= 100.0
    a = segment_features(quiet, FRONT, step=16)
    b = segment_features(loud, FRONT, step=16)
    np.testing.assert_allclose(a[0], b[0], atol=1e-6)


def test_silence_is_the_floor() -> None:
    assert (segment_features(np.zeros(8000, np.float32), FRONT, step=16) == -1.0).all()


def test_range_and_shape() -> None:
    features = segment_features(noise(8000), FRONT, step=16)
    assert features.shape == (1, 256, 32)
    assert features.dtype == np.float32
    assert features.max() == 1.0
    assert features.min() >= -1.0


@pytest.mark.parametrize(("samples", "segments"), [(0, 0), (7999, 0), (8000, 1), (12_000, 2)])
def test_only_whole_segments(samples: int, segments: int) -> None:
    assert len(segment_features(noise(samples), FRONT, step=16)) == segments


def test_each_segment_has_its_own_maximum() -> None:
    segments = np.stack([np.full((32, 256), 0.5), np.full((32, 256), 7.0)]).astype(np.float32)
    assert (scale_segments(segments, FRONT) == 1.0).all()


def test_training_has_the_same_front_end() -> None:
    torch = pytest.importorskip("torch")
    from earmark.training.fingerprint.augment import scale

    samples = noise(8000)
    filters = torch.from_numpy(mel_filters(FRONT).T.copy())
    framed = torch.from_numpy(np.pad(samples, (512, 262))).unfold(0, 1024, 250)
    spectrum = torch.fft.rfft(framed * torch.from_numpy(hann(1024))).abs().T
    theirs = scale((filters @ spectrum)[None], FRONT)[0].numpy()
    np.testing.assert_allclose(segment_features(samples, FRONT, step=16)[0], theirs, atol=2e-4)
