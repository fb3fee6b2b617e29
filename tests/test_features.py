"""Features agree with their definitions, with librosa, and are defined for every sound."""

from __future__ import annotations

import numpy as np
import pytest

import twins
from earmark import features
from earmark.errors import SampleRateError, UsageError
from earmark.features import bands, named, spectral
from earmark.types import Float32Array

RATE = features.SAMPLE_RATE


def noise(n: int, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n).astype(np.float32)


def tone(n: int, hz: float) -> Float32Array:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


def mixed(n: int = 4000) -> Float32Array:
    """Noise that fades into a tone."""
    fade = np.linspace(1, 0, n, dtype=np.float32)
    return noise(n) * fade + tone(n, 700) * (1 - fade)


ODD = {
    "silence": np.zeros(3000, np.float32),
    "constant": np.full(3000, 0.3, np.float32),
    "click": np.eye(1, 3000, 1500, dtype=np.float32)[0],
    "click at the edge": np.eye(1, 3000, dtype=np.float32)[0],
    "one sample": np.ones(1, np.float32),
    "tone": tone(3000, 1000),
    "faint noise": noise(3000) * np.float32(1e-7),
    "very faint noise": noise(3000) * np.float32(1e-18),
    "loud noise": noise(3000) * np.float32(1e4),
    "clipped": np.sign(tone(3000, 100)),
}


# --- the transform -----------------------------------------------------------------------------


def test_window_agrees_with_twin_and_is_power_complementary() -> None:
    window = features.vorbis_window(1024).astype(np.float64)
    np.testing.assert_allclose(window, twins.vorbis_window(1024), atol=1e-7)
    np.testing.assert_allclose(window[:512] ** 2 + window[512:] ** 2, 1, atol=1e-6)


def test_cached_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        features.vorbis_window(1024)[0] = 1


def test_magnitude_agrees_with_twin() -> None:
    samples = mixed()
    fast = features.stft_magnitude(samples)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, twins.stft(samples), atol=2e-6)


@pytest.mark.parametrize(
    ("n", "frames"), [(0, 0), (1, 1), (1023, 1), (1024, 1), (1025, 2), (1536, 2), (1537, 3)]
)
def test_frames_cover_the_sound(n: int, frames: int) -> None:
    cut = features.frames_of(np.ones(n, np.float32))
    assert cut.shape == (frames, 1024)
    assert cut.size == 0 or (frames - 1) * 512 + np.count_nonzero(cut[-1]) == n


def test_frames_of_whole_sounds_are_views() -> None:
    samples = noise(1024 + 512 * 5)
    assert np.shares_memory(features.frames_of(samples), samples)


def test_transform_is_orthonormal() -> None:
    """Power-complementary half-lapped frames keep the energy of what lies under two of them."""
    samples = np.concatenate([np.zeros(1024), noise(4096), np.zeros(1024)]).astype(np.float32)
    power = features.stft_magnitude(samples).astype(np.float64) ** 2
    energy = (2 * power.sum(axis=1) - power[:, 0] - power[:, -1]).sum()
    assert energy == pytest.approx((samples.astype(np.float64) ** 2).sum(), rel=1e-5)


# --- bands -------------------------------------------------------------------------------------


def test_bark_bands_agree_with_twin() -> None:
    spectra = features.stft_magnitude(mixed())
    expected = [twins.bark_bands(s.astype(np.float64)) for s in spectra]
    np.testing.assert_allclose(features.bark_bands(spectra), expected, rtol=1e-4, atol=1e-7)


def test_bark_filters_average() -> None:
    filters = features.bark_filters(513, RATE)
    assert filters.shape == (513, 100)
    np.testing.assert_allclose(filters.sum(axis=0), 1, atol=1e-6)
    centres = bands.bark_to_hz(np.linspace(bands.hz_to_bark(20), bands.hz_to_bark(11025), 100))
    peaks = filters.argmax(axis=0) * RATE / 1024
    assert np.abs(peaks - centres).max() <= RATE / 1024 / 2 + 1


@pytest.mark.parametrize("hz", [30.0, 440.0, 3000.0, 10_000.0])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    bark = features.bark_bands(features.stft_magnitude(tone(8192, hz))).mean(axis=0)
    centre = bands.bark_to_hz(
        np.linspace(bands.hz_to_bark(20), bands.hz_to_bark(11025), 100)[bark.argmax()]
    )
    assert abs(centre - hz) <= max(15.0, 0.06 * hz)


def test_bands_narrower_than_a_bin_take_the_nearest() -> None:
    filters = features.bark_filters(65, RATE)
    assert (filters.sum(axis=0) > 0.99).all()


def test_bark_inverse() -> None:
    hz = np.linspace(0, 11_025, 50)
    np.testing.assert_allclose(bands.bark_to_hz(bands.hz_to_bark(hz)), hz, atol=1e-9)
    np.testing.assert_allclose(bands.mel_to_hz(bands.hz_to_mel(hz)), hz, atol=1e-9)


def test_mel_filters_agree_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128).T
    np.testing.assert_allclose(features.mel_filterbank(513, RATE), expected, atol=1e-7)


def test_log_mel_and_mfcc_agree_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    spectra = features.stft_magnitude(mixed())
    expected = librosa.power_to_db(
        librosa.feature.melspectrogram(S=spectra.T.astype(np.float64) ** 2, sr=RATE, n_mels=128),
        amin=1e-10,
        top_db=None,
    ).T
    log_mel = features.log_mel(spectra)
    np.testing.assert_allclose(log_mel, expected, atol=1e-3)
    mfcc = librosa.feature.mfcc(S=expected.T, n_mfcc=20).T
    np.testing.assert_allclose(features.mfcc(log_mel), mfcc, atol=1e-2)


