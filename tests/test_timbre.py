"""The profile `zounds` is the recipe, learns on the library, and is defined for every sound."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import twins
from earmark import distance, encoders, framing
from earmark.encoders import timbre
from earmark.errors import EncoderError, NotFitted, UsageError
from earmark.types import Clip, Encoder, FittedEncoder, Float32Array, UInt8Array

RATE, WINDOW, HOP = 22_050, 15_872, 15_360


def sounds(count: int = 12, seed: int = 0) -> Float32Array:
    """Windows of noises with different slopes and of tones with different overtones."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(count):
        spectrum = rng.normal(size=WINDOW // 2 + 1) + 1j * rng.normal(size=WINDOW // 2 + 1)
        spectrum *= (1 + np.arange(len(spectrum))) ** -rng.uniform(0, 1.5)
        hiss = np.fft.irfft(spectrum, WINDOW)
        time = np.arange(WINDOW) / RATE
        tone = sum(
            np.sin(2 * np.pi * k * 110 * 2 ** (i / 4) * time) * k ** -rng.uniform(0.5, 2)
            for k in range(1, 9)
        )
        mix = hiss / np.abs(hiss).max() * (i % 3) + tone
        result.append(0.5 * mix / np.abs(mix).max())
    return np.array(result, np.float32)


@pytest.fixture(scope="module")
def fitted() -> timbre.Zounds:
    unfitted = timbre.Zounds()
    return unfitted.with_state(unfitted.fit(unfitted.training_rows(sounds()), seed=0))


def bits(codes: UInt8Array) -> np.ndarray:
    return np.unpackbits(codes, axis=1).astype(bool)


# --- the recipe --------------------------------------------------------------------------------


def test_spec_is_that_of_the_source(fitted: timbre.Zounds) -> None:
    spec = fitted.spec
    assert framing.window_samples(spec) == (WINDOW, HOP) == (1024 + 29 * 512, 30 * 512)
    assert spec.sample_rate == RATE
    assert (spec.rows.dtype, spec.rows.ndim, spec.rows.metric) == ("bits", 128, "hamming")
    assert spec.options == {"profile": "zounds"}


def test_codes_agree_with_the_slow_twin(fitted: timbre.Zounds) -> None:
    windows = sounds(3, seed=5)
    codebook = fitted._codebook
    assert codebook is not None
    expected = np.array([twins.zounds_bits(w, codebook) for w in windows])
    # Centroids that are equally near may be told apart by rounding: rarely, and not here.
    assert (bits(fitted.encode(windows)) == expected).all()
    assert 3 <= expected.sum() < 90


def test_each_window_has_its_own_frames(fitted: timbre.Zounds) -> None:
    """Windows of consecutive hops share no frame, and each sets at most 30 bits."""
    codes = bits(fitted.encode(sounds()))
    assert codes.sum(axis=1).min() >= 1
    assert codes.sum(axis=1).max() <= 30


def test_training_rows_have_length_one() -> None:
    rows = timbre.Zounds().training_rows(sounds(2))
    assert rows.shape == (60, 13)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_codes_do_not_depend_on_batch_or_level(fitted: timbre.Zounds) -> None:
    windows = sounds(19, seed=3)
    codes = fitted.encode(windows)
    for size in (1, 2, 5, 18):
        parts = [fitted.encode(windows[i : i + size]) for i in range(0, 19, size)]
        assert np.array_equal(np.concatenate(parts), codes)
    assert np.array_equal(fitted.encode(windows * np.float32(0.25)), codes)


def test_strided_windows_are_as_good_as_copies(fitted: timbre.Zounds) -> None:
    samples = sounds(4).ravel()
    views = framing.frame(samples, WINDOW, HOP)
    assert np.array_equal(fitted.encode(views), fitted.encode(views.copy()))


def test_the_recording_finds_itself(fitted: timbre.Zounds) -> None:
    clip = Clip(sounds(5).ravel(), RATE)
    rows = framing.encode_clip(fitted, clip).rows
    assert distance.hamming(rows[2:3], rows)[0, 2] == 0
    again = framing.encode_query(fitted, Clip(clip.samples[2 * HOP : 2 * HOP + WINDOW], RATE))
    assert np.array_equal(again.rows, rows[2:3])


def test_noise_and_tones_are_apart(fitted: timbre.Zounds) -> None:
    rng = np.random.default_rng(9)
    noises = rng.uniform(-0.5, 0.5, (5, WINDOW)).astype(np.float32)
    time = np.arange(WINDOW) / RATE
    tones = np.array([np.sin(2 * np.pi * hz * time) for hz in (440, 442, 444)], np.float32)
    codes = fitted.encode(np.concatenate([noises, tones]))
    table = distance.hamming(codes, codes)
    assert table[5:, 5:].max() < table[5:, :5].min()


# --- what has no sound -------------------------------------------------------------------------


def test_silence_sets_no_bit(fitted: timbre.Zounds) -> None:
    assert not fitted.encode(np.zeros((2, WINDOW), np.float32)).any()
    assert timbre.Zounds().training_rows(np.zeros((2, WINDOW), np.float32)).shape == (0, 13)


def test_padding_sets_no_bit(fitted: timbre.Zounds) -> None:
    """A short clip has the bits of the frames that it fills, and none of the zeros'."""
    clip = sounds(1)[0, : 1024 + 512]
    padded = np.pad(clip, (0, WINDOW - len(clip)))[None]
    rows = fitted.training_rows(padded)
    assert len(rows) == 3
    encoded = framing.encode_clip(fitted, Clip(clip, RATE))
    assert np.array_equal(encoded.rows, fitted.encode(padded))
    assert bits(encoded.rows).sum() <= 3
    assert encoded.segments.tolist() == [[0, pytest.approx(1536 / RATE)]]


def test_pauses_set_no_bit(fitted: timbre.Zounds) -> None:
    window = sounds(1)[0].copy()
    window[4096:] = 0
    hiss = np.random.default_rng(0).normal(0, 1e-6, WINDOW).astype(np.float32)
    assert len(fitted.training_rows(window[None])) == 8
    assert len(fitted.training_rows((window + hiss)[None])) == 8


def test_a_faint_window_keeps_its_loudest_frame(fitted: timbre.Zounds) -> None:
    click = np.zeros((1, WINDOW), np.float32)
    click[0, 0] = 1e-3
    assert bits(fitted.encode(click)).sum() == 1


@pytest.mark.parametrize("value", [1.0, -1.0, 1e-4, 1e4])
def test_constants_and_extremes_are_defined(fitted: timbre.Zounds, value: float) -> None:
    windows = np.full((1, WINDOW), value, np.float32)
    assert np.isfinite(fitted.training_rows(windows)).all()
    assert fitted.encode(windows).any()


# --- learning ----------------------------------------------------------------------------------


def test_unfitted_refuses_and_says_what_to_do() -> None:
    encoder = timbre.Zounds()
    assert not encoder.fitted
    with pytest.raises(NotFitted) as caught:
        encoder.encode(sounds(1))
    assert caught.value.hint == "earmark rebuild --fit timbre"


def test_fit_is_reproducible_and_the_revision_names_the_codebook() -> None:
    encoder = timbre.Zounds()
    rows = encoder.training_rows(sounds())
    one, two = encoder.fit(rows, seed=1), encoder.fit(rows, seed=1)
    assert np.array_equal(one["codebook"], two["codebook"])
    assert one["codebook"].shape == (128, 13)
    assert one["codebook"].dtype == np.float32
    other = encoder.fit(rows, seed=2)
    revisions = {encoder.with_state(s).spec.revision for s in (one, two, other)}
    assert len(revisions | {encoder.spec.revision}) == 3


def test_the_codebook_is_spread_over_the_rows() -> None:
    encoder = timbre.Zounds()
    rows = encoder.training_rows(sounds(30))
    codebook = encoder.fit(rows, seed=0)["codebook"]
    nearest = distance.l2(rows, codebook).argmin(axis=1)
    assert len(np.unique(nearest)) > 120


def test_a_tiny_library_is_its_own_codebook() -> None:
    encoder = timbre.Zounds()
    rows = encoder.training_rows(sounds(2))
    fitted = encoder.with_state(encoder.fit(np.tile(rows, (3, 1)), seed=0))
    codes = bits(fitted.encode(sounds(2)))
    assert 25 <= codes[0].sum() <= 30
    assert not (codes[0] & codes[1]).any()
    others = bits(fitted.encode(sounds(12, seed=8)))
    assert not np.concatenate([codes, others])[:, len(np.unique(rows, axis=0)) :].any()


def test_nothing_to_learn_from() -> None:
    with pytest.raises(EncoderError, match="got only silence"):
        timbre.Zounds().fit(np.empty((0, 13), np.float32), seed=0)
    with pytest.raises(ValueError, match=r"shape \(m, 13\)"):
        timbre.Zounds().fit(np.empty((5, 12), np.float32), seed=0)


def test_fit_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    encoder = timbre.Zounds()
    encoder.fit(encoder.training_rows(sounds(6)), seed=0)
    out, err = capfd.readouterr()
    assert out == err == ""


# --- making ------------------------------------------------------------------------------------


def test_spec_and_state_make_the_same_encoder_again(fitted: timbre.Zounds) -> None:
    codebook = fitted._codebook
    assert codebook is not None
    again = encoders.create(
        fitted.spec.name, options=fitted.spec.options, state={"codebook": codebook}
    )
    assert again.spec == fitted.spec
    assert isinstance(again, FittedEncoder)
    assert np.array_equal(again.encode(sounds(3)), fitted.encode(sounds(3)))


@pytest.mark.parametrize(
    "state",
    [
        {"codebook": np.zeros((128, 12), np.float32)},
        {"codebook": np.zeros((128, 13), np.float64)},
        {"codebook": np.full((128, 13), np.nan, np.float32)},
        {"centroids": np.zeros((128, 13), np.float32)},
        {"codebook": np.zeros((128, 13), np.float32), "more": np.zeros(1)},
    ],
)
def test_foreign_state_is_refused(state: dict[str, np.ndarray]) -> None:
    with pytest.raises(EncoderError, match="must be a finite float32 array codebook"):
        timbre.create({"profile": "zounds"}, state)


@pytest.mark.parametrize("order", ["C", "F"])
def test_state_is_not_shared(fitted: timbre.Zounds, order: Literal["C", "F"]) -> None:
    codebook = np.array(fitted._codebook, order=order)
    encoder = timbre.Zounds.from_state({"codebook": codebook})
    before = encoder.encode(sounds(2))
    codebook[:] = 0
    assert np.array_equal(encoder.encode(sounds(2)), before)


def test_unknown_options_and_profiles() -> None:
    with pytest.raises(UsageError, match="no option 'profil'") as caught:
        timbre.create({"profil": "zounds"}, None)
    assert caught.value.hint == "did you mean 'profile'?"
    with pytest.raises(UsageError, match="no profile 'sounds'") as caught:
        timbre.create({"profile": "sounds"}, None)
    assert caught.value.hint == "did you mean 'zounds'?"


@pytest.mark.parametrize(
    "windows", [np.zeros((1, 100), np.float32), np.zeros((1, WINDOW)), np.zeros(WINDOW, np.float32)]
)
def test_windows_of_another_shape_are_refused(fitted: timbre.Zounds, windows: Float32Array) -> None:
    with pytest.raises(ValueError, match="windows must be float32"):
        fitted.encode(windows)


# --- real recordings ---------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_real_instruments_are_found_more_often_than_not(data_dir: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    with open(data_dir / "manifest.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "inst"]
    clips = []
    for row in rows:
        samples, rate = soundfile.read(data_dir / row["path"], dtype="float32", always_2d=True)
        clips.append(Clip(soxr.resample(samples.mean(axis=1), rate, RATE), RATE))
    encoder: Encoder = timbre.Zounds()
    assert isinstance(encoder, timbre.Zounds)
    training = np.concatenate(
        [encoder.training_rows(framing.frame(c.samples, WINDOW, HOP)) for c in clips]
    )
    encoder = encoder.with_state(encoder.fit(training, seed=0))
    codes = [framing.encode_clip(encoder, c).rows for c in clips]
    owner = np.repeat(np.arange(len(clips)), [len(c) for c in codes])
    everything = np.concatenate(codes)
    labels = np.array([row["label"] for row in rows])
    found = []
    for i, code in enumerate(codes):
        table = distance.hamming(code, everything)
        best = np.full((len(code), len(clips)), np.inf, np.float32)
        for q in range(len(code)):
            np.minimum.at(best[q], owner, table[q])
        mean = best.mean(axis=0)
        mean[i] = np.inf
        if (labels == labels[i]).sum() > 1:
            found.append(labels[int(mean.argmin())] == labels[i])
    precision = np.mean(found)
    assert precision > 0.4, precision
