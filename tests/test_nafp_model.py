"""The published network, its features, LAMB and half precision."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.errors import NotAvailable, UsageError  # noqa: E402
from earmark.training.fingerprint.loss import nt_xent  # noqa: E402
from earmark.training.nafp import precision  # noqa: E402
from earmark.training.nafp.config import Config, Features, Model, PublishedModel, Run  # noqa: E402
from earmark.training.nafp.features import FeatureExtractor  # noqa: E402
from earmark.training.nafp.lamb import Lamb  # noqa: E402
from earmark.training.nafp.model import PublishedNet, build, vectors  # noqa: E402
from earmark.training.nafp.precision import Agreement  # noqa: E402
from earmark.training.nafp.trained import device_of  # noqa: E402
from nafp_data import TINY_NET  # noqa: E402

CPU = torch.device("cpu")
DECIBEL = Features(fmin=160.0, scale="decibel")
SOUND = Features(padding="sound")


def sound(n: int, samples: int = 9024, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / 8000
    rows = [
        np.sin(2 * np.pi * rng.uniform(300, 3000) * t) * rng.uniform(0.01, 0.5) for _ in range(n)
    ]
    return (np.stack(rows) + rng.normal(0, 0.01, (n, samples))).astype(np.float32)


def slow_features(segment: np.ndarray, features: Features) -> np.ndarray:
    """One segment of 8,000 samples by librosa, which pads with zeros and centres as published."""
    import librosa

    spectrum = np.abs(librosa.stft(segment, n_fft=1024, hop_length=256, pad_mode="constant"))
    filters = librosa.filters.mel(
        sr=8000, n_fft=1024, n_mels=256, fmin=features.fmin, fmax=4000.0, norm="slaney"
    )
    mel = filters @ spectrum
    if features.scale == "log":
        logs = np.log10(mel + 0.06)
        return logs - logs.max()
    return 1.0 + np.maximum(20.0 * np.log10(np.maximum(mel / mel.max(), 1e-12)), -80.0) / 40.0


@pytest.mark.parametrize("features", [Features(), DECIBEL])
def test_features_match_the_slow_twin(features: Features) -> None:
    given = sound(3)
    fast = FeatureExtractor(features, CPU)(torch.from_numpy(given)).numpy()
    assert fast.shape == (3, 256, 32)
    for row, segment in zip(fast, given[:, 512:-512], strict=True):
        np.testing.assert_allclose(row, slow_features(segment, features), atol=2e-4)


def test_zeros_or_sound_around_a_segment() -> None:
    given = torch.from_numpy(sound(1))
    other = given.clone()
    other[:, :512] = 0.3
    for features, same in ((Features(), True), (SOUND, False)):
        extract = FeatureExtractor(features, CPU)
        assert torch.equal(extract(given), extract(other)) is same


def test_the_published_architecture_has_its_size() -> None:
    net = PublishedNet(PublishedModel(), bands=256, frames=32)
    assert sum(p.numel() for p in net.parameters()) == 16_939_008
    sizes = [layer.size for layer in net.body]
    assert sizes[0] == (128, 256, 16)
    assert sizes[1] == (128, 128, 16)
    assert sizes[-1] == (1024, 1, 1)


def test_same_padding_is_that_of_tensorflow() -> None:
    layer = PublishedNet(TINY_NET, bands=256, frames=32).body[0]
    assert layer.pad == (0, 1, 0, 0)  # 32 frames, stride 2: one after
    x = torch.zeros(1, 1, 256, 32)
    x[..., 0] = 1.0
    layer.conv.weight.data[:] = torch.tensor([0.0, 0.0, 1.0])
    with torch.no_grad():
        assert not layer.conv(torch.nn.functional.pad(x, layer.pad)).any()


def test_vectors_have_unit_length_and_weights_follow_the_seed() -> None:
    config = Config(model=Model(published=TINY_NET))
    net = build(config)
    out = net(torch.rand(7, 256, 32) * -2)
    assert out.shape == (7, 16)
    np.testing.assert_allclose(out.norm(dim=1).detach().numpy(), 1.0, atol=1e-5)
    torch.manual_seed(99)
    again, other = (
        build(config),
        build(replace(config, optimizer=replace(config.optimizer, seed=1))),
    )
    assert torch.equal(net.body[0].conv.weight, again.body[0].conv.weight)
    assert not torch.equal(net.body[0].conv.weight, other.body[0].conv.weight)


@pytest.mark.parametrize("features", [Features(), DECIBEL])
def test_batch_mates_do_not_change_a_vector(features: Features) -> None:
    net = build(Config(model=Model(published=TINY_NET))).eval()
    extract = FeatureExtractor(features, CPU)
    given = torch.from_numpy(sound(5))
    loud = torch.cat([given[2:3], 50.0 * given[:1]])
    with torch.no_grad():
        together, alone, other = (net(extract(x)) for x in (given, given[2:3], loud))
    np.testing.assert_allclose(together[2], alone[0], atol=1e-5)
    np.testing.assert_allclose(other[0], alone[0], atol=1e-5)


def test_a_head_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match="divide"):
        PublishedNet(replace(TINY_NET, ndim=10), bands=256, frames=32)


def slow_lamb(weights: np.ndarray, gradients: list[np.ndarray], rate: float) -> np.ndarray:
    """Algorithm 2 of You et al., a number at a time."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for count, gradient in enumerate(gradients, start=1):
        update = np.zeros_like(weights)
        for i in np.ndindex(weights.shape):
            first[i] = 0.9 * first[i] + 0.1 * gradient[i]
            second[i] = 0.999 * second[i] + 0.001 * gradient[i] ** 2
            m, v = first[i] / (1 - 0.9**count), second[i] / (1 - 0.999**count)
            update[i] = m / (np.sqrt(v) + 1e-6) + 1e-2 * weights[i]
        length, reach = np.sqrt((weights**2).sum()), np.sqrt((update**2).sum())
        weights = weights - rate * (length / reach if length and reach else 1.0) * update
    return weights


