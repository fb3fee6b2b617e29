"""Training: data, augmentation, loss, resume, export.  Tiny networks on synthetic music."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.fingerprinting import FrontEnd  # noqa: E402
from earmark.training.degrade import NoiseBank  # noqa: E402
from earmark.training.fingerprint.augment import BLOCK, Augmenter  # noqa: E402
from earmark.training.fingerprint.config import (  # noqa: E402
    AugmentConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
)
from earmark.training.fingerprint.data import Piece, Sampler, read_manifest  # noqa: E402
from earmark.training.fingerprint.export import export_onnx, load_net, quantize  # noqa: E402
from earmark.training.fingerprint.loss import nt_xent, prefix_loss  # noqa: E402
from earmark.training.fingerprint.model import FingerprintNet  # noqa: E402
from earmark.training.fingerprint.train import (  # noqa: E402
    CheckpointMismatch,
    TrainData,
    Trainer,
    checkpoint_path,
    latest_checkpoint,
    learning_rate,
    load_checkpoint,
)

TINY = TrainConfig(
    augment=AugmentConfig(rooms=3),
    model=ModelConfig(stem=4, widths=(8, 8, 8, 16), ndim=16, head=4, prefixes=(8,)),
    optimizer=OptimizerConfig(pairs=6, steps=8, warmup=2, rate=3e-3),
)
CLEAN = AugmentConfig(
    offset=0.0,
    speed_p=0.0,
    pitch_p=0.0,
    room_p=0.0,
    noise_p=0.0,
    lowpass_p=0.0,
    highpass_p=0.0,
    tilt_db=0.0,
    clip_p=0.0,
    codec_p=0.0,
    cutout_p=0.0,
    anchor_filter_p=0.0,
    rooms=3,
)


def music(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(n)
    for start in range(0, n, 2000):
        t = np.arange(min(4000, n - start)) / 8000
        f = 220.0 * 2.0 ** (rng.integers(0, 30) / 12)
        for h in range(1, 5):
            out[start : start + len(t)] += np.sin(2 * np.pi * f * h * t) * np.exp(-3 * t) / h
    return (out * 0.1).astype(np.float32)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Piece]:
    folder = tmp_path_factory.mktemp("pcm")
    lines = ["file,group,split,seconds"]
    for i in range(8):
        (music(80_000, i) * 32767).astype("<i2").tofile(folder / f"{i}.s16")
        lines.append(f"{i}.s16,album{i},{'val' if i > 5 else 'train'},10")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return read_manifest(folder, split="train")


@pytest.fixture(scope="module")
def noise() -> NoiseBank:
    rng = np.random.default_rng(0)
    return NoiseBank(*(rng.standard_normal((2, 100_000)).astype(np.float32) * 0.1))


def augmenter(config: AugmentConfig, noise: NoiseBank, seed: int = 0) -> Augmenter:
    rng = np.random.default_rng(seed)
    return Augmenter(config, FrontEnd(), noise, [], rng=rng)


def sources(made: Augmenter, n: int = 4) -> np.ndarray:
    return np.stack([music(made.source_length, 40 + i) for i in range(n)])


def data(pieces: list[Piece], noise: NoiseBank) -> TrainData:
    return TrainData(pieces, [], noise, [])


def test_without_augmentation_a_positive_is_its_anchor(noise) -> None:
    made = augmenter(CLEAN, noise)
    anchors, positives = made.pairs(sources(made))
    assert float((anchors - positives).abs().max()) < 1e-3


@pytest.mark.parametrize(
    "change",
    [
        {"speed_p": 1.0},
        {"pitch_p": 1.0},
        {"room_p": 1.0},
        {"noise_p": 1.0},
        {"lowpass_p": 1.0},
        {"highpass_p": 1.0},
        {"tilt_db": 6.0},
        {"clip_p": 1.0},
        {"codec_p": 1.0},
        {"cutout_p": 1.0},
        {"offset": 0.15},
    ],
)
def test_each_augmentation_changes_positives_alone(noise, change: dict[str, float]) -> None:
    made = augmenter(replace(CLEAN, **change), noise)
    given = sources(made)
    anchors, positives = made.pairs(given)
    plain, _ = augmenter(CLEAN, noise).pairs(given)
    assert torch.equal(anchors, plain)
    difference = (anchors - positives).abs().mean()
    assert 1e-3 < float(difference) < 1.0
    assert torch.isfinite(positives).all()
    assert float(positives.min()) >= -1.0 - 1e-6
    assert float(positives.max()) <= 1.0 + 1e-6


def test_speed_keeps_the_middle_of_the_segment_in_place(noise) -> None:
    made = augmenter(replace(CLEAN, speed_p=1.0), noise)
    click = np.zeros(made.source_length, np.float32)
    click[made.source_begin + 4000] = 1.0
    for _ in range(5):
        moved = made._moved(click)
        assert len(moved) == BLOCK
        assert int(np.argmax(moved)) - made.begin == pytest.approx(4000, abs=1)


def test_the_same_seed_gives_the_same_batch(noise) -> None:
    first, second = (augmenter(AugmentConfig(rooms=3), noise, seed=4) for _ in range(2))
    given = sources(first)
    for a, b in zip(first.pairs(given), second.pairs(given), strict=True):
        assert torch.equal(a, b)


def test_silence_stays_finite(noise) -> None:
    made = augmenter(AugmentConfig(rooms=3), noise)
    for features in made.pairs(np.zeros((6, made.source_length), np.float32)):
        assert torch.isfinite(features).all()


def test_a_batch_is_of_different_pieces(pieces) -> None:
    sampler = Sampler(pieces, length=1000, begin=0)
    drawn = sampler.draw(len(pieces), np.random.default_rng(0))
    assert len({row.tobytes() for row in drawn}) == len(pieces)
    with pytest.raises(ValueError, match="pieces"):
        sampler.draw(len(pieces) + 1, np.random.default_rng(0))


def test_reading_beyond_a_piece_gives_zeros(pieces) -> None:
    piece = pieces[0]
    assert (piece.read(-10, 20)[:10] == 0).all()
    assert (piece.read(piece.samples - 5, 20)[5:] == 0).all()
    np.testing.assert_array_equal(piece.read(100, 50), piece.read(90, 60)[10:])


def test_a_split_without_pieces_is_refused(pieces) -> None:
    with pytest.raises(ValueError, match="split"):
        read_manifest(pieces[0].path.parent, split="nothing")


def slow_nt_xent(a: np.ndarray, b: np.ndarray, temperature: float) -> float:
    both = np.concatenate([a, b])
    n, total = len(a), 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [np.exp(both[i] @ both[j] / temperature) for j in range(2 * n) if j != i]
        total -= np.log(np.exp(both[i] @ both[partner] / temperature) / sum(others))
    return total / (2 * n)


def test_loss_agrees_with_the_slow_twin() -> None:
    rng = np.random.default_rng(0)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((2, 5, 8)))
    fast = nt_xent(torch.from_numpy(a), torch.from_numpy(b), temperature=0.1)
    assert float(fast) == pytest.approx(slow_nt_xent(a, b, 0.1), rel=1e-6)
    cut = [x[:, :4] / np.linalg.norm(x[:, :4], axis=1, keepdims=True) for x in (a, b)]
    both = prefix_loss(torch.from_numpy(a), torch.from_numpy(b), temperature=0.1, prefixes=(4,))
    expected = (slow_nt_xent(a, b, 0.1) + slow_nt_xent(*cut, 0.1)) / 2
    assert float(both) == pytest.approx(expected, rel=1e-6)


def test_the_default_network_has_the_size_that_the_card_says() -> None:
    net = FingerprintNet(ModelConfig(), FrontEnd())
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(1.04e6, rel=0.01)


def test_a_vector_does_not_depend_on_its_batch_mates() -> None:
    net = FingerprintNet(TINY.model, TINY.front).eval()
    segments = torch.rand(5, 256, 32) * 2 - 1
    with torch.no_grad():
        together, alone = net(segments), net(segments[2:3])
    assert float((together[2] - alone[0]).abs().max()) < 1e-5


def test_configuration_round_trip_and_differences() -> None:
    assert TrainConfig.from_json(json.loads(json.dumps(TINY.to_json()))) == TINY
    other = replace(TINY, optimizer=replace(TINY.optimizer, pairs=9))
    assert TINY.differences(other) == ["optimizer.pairs: 6 against 9"]
    with pytest.raises(TypeError):
        TrainConfig.from_json({"model": {"depth": 3}})


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(TINY, step / 8, step) for step in range(9)]
    assert rates[0] < rates[2]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(TINY.optimizer.final_rate)


def test_training_lowers_the_loss_and_resumes_where_it_was(tmp_path: Path, pieces, noise) -> None:
    config = replace(TINY, optimizer=replace(TINY.optimizer, steps=30), augment=CLEAN)
    trainer = Trainer(config, data(pieces, noise), tmp_path)
    first = trainer.train_step(0.0)
    trainer.run(checkpoint_every=10, test_every=100)
    assert trainer.step == 30
    assert trainer.train_step(1.0) < 0.7 * first
    assert latest_checkpoint(tmp_path) == checkpoint_path(tmp_path, 30)
    again = Trainer(config, data(pieces, noise), tmp_path)
    assert again.step == 30
    stored = load_checkpoint(checkpoint_path(tmp_path, 30))["net"]
    for name, value in again.net.state_dict().items():
        assert torch.equal(value, stored[name])


def test_a_time_limit_ends_a_run_fully_annealed(tmp_path: Path, pieces, noise) -> None:
    config = replace(TINY, optimizer=replace(TINY.optimizer, steps=10_000))
    trainer = Trainer(config, data(pieces, noise), tmp_path)
    now = iter(np.arange(0.0, 1e6, 1.0))
    trainer.run(time_limit=20.0, clock=lambda: float(next(now)))
    assert trainer.step < 20
    assert trainer.adam.param_groups[0]["lr"] < 0.1 * config.optimizer.rate


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path, pieces, noise) -> None:
    Trainer(TINY, data(pieces, noise), tmp_path).save()
    other = replace(TINY, model=replace(TINY.model, stem=8))
    with pytest.raises(CheckpointMismatch, match=r"model\.stem: 4 against 8"):
        Trainer(other, data(pieces, noise), tmp_path)


def test_export_gives_the_same_vectors(tmp_path: Path, pieces, noise) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from earmark.encoders.fingerprint import Network

    trainer = Trainer(TINY, data(pieces, noise), tmp_path)
    trainer.train_step(0.0)
    checkpoint = trainer.save()
    revision = export_onnx(checkpoint, tmp_path / "net.onnx", card="test")
    network = Network((tmp_path / "net.onnx").read_bytes())
    assert network.revision == revision
    assert network.front == TINY.front
    segments = (torch.rand(40, 256, 32) * 2 - 1).numpy()
    net, config, step = load_net(checkpoint)
    assert (config, step) == (TINY, 1)
    with torch.no_grad():
        expected = net(torch.from_numpy(segments)).numpy()
    np.testing.assert_allclose(network.embed(segments, 16), expected, atol=1e-5)
    short = expected[:, :8] / np.linalg.norm(expected[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(network.embed(segments, 8), short, atol=1e-5)
    quantize(tmp_path / "net.onnx", tmp_path / "small.onnx", segments)
    small = Network((tmp_path / "small.onnx").read_bytes())
    assert small.revision != revision
    assert (small.embed(segments, 16) * expected).sum(axis=1).min() > 0.97