def test_chroma_of_notes() -> None:
    for note, hz in [(9, 440.0), (0, 261.63), (4, 329.63), (9, 880.0)]:
        chroma = features.compute("chroma", tone(RATE, hz), RATE)[5]
        assert chroma.argmax() == note
        assert chroma.max() == pytest.approx(1)
        assert chroma[(note + 6) % 12] < 0.05


# --- cepstra -----------------------------------------------------------------------------------


def test_bfcc_agrees_with_twin() -> None:
    bark = features.bark_bands(features.stft_magnitude(mixed()))
    expected = [twins.bfcc(b.astype(np.float64)) for b in bark]
    np.testing.assert_allclose(features.bfcc(bark), expected, atol=2e-4)


@pytest.mark.parametrize("gain", [1e-6, 1e-2, 100.0])
def test_bfcc_do_not_depend_on_level(gain: float) -> None:
    samples = mixed()
    quiet = features.compute("bfcc", samples * np.float32(gain), RATE)
    np.testing.assert_allclose(quiet, features.compute("bfcc", samples, RATE), atol=1e-3)


def test_dct_is_orthonormal() -> None:
    matrix = features.dct_matrix(40, 0, 40)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(40), atol=1e-5)
    assert np.array_equal(features.dct_matrix(40, 1, 5), matrix[:, 1:6])


def test_unit() -> None:
    rows = np.array([[[3, 4], [0, 0]]], np.float32)
    np.testing.assert_allclose(features.unit(rows), [[[0.6, 0.8], [0, 0]]], atol=1e-7)


def test_delta_agrees_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    rows = noise(60).reshape(30, 2)
    expected = librosa.feature.delta(rows.T, width=9, mode="nearest").T
    np.testing.assert_allclose(features.delta(rows), expected, atol=1e-6)
    assert features.delta(rows[:0]).shape == (0, 2)


# --- shapes ------------------------------------------------------------------------------------


def test_shapes_agree_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    spectra = features.stft_magnitude(mixed())
    wide = spectra.T.astype(np.float64)
    kwargs = {"S": wide, "sr": RATE}
    for fast, slow in [
        (features.centroid(spectra), librosa.feature.spectral_centroid(**kwargs)),
        (features.bandwidth(spectra), librosa.feature.spectral_bandwidth(**kwargs)),
        (features.flatness(spectra), librosa.feature.spectral_flatness(S=wide)),
    ]:
        np.testing.assert_allclose(fast, slow.T, rtol=2e-3)
    rolloff = librosa.feature.spectral_rolloff(**kwargs, roll_percent=0.85).T
    assert np.abs(features.rolloff(spectra) - rolloff).max() <= RATE / 1024 + 1


def test_contrast_agrees_with_twin() -> None:
    spectra = features.stft_magnitude(mixed())
    expected = [twins.spectral_contrast(s.astype(np.float64)) for s in spectra]
    np.testing.assert_allclose(features.spectral_contrast(spectra), expected, atol=1e-3)


def test_contrast_of_tones_is_above_that_of_noise() -> None:
    tonal = features.compute("spectral_contrast", tone(RATE, 1000), RATE)[5, 3]
    noisy = features.compute("spectral_contrast", noise(RATE), RATE)[5, 3]
    assert tonal > noisy + 20


def test_rms_is_the_level() -> None:
    level = np.median(features.compute("rms", tone(RATE, 500), RATE))
    assert level == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)


# --- by name -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(features.FEATURES))
@pytest.mark.parametrize("sound", ODD)
def test_every_feature_of_every_sound_is_defined(name: str, sound: str) -> None:
    rows = features.compute(name, ODD[sound], RATE)
    spec = features.FEATURES[name]
    assert rows.shape == (len(features.frames_of(ODD[sound], length=spec.length)), spec.dims)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("name", list(features.FEATURES))
def test_features_of_nothing(name: str) -> None:
    rows = features.compute(name, np.empty(0, np.float32), RATE)
    assert rows.shape == (0, features.FEATURES[name].dims)


@pytest.mark.parametrize("name", list(features.FEATURES))
def test_blocks_join(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = mixed(1024 + 15 * 512)  # a last block of one frame
    whole = features.compute(name, samples, RATE)
    monkeypatch.setattr(named, "_BLOCK_FRAMES", 3)
    tolerance = 1e-4 * max(1.0, float(np.abs(whole).max()))
    np.testing.assert_allclose(features.compute(name, samples, RATE), whole, atol=tolerance)


def test_features_do_not_write_to_their_input() -> None:
    samples = mixed()
    samples.flags.writeable = False
    for name in features.FEATURES:
        features.compute(name, samples, RATE)
    spectra = spectral.stft_magnitude(samples)
    spectra.flags.writeable = False
    for spec in features.FEATURES.values():
        spec.from_spectra(spectra)


def test_compute_checks_at_the_door() -> None:
    with pytest.raises(UsageError) as caught:
        features.compute("barks", mixed(), RATE)
    assert caught.value.hint == "did you mean 'bark'?"
    with pytest.raises(SampleRateError, match="at 22050 Hz, got 44100 Hz"):
        features.compute("bark", mixed(), 44_100)
    with pytest.raises(ValueError, match="float32 array of one dimension"):
        features.compute("bark", mixed().astype(np.float64), RATE)  # type: ignore[arg-type]


def test_params_tell_recipes_apart() -> None:
    params = [spec.params for spec in features.FEATURES.values()]
    assert params[0] == "v1-22050-1024-512-100"
    assert features.FEATURES["chroma"].params == "v1-22050-4096-512-12"