@pytest.mark.parametrize("start", ["random", "zeros"])
def test_lamb_agrees_with_the_slow_twin(start: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((3, 4)) if start == "random" else np.zeros((3, 4))
    gradients = [rng.standard_normal((3, 4)) for _ in range(5)]
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = Lamb([parameter], 0.05, weight_decay=1e-2)
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    np.testing.assert_allclose(
        parameter.detach().numpy(), slow_lamb(weights, gradients, 0.05), rtol=1e-6, atol=1e-9
    )


def test_half_precision_is_measured_before_it_is_believed(monkeypatch) -> None:
    config = Config(model=Model(published=TINY_NET), run=Run(precision="bfloat16"))
    net = build(config)
    for bad in (Agreement(0.31, 0.99), Agreement(0.99, 0.31), Agreement(-1.0, -1.0)):
        monkeypatch.setattr(precision, "agreement", lambda *_, bad=bad: bad)
        with pytest.raises(NotAvailable, match=r"0\.31|-1\.00"):
            precision.wants_bfloat16(net, config, CPU)
    monkeypatch.setattr(precision, "agreement", lambda *_: Agreement(0.999, 0.99))
    assert precision.wants_bfloat16(net, config, CPU)


class Cuda:
    """A device that is not here."""

    type = "cuda"


@pytest.mark.parametrize(
    ("asked", "device", "supported", "agrees", "expected"),
    [
        ("float32", "cuda", True, True, False),
        ("auto", "cpu", True, True, False),
        ("auto", "cuda", False, True, False),
        ("auto", "cuda", True, True, True),
        ("auto", "cuda", True, False, False),
        ("bfloat16", "cpu", False, True, True),
    ],
)
def test_where_half_precision_is_chosen(
    monkeypatch, asked: str, device: str, supported: bool, agrees: bool, expected: bool
) -> None:
    config = Config(model=Model(published=TINY_NET), run=Run(precision=asked))
    measured = Agreement(0.999, 0.99) if agrees else Agreement(0.2, 0.1)
    monkeypatch.setattr(precision, "agreement", lambda *_: measured)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    on = Cuda() if device == "cuda" else CPU
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert precision.wants_bfloat16(build(config), config, on) is expected
    assert bool(told) is (not agrees)


def test_the_measure_of_half_precision_notices_garbage() -> None:
    config = Config(model=Model(published=TINY_NET))
    net = build(config)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    honest = precision.agreement(net, config, CPU)
    assert honest.enough
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())

    class Forward(type(net)):  # type: ignore[misc]
        def features(self, segments):
            out = super().features(segments)
            return out.roll(1, 1) if torch.is_autocast_enabled("cpu") else out

    class Backward(type(net)):  # type: ignore[misc]
        def features(self, segments):
            out = super().features(segments)
            if torch.is_autocast_enabled("cpu"):
                out.register_hook(lambda gradient: gradient.roll(1, 1))
            return out

    net.__class__ = Forward
    assert precision.agreement(net, config, CPU).vectors < min(0.9, honest.vectors)
    net.__class__ = Backward
    broken = precision.agreement(net, config, CPU)
    assert broken.vectors > 0.97
    assert not broken.enough


@pytest.mark.parametrize("kind", ["published", "compact"])
def test_in_half_precision_only_convolutions_are_half(kind: str) -> None:
    compact = replace(Model().compact, stem=4, widths=(8, 8, 8, 16), ndim=16, head=4)
    config = Config(model=Model(kind, published=TINY_NET, compact=compact))
    net = build(config)
    seen: dict[str, set[torch.dtype]] = {}

    def look(module, _, output) -> None:
        seen.setdefault(type(module).__name__, set()).add(output.dtype)

    for module in net.modules():
        if not list(module.children()):
            module.register_forward_hook(look)
    out = vectors(net, torch.rand(8, 256, 32) * -2, bfloat16=True)
    loss = nt_xent(*out.chunk(2), temperature=0.05)
    torch.autograd.backward(loss)
    assert seen["Conv2d"] == {torch.bfloat16}
    if kind == "published":
        assert seen["LayerNorm"] == {torch.float32}
    assert out.dtype == loss.dtype == torch.float32
    assert {p.grad.dtype for p in net.parameters()} == {torch.float32}
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    vectors(net, torch.rand(8, 256, 32) * -2, bfloat16=False)
    assert seen["Conv2d"] == {torch.bfloat16, torch.float32}


def test_full_precision_asks_for_no_autocast_at_all(monkeypatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("unsupported autocast device_type 'mps'")

    net = build(Config(model=Model(published=TINY_NET)))
    monkeypatch.setattr(torch, "autocast", refused)
    assert vectors(net, torch.rand(2, 256, 32), bfloat16=False).shape == (2, 16)


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "expected"),
    [
        ("auto", True, True, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", False, False, "cpu"),
        ("cpu", True, True, "cpu"),
        ("cuda:1", True, False, "cuda:1"),
        ("mps", False, True, "mps"),
        ("cuda", False, True, None),
        ("mps", True, False, None),
    ],
)
def test_which_device_is_chosen(
    monkeypatch, asked: str, cuda: bool, mps: bool, expected: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    if expected is None:
        with pytest.raises(NotAvailable, match=asked) as caught:
            device_of(asked)
        assert ("cuda" in str(caught.value.hint)) is cuda
    else:
        assert str(device_of(asked)) == expected
