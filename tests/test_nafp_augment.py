"""The published chain: levels, order, rooms with a past, holes of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.errors import UsageError  # noqa: E402
from earmark.training.nafp import config as parts  # noqa: E402
from earmark.training.nafp.augment import PublishedChain, Recordings  # noqa: E402
from earmark.training.nafp.config import Config, Features  # noqa: E402
from earmark.training.nafp.strong import StrongChain  # noqa: E402

CPU = torch.device("cpu")
NOTHING = {"background_p": 0.0, "room_p": 0.0, "holes_p": 0.0, "positive_offset": 0.0}
IMPULSE = np.concatenate([[1.0], np.zeros(99)]).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chain(
    *, backgrounds: list[np.ndarray] | None = None, rooms: list[np.ndarray] | None = None, **options
) -> PublishedChain:
    config = Config(augment=parts.Augment(published=parts.PublishedChain(**options)))
    return PublishedChain(
        config, Recordings(backgrounds or [], [], rooms or []), device=CPU, seed=0
    )


def music(n: int, length: int) -> np.ndarray:
    t = np.arange(length) / 8000
    rows = [np.sin(2 * np.pi * (300 + 170 * i) * t) * 0.3 for i in range(n)]
    return np.stack(rows).astype(np.float32)


def test_without_degradation_a_positive_is_its_anchor_at_another_level() -> None:
    made = chain(**NOTHING, gain=(0.3, 0.3))
    anchors, positives = made.pairs(music(3, made.length), rng())
    np.testing.assert_allclose(anchors, positives, atol=0.02)


def test_the_background_is_mixed_at_its_level_against_the_music() -> None:
    noise = rng(1).standard_normal(40_000).astype(np.float32) * 5
    options = NOTHING | {"background_p": 1.0}
    made = chain(**options, backgrounds=[noise], snr_db=(6.0, 6.0), gain=(1.0, 1.0))
    blocks = torch.from_numpy(music(4, made.block))
    mixed = made._mixed(blocks, [noise], 1.0, (6.0, 6.0), rng())
    power = [x.square().mean(1) for x in (blocks, mixed - blocks)]
    np.testing.assert_allclose(10 * torch.log10(power[0] / power[1]).numpy(), 6.0, atol=0.01)
    drawn = made._mixed(blocks.repeat(50, 1), [noise], 1.0, (0.0, 10.0), rng())
    power = [x.square().mean(1) for x in (blocks.repeat(50, 1), drawn - blocks.repeat(50, 1))]
    levels = 10 * torch.log10(power[0] / power[1]).numpy()
    assert levels.min() >= -0.01
    assert levels.max() <= 10.01
    assert levels.std() == pytest.approx(10 / 12**0.5, rel=0.15)


def test_the_gain_is_log_uniform() -> None:
    made = chain(**NOTHING)
    blocks = torch.from_numpy(music(1, made.block)).repeat(400, 1)
    peaks = made.degraded(blocks, rng()).abs().amax(1).numpy()
    assert peaks.min() >= 0.099
    assert peaks.max() <= 1.001
    assert np.log(peaks).mean() == pytest.approx(np.log(0.1) / 2, abs=0.1)


def test_a_room_lets_earlier_sound_be_heard_and_does_not_go_round() -> None:
    echo = np.zeros(8000, np.float32)
    echo[[0, 4000]] = (1.0, 0.8)
    options = NOTHING | {"room_p": 1.0}
    made = chain(**options, rooms=[echo], gain=(1.0, 1.0))
    blocks = np.zeros((2, made.block), np.float32)
    blocks[0, made.tail - 1000] = 1.0  # before the segment: its echo falls into it
    blocks[1, -1000] = 1.0  # near the end: its echo must not come round to the beginning
    wet = made.degraded(torch.from_numpy(blocks), rng()).numpy()
    assert int(np.argmax(np.abs(wet[0]))) == 3000
    assert int(np.argmax(np.abs(wet[1]))) == wet.shape[1] - 1000
    assert np.abs(wet[1][:-1001]).max() < 1e-5


def test_convolution_agrees_with_the_slow_twin() -> None:
    response = rng(2).standard_normal(700).astype(np.float32)
    response[0] = 9.0
    options = NOTHING | {"room_p": 1.0, "room_seconds": 0.1}
    made = chain(**options, rooms=[response], gain=(1.0, 1.0))
    block = music(1, made.block)
    cut = np.zeros(made.tail)
    cut[:700] = response
    cut[made.tail - 800 :] *= np.linspace(1.0, 0.0, 800)
    cut /= np.sqrt((cut**2).sum())
    slow = np.convolve(block[0] / np.abs(block[0]).max(), cut)[made.tail : made.block]
    wet = made.degraded(torch.from_numpy(block), rng()).numpy()[0]
    np.testing.assert_allclose(wet, slow, atol=1e-4)


def test_holes_are_quiet_and_each_sample_has_its_own() -> None:
    made = chain(**(NOTHING | {"holes_p": 1.0}))
    features = -torch.rand(60, 256, 32) - 0.1
    features[:, 0, 0] = -2.0  # the quietest value, which a hole would not change
    holed = made.holes(features, rng())
    changed = (holed != features).numpy()
    changed[:, 0, 0] = changed[:, 1, 0]
    assert len({row.tobytes() for row in changed}) == 60
    for row, before, where in zip(holed, features, changed, strict=True):
        assert (row[where] == before.min()).all()
        bands, frames = where.all(axis=1).sum(), where.any(axis=0)
        assert 4 <= bands <= 19  # the horizontal band, all along
        assert frames.all()
        rectangle = where[~where.all(axis=1)]
        assert 3 <= rectangle.any(axis=0).sum() <= 11 or not rectangle.any()
        assert rectangle.any(axis=1).sum() <= 101


def test_positives_are_moved_against_anchors() -> None:
    made = chain(**(NOTHING | {"positive_offset": 0.2}))
    assert made.length - made.block == 2 * 1600
    given = np.zeros((200, made.length), np.float32)
    given[:, made.begin] = 1.0
    starts = rng(3).integers(0, 2 * made.moves + 1, 200) - made.moves
    assert (starts.min(), starts.max()) != (0, 0)
    anchors, positives = made.pairs(given, rng(3))
    assert float((anchors - positives).abs().mean()) > 1e-3


def test_the_same_seed_gives_the_same_pairs() -> None:
    made, again = chain(), chain()
    given = music(3, made.length)
    for a, b in zip(made.pairs(given, rng(5)), again.pairs(given, rng(5)), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(made.pairs(given, rng(5))[1], made.pairs(given, rng(6))[1])


def test_silence_and_short_backgrounds_stay_finite() -> None:
    made = chain(backgrounds=[np.zeros(10, np.float32), np.ones(100, np.float32)])
    for features in made.pairs(np.zeros((6, made.length), np.float32), rng()):
        assert torch.isfinite(features).all()
        assert features.shape == (6, 256, 32)


@pytest.mark.parametrize(
    "features", [Features(), Features(stft_hop=250, fmin=160.0, scale="decibel", padding="sound")]
)
def test_our_own_chain_gives_what_the_network_takes(features: Features) -> None:
    base = Config(features=features)
    config = replace(
        base, augment=replace(base.augment, strong=replace(base.augment.strong, rooms=2))
    )
    made = StrongChain(config, Recordings(rooms=[IMPULSE]), device=CPU, seed=0)
    given = music(4, made.length)
    anchors, positives = made.pairs(given, rng())
    assert anchors.shape == positives.shape == (4, 256, 32)
    assert torch.isfinite(positives).all()
    if features.scale == "log":
        assert float(anchors.max()) == 0.0
    else:
        assert float(anchors.min()) >= -1.0 - 1e-6


def test_our_own_chain_refuses_other_rates() -> None:
    config = Config(features=Features(sample_rate=16000))
    with pytest.raises(UsageError, match="8 kHz"):
        StrongChain(config, Recordings(), device=CPU, seed=0)
