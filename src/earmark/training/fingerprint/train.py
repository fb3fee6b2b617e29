"""The training loop: checkpoints, resume, a wall-clock limit.

The learning rate follows a cosine over the run's progress, which is the larger of the share of
steps and (with a time limit) the share of time: a run on a busy machine ends on time and fully
annealed all the same.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earmark.errors import CheckpointMismatch
from earmark.training.degrade import NoiseBank
from earmark.training.fingerprint.augment import Augmenter
from earmark.training.fingerprint.config import TrainConfig
from earmark.training.fingerprint.data import Piece, Sampler
from earmark.training.fingerprint.loss import prefix_loss
from earmark.training.fingerprint.model import FingerprintNet
from earmark.training.fingerprint.validate import search_test
from earmark.types import Float32Array

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainData:
    """What a run learns from: pieces for training and for the search test, noise, rooms."""

    train: list[Piece]
    val: list[Piece]
    noise: NoiseBank
    rooms: list[Float32Array]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:07d}.pt"


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint of a folder, None without one."""
    return max(folder.glob("step-*.pt"), default=None)


def load_checkpoint(path: Path, config: TrainConfig | None = None) -> dict[str, Any]:
    """Read a checkpoint; raise `CheckpointMismatch` if its configuration is not `config`."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if config is not None:
        stored = TrainConfig.from_json(json.loads(state["config"]))
        if differences := stored.differences(config):
            raise CheckpointMismatch(
                f"{path} was made with another configuration (checkpoint against present): "
                + "; ".join(differences)
            )
    return state


class Trainer:
    """One training run.

    Parameters
    ----------
    config : TrainConfig
    data : TrainData
    folder : Path
        Takes checkpoints, ``config.json`` and ``log.jsonl``; a run in it is resumed.
    """

    def __init__(self, config: TrainConfig, data: TrainData, folder: Path) -> None:
        self.config, self.data, self.folder = config, data, folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config.to_json(), indent=2))
        optimizer = config.optimizer
        torch.manual_seed(optimizer.seed)
        self.net = FingerprintNet(config.model, config.front)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(
            self.net.parameters(), optimizer.rate, weight_decay=optimizer.weight_decay
        )
        self.step, self.seconds = 0, 0.0
        if (latest := latest_checkpoint(folder)) is not None:
            self._restore(load_checkpoint(latest, config))
        self.rng = np.random.default_rng((optimizer.seed, self.step))
        self.augmenter = Augmenter(
            config.augment, config.front, data.noise, data.rooms, rng=self.rng
        )
        self.sampler = Sampler(
            data.train, length=self.augmenter.source_length, begin=self.augmenter.source_begin
        )

    def run(
        self,
        *,
        time_limit: float | None = None,
        checkpoint_every: int = 500,
        test_every: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Train to the last step or until `time_limit` seconds (of all sessions) are used up."""
        began = clock() - self.seconds
        total = self.config.optimizer.steps
        running = 0.0
        while self.step < total and (time_limit is None or clock() - began < time_limit):
            progress = self.step / total
            if time_limit is not None:
                progress = max(progress, (clock() - began) / time_limit)
            loss = self.train_step(progress)
            running = loss if self.step == 1 else 0.98 * running + 0.02 * loss
            self.seconds = clock() - began
            if self.step % 50 == 0:
                self._log({"loss": round(running, 4), "progress": round(progress, 4)})
            if self.step % checkpoint_every == 0:
                self.save()
            if self.step % test_every == 0:
                self.test()
        self.save()
        self.test()

    def train_step(self, progress: float) -> float:
        """One batch; returns its loss."""
        optimizer = self.config.optimizer
        for group in self.adam.param_groups:
            group["lr"] = learning_rate(self.config, progress, self.step)
        sources = self.sampler.draw(optimizer.pairs, self.rng)
        anchors, positives = self.augmenter.pairs(sources)
        both = torch.cat([anchors, positives])
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=optimizer.bfloat16):
            features = self.net.features(both)
        vectors = torch.nn.functional.normalize(self.net.head(features.float()), dim=1)
        loss = prefix_loss(
            *vectors.chunk(2),
            temperature=optimizer.temperature,
            prefixes=self.config.model.prefixes,
        )
        self.adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.adam.step()
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {self.step}")
        return value

    def test(self) -> dict[str, float]:
        """Run the search test on the held-out pieces and log its figures."""
        if not self.data.val:
            return {}
        found = search_test(self.net, self.data.val, self.data.noise, self.config.front)
        self._log({"test": found})
        return found

    def save(self) -> Path:
        """Write a checkpoint, complete or not at all."""
        path = checkpoint_path(self.folder, self.step)
        part = path.with_suffix(".part")
        state = {
            "config": json.dumps(self.config.to_json()),
            "step": self.step,
            "seconds": self.seconds,
            "net": self.net.state_dict(),
            "adam": self.adam.state_dict(),
        }
        torch.save(state, part)
        part.replace(path)
        return path

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.net.load_state_dict(state["net"])
        self.adam.load_state_dict(state["adam"])

    def _log(self, values: dict[str, Any]) -> None:
        entry = {"step": self.step, "seconds": round(self.seconds, 1)} | values
        log.info("%s", entry)
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def learning_rate(config: TrainConfig, progress: float, step: int) -> float:
    """Rate of a step: linear warm-up, then a cosine to the final rate over `progress` 0..1."""
    optimizer = config.optimizer
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    rate = optimizer.final_rate + (optimizer.rate - optimizer.final_rate) * cosine
    return rate * min(1.0, (step + 1) / max(1, optimizer.warmup))
