"""A tiny data set in the published layout, a tiny network, and how tests train it."""

from __future__ import annotations

import runpy
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from earmark.training.nafp.config import (
    Augment,
    Config,
    Folders,
    Model,
    Optimizer,
    PublishedModel,
    Run,
)

with suppress(ImportError):
    # The tiny networks of tests gain nothing from threads, which on a busy machine wait for long.
    import torch

    torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent

TINY_NET = PublishedModel(
    channels=(4, 4, 8, 8, 8, 16, 16, 32), time_strides=(2, 2, 2, 2, 1, 2, 1, 2), ndim=16, hidden=4
)


def make_dataset(folder: Path, *, tracks: int = 4, seconds: float = 4.0) -> Path:
    make = runpy.run_path(str(ROOT / "examples" / "make_nafp_dataset.py"))
    make["main"](folder, tracks=tracks, seconds=seconds)
    return folder


def tiny(data: Path, output: Path, **optimizer: object) -> Config:
    """The published configuration with a tiny network, a few steps and no extras."""
    settings = {"batch": 8, "epochs": 2, "rate": 1e-3, "steps_per_epoch": 3} | optimizer
    return Config(
        folders=Folders(data=str(data), output=str(output)),
        model=Model(published=TINY_NET),
        optimizer=Optimizer(**settings),  # type: ignore[arg-type]
        run=Run(device="cpu", tensorboard="off", threads=1, test_tracks=2),
    )


def strong(config: Config) -> Config:
    """The same with our own chain, few rooms."""
    chain = replace(config.augment.strong, rooms=3)
    return replace(config, augment=Augment(chain="strong", strong=chain))
