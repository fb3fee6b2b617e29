"""EfficientAT: the front-end, the network against the published graph, real sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark import audio, encoders, framing
from earmark.config import Settings
from earmark.encoders import efficientat
from earmark.errors import NotAvailable, UsageError
from earmark.features.reference_mel import log_mel
from earmark.testing import check_encoder
from earmark.types import Clip, Float32Array, Tagger


@pytest.fixture(scope="module")
def settings(weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose models are the real weights and whose cache is new."""
    return Settings(models=str(weights_dir), cache=str(tmp_path_factory.mktemp("cache")))


def slow_features(samples: Float32Array) -> Float32Array:
    """The front-end as its publication describes it, one frame and one band at a time."""
    x = samples[1:].astype(np.float64) - 0.97 * samples[:-1].astype(np.float64)
    x = np.concatenate([x[1:513][::-1], x, x[-513:-1][::-1]])
    hann = np.zeros(1024)
    hann[112:912] = [0.5 - 0.5 * np.cos(2 * np.pi * i / 799) for i in range(800)]
    mel = [1127 * np.log(1 + i * 31.25 / 700) for i in range(512)]
    step = 1127 * np.log(1 + 15_000 / 700) / 129
    frames = []
    for start in range(0, len(x) - 1023, 320):
        power = np.abs(np.fft.rfft(x[start : start + 1024] * hann)) ** 2
        bands = [
            sum(
                max(0.0, min((m - b * step) / step, ((b + 2) * step - m) / step)) * p
                for m, p in zip(mel, power, strict=False)
            )
            for b in range(128)
        ]
        frames.append((np.log(np.array(bands) + 1e-5) + 4.5) / 5)
    return np.array(frames, np.float32).T


def test_front_end_is_that_of_the_publication() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 3200).astype(np.float32)
    found = efficientat.features(samples[None])[0, 0]
    expected = slow_features(samples)
    assert found.shape == expected.shape == (128, 10)
    heard = efficientat.heard_bands()
    assert heard == 116
    assert np.abs(found - expected)[:heard].max() < 1e-4


def test_what_lies_above_11_khz_is_silence() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3200)).astype(np.float32)
    silence = efficientat.features(np.zeros((1, 3200), np.float32))
    found = efficientat.features(samples)
    heard = efficientat.heard_bands()
    assert np.abs(found - silence)[0, 0, heard:].max() < 1e-6
    assert np.abs(found - silence)[0, 0, heard - 1].min() > 0.1


@pytest.mark.data
def test_a_short_clip_is_repeated_without_a_gap(settings: Settings) -> None:
    encoder = encoders.create("efficientat", settings=settings)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 96_000).astype(np.float32)
    found = framing.encode_clip(encoder, Clip(noise, 32_000)).rows
    full = np.tile(noise, 4)[None, :320_000]
    assert np.abs(found - encoder.encode(full)).max() < 1e-6


def test_ten_seconds_are_a_thousand_frames() -> None:
    windows = np.zeros((1, 320_000), np.float32)
    assert log_mel(windows, efficientat.FRONT).shape == (1, 1000, 128)


def test_without_files_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    empty = Settings(models=str(tmp_path / "none"), cache=str(tmp_path / "cache"))
    with pytest.raises(NotAvailable, match="mn04_as_mAP_432") as caught:
        encoders.create("efficientat", settings=empty)
    assert "earmark models pull mn04" in str(caught.value.hint)
    assert "EARMARK_MODELS" in str(caught.value.hint)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UsageError, match="mn04, mn10") as caught:
        encoders.create("efficientat", options={"model": "mn4"})
    assert "mn04" in str(caught.value.hint)
    with pytest.raises(UsageError, match="model and hop"):
        encoders.create("efficientat", options={"hopp": 1})
    with pytest.raises(UsageError, match="more than 0"):
        encoders.create("efficientat", options={"hop": 0})


@pytest.mark.data
@pytest.mark.slow
def test_contract(settings: Settings) -> None:
    check_encoder(encoders.create("efficientat", settings=settings))


@pytest.mark.data
def test_the_checkpoint_gives_what_the_published_graph_gives(
    settings: Settings, weights_dir: Path
) -> None:
    pytest.importorskip("torch")
    from earmark.encoders import backends

    encoder = encoders.create("efficientat", settings=settings)
    assert isinstance(encoder, efficientat.EfficientAT)
    windows = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 320_000)).astype(np.float32)
    rows, scores = encoder.encode_tagged(windows)
    graph = backends.load(weights_dir / "mn04_as.onnx", backend="onnxruntime")
    expected = graph.run({"mel": efficientat.features(windows)})
    assert np.abs(rows - expected["emb"]).max() < 1e-4
    assert np.abs(scores - 1 / (1 + np.exp(-expected["logits"]))).max() < 1e-4


@pytest.mark.data
def test_the_graph_alone_will_do_and_makes_the_same_rows(
    settings: Settings, weights_dir: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "mn04_as.onnx").write_bytes((weights_dir / "mn04_as.onnx").read_bytes())
    alone = Settings(models=str(models), cache=str(tmp_path / "cache"))
    found = encoders.create("efficientat", settings=alone)
    assert found.spec == encoders.create("efficientat", settings=settings).spec


@pytest.mark.data
def test_a_dog_is_a_dog(settings: Settings, data_dir: Path) -> None:
    encoder = encoders.create("efficientat", settings=settings)
    assert isinstance(encoder, Tagger)
    clip = audio.read(str(data_dir / "env/Dog_bark_1_100032_A.ogg"), sample_rate=32_000)
    encoded = framing.encode_clip(encoder, clip)
    assert encoded.label_scores is not None
    best = encoder.labels[int(encoded.label_scores[0].argmax())]
    assert best in {"Animal", "Dog", "Bark", "Domestic animals, pets"}


@pytest.mark.data
def test_twenty_milliseconds_and_silence(settings: Settings) -> None:
    encoder = encoders.create("efficientat", settings=settings)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 640).astype(np.float32)
    encoded = framing.encode_clip(encoder, Clip(noise, 32_000))
    assert encoded.rows.shape == (1, 384)
    assert encoded.segments.tolist() == [[0.0, 0.02]]
    silent = framing.encode_clip(encoder, Clip(np.zeros(64_000, np.float32), 32_000))
    assert len(silent.rows) == 0
    assert silent.skipped == 1
