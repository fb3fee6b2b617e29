"""The configuration of a training run: files, options, what is refused, what differs."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.errors import UsageError
from earmark.training.nafp.config import Config, Optimizer, preset
from earmark.training.nafp.config_file import (
    differences,
    from_dict,
    load_config,
    to_json,
    to_toml,
)


def test_the_defaults_are_the_published_ones() -> None:
    config = Config()
    f, o, a = config.features, config.optimizer, config.augment.published
    assert (f.sample_rate, f.samples, f.step, f.frames, f.bands) == (8000, 8000, 4000, 32, 256)
    assert (f.n_fft, f.stft_hop, f.fmin, f.fmax, f.offset) == (1024, 256, 300.0, 4000.0, 0.06)
    assert (o.batch, o.rate, o.epochs, o.temperature, o.final_share) == (120, 1e-4, 100, 0.05, 1e-6)
    assert (o.betas, o.eps, o.weight_decay) == ((0.9, 0.999), 1e-6, 1e-6)
    assert (a.snr_db, a.gain, a.anchor_offset, a.positive_offset) == ((0, 10), (0.1, 1), 0.2, 0.2)
    assert (a.hole_frames, a.hole_bands, a.band_bands) == ((3, 11), (25, 101), (5, 19))
    assert config.model.published.channels == (128, 128, 256, 256, 512, 512, 1024, 1024)
    assert config.model.published.time_strides == (2, 2, 2, 2, 1, 2, 1, 2)


@pytest.mark.parametrize(("batch", "kind"), [(120, "adam"), (238, "adam"), (240, "lamb")])
def test_the_optimizer_follows_the_batch(batch: int, kind: str) -> None:
    assert Optimizer(batch=batch).resolved_kind == kind
    assert Optimizer(batch=batch, kind="lamb").resolved_kind == "lamb"


@pytest.mark.parametrize("name", ["published", "compact"])
def test_round_trips(name: str) -> None:
    config = preset(name)
    assert from_dict(tomllib.loads(to_toml(config))) == config
    assert from_dict(json.loads(to_json(config))) == config


def test_the_compact_preset_sees_what_the_shipped_network_sees() -> None:
    from earmark.fingerprinting import FrontEnd

    assert preset("compact").features.front == FrontEnd()


def test_files_and_options(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[optimizer]\nbatch = 640\nrate = 1\n[folders]\nmusic = "m"\n')
    config = load_config(path, ["optimizer.epochs=3", "folders.data=/a b/c", "run.picture=false"])
    assert config.optimizer == Optimizer(batch=640, rate=1.0, epochs=3)
    assert (config.folders.music, config.folders.data) == ("m", "/a b/c")
    assert config.run.picture is False
    listed = load_config(None, ["augment.published.snr_db=[0, 5]", "model.kind=compact"])
    assert listed.augment.published.snr_db == (0.0, 5.0)
    assert listed.model.kind == "compact"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("optimizer.bach=8", r"no 'optimizer\.bach'"),
        ("optimiser.batch=8", "no 'optimiser'"),
        ("optimizer.batch=eight", "whole number"),
        ("optimizer.batch=true", "whole number"),
        ("optimizer.batch=7", "even"),
        ("optimizer.batch=0", "at least 4"),
        ("optimizer.rate=nan", "at least"),
        ("optimizer.kind=sgd", "adam"),
        ("optimizer=3", "part"),
        ("augment.published.snr_db=[5]", "list of 2"),
        ("augment.published.snr_db=[9, 1]", "smaller first"),
        ("augment.published.room_p=2", "from 0 to 1"),
        ("model.published.channels=[4]", "one number a block"),
        ("model.published.channels=4", "a list"),
        ("features.scale=mel", "log"),
        ("run.device=gpu", "cuda"),
        ("selection.exclude=[1]", "a text"),
        ("batch", "part.name=value"),
    ],
)
def test_what_is_refused(option: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config(None, [option])


def test_a_misspelt_name_shows_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_config(None, ["optimizer.bach=8"])
    assert "'batch'" in str(caught.value.hint)


@pytest.mark.parametrize("content", ["[optimizer", "batch == 3", "\xff"])
def test_files_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="TOML"):
        load_config(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_differences_are_of_what_is_learned() -> None:
    config = Config()
    elsewhere = replace(
        config,
        folders=replace(config.folders, data="/x"),
        run=replace(config.run, device="cuda"),
    )
    assert differences(config, elsewhere) == []
    other = load_config(None, ["optimizer.batch=8", "model.published.ndim=64"])
    assert differences(config, other) == [
        "model.published.ndim: 128 against 64",
        "optimizer.batch: 120 against 8",
    ]
