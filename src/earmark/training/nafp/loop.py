"""The training loop: epochs, checkpoints, resume, search test.

All that is random in a step is drawn from (seed, epoch, step): a run that was stopped, or killed,
goes on as if nothing had happened, and two runs of one configuration are the same run.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earmark.errors import TrainingError, UsageError
from earmark.training.fingerprint.loss import prefix_loss
from earmark.training.nafp import checkpoint, model
from earmark.training.nafp.augment import Chain
from earmark.training.nafp.checkpoint import Place
from earmark.training.nafp.config import Config, Optimizer
from earmark.training.nafp.config_file import to_json
from earmark.training.nafp.data import Drawn, EpochSampler
from earmark.training.nafp.journal import Journal
from earmark.training.nafp.lamb import Lamb
from earmark.training.nafp.minisearch import MiniSearch, mini_search
from earmark.training.nafp.music import Music
from earmark.training.nafp.precision import wants_bfloat16
from earmark.training.nafp.trained import TrainedEncoder, device_of
from earmark.training.whole_file import write_whole


@dataclass(frozen=True)
class Step:
    """How far training is; handed to the caller's `on_step`."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float


class Trainer:
    """One run, new or resumed.

    Parameters
    ----------
    config : Config
    name : str
        Of the run; its folder is below ``config.folders.output``.
    music : Music
    resume : str
        ``latest``, which is a new run where there is none; or a checkpoint's number, and then
        later ones are set aside when training goes on.

    Raises
    ------
    CheckpointMismatch
        If the checkpoint to resume was made with another configuration.
    UsageError
        If there is too little music for a batch.
    """

    def __init__(
        self, config: Config, name: str, music: Music, *, resume: str = checkpoint.LATEST
    ) -> None:
        self.config, self.music = config, music
        self.folder = Path(config.folders.output) / name
        self.device = device_of(config.run.device)
        self.chain, self.tester = music.chains(config, self.device)
        self.sampler = _sampler(config, music, self.chain)
        limit = config.optimizer.steps_per_epoch
        self.steps = min(self.sampler.steps, limit) if limit else self.sampler.steps
        if not self.steps:
            raise UsageError(
                f"a batch of {config.optimizer.batch} needs {config.optimizer.batch // 2} "
                f"segments, found {len(self.sampler.segments)} in {len(music.train)} files",
                hint="--set optimizer.batch=N takes smaller batches",
            )
        self.net = model.build(config).to(self.device)
        self.optimizer = build_optimizer(config.optimizer, self.net)
        self.place, self.seconds = Place(0, 0), 0.0
        if resume != checkpoint.LATEST or checkpoint.checkpoints(self.folder):
            self._restore(checkpoint.find(self.folder, resume))
        self.bfloat16 = wants_bfloat16(self.net, config, self.device)
        self.encoder = TrainedEncoder(self.net, config, self.device, name=name)
        self.loss = math.nan
        self.tested: MiniSearch | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "config.json", f"{to_json(config)}\n".encode())
        self.journal = Journal(
            self.folder, tensorboard=config.run.tensorboard, after=self.steps_done
        )

    @property
    def steps_done(self) -> int:
        """Steps of all epochs so far."""
        return self.place.epoch * self.steps + self.place.step

    def run(
        self,
        *,
        epochs: int | None = None,
        on_step: Callable[[Step], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Place:
        """Train to the end, or for some epochs; a checkpoint and a search test after each.

        Ctrl-C saves what has been learned before it is passed on.
        """
        last = self.config.optimizer.epochs
        if epochs is not None:
            last = min(last, self.place.epoch + epochs)
        began = clock() - self.seconds
        checkpoint.set_aside(self.folder, self.place)
        if self.place.epoch and not self.place.step and self.place.epoch not in self.journal.tested:
            self.test()  # a kill came between an epoch and its test
        try:
            while self.place.epoch < last:
                for drawn in self._ahead():
                    self.train_step(drawn)
                    self.seconds = clock() - began
                    if on_step is not None:
                        on_step(self._progress())
                    self._save_within()
                self.place = Place(self.place.epoch + 1, 0)
                self.save()
                self.test()
        except KeyboardInterrupt:
            self.save()
            raise
        return self.place

    def train_step(self, drawn: Drawn) -> float:
        """Learn from one batch; return its loss.

        Raises
        ------
        TrainingError
            If the loss is no finite number.
        """
        epoch, step = self.place.epoch, self.place.step
        settings = self.config.optimizer
        rate = learning_rate(settings, self.steps_done, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((settings.seed, 23, epoch, step))
        anchors, positives = self.chain.pairs(drawn.sources, rng)
        self.net.train()
        both = model.vectors(self.net, torch.cat([anchors, positives]), bfloat16=self.bfloat16)
        loss = prefix_loss(
            *both.chunk(2),
            temperature=settings.temperature,
            prefixes=self.config.model.prefixes,
        )
        self.loss = float(loss.detach())
        if not math.isfinite(self.loss):
            raise TrainingError(
                f"the loss must be a finite number, became {self.loss} in epoch {epoch + 1}, "
                f"step {step + 1}",
                hint="a lower optimizer.rate, or run.precision=float32",
            )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.place = Place(epoch, step + 1)
        self.journal.scalars(self.steps_done, {"loss": self.loss, "rate": rate})
        return self.loss

    def test(self) -> MiniSearch | None:
        """Run the search test on the held-out music and write down what it finds."""
        pieces = self.music.validation[: self.config.run.test_tracks]
        if not pieces:
            return None
        found = mini_search(self.encoder, self.tester, pieces, seed=self.config.optimizer.seed)
        shares = {f"top1/{n}": share for n, share in found.top1.items()}
        shares |= {f"top1_near/{n}": share for n, share in found.top1_near.items()}
        self.journal.scalars(self.steps_done, shares, epoch=self.place.epoch)
        if self.config.run.picture:
            self.journal.similarity(self.place.epoch, self.steps_done, found.similarity)
        self.tested = found
        return found

    def save(self) -> Path:
        """Write a checkpoint, complete or not at all."""
        state: dict[str, Any] = {
            "config": to_json(self.config),
            "seconds": self.seconds,
            "steps_per_epoch": self.steps,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        path = checkpoint.write(self.folder, self.place, state)
        checkpoint.thin(self.folder, self.config.run.keep)
        return path

    def _save_within(self) -> None:
        every = self.config.run.checkpoint_steps
        if every and self.place.step % every == 0 and self.place.step < self.steps:
            self.save()

    def _restore(self, path: Path) -> None:
        state = checkpoint.read(path)
        checkpoint.check_same(path, checkpoint.config_of(state), self.config)
        self.place, self.seconds = Place(state["epoch"], state["step"]), state["seconds"]
        if self.place.step and state["steps_per_epoch"] != self.steps:
            # The music has changed: the epoch cannot be taken up in its middle.
            checkpoint.set_aside(self.folder, Place(self.place.epoch, 0))
            self.place = Place(self.place.epoch, 0)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _ahead(self) -> Iterator[Drawn]:
        """The batches of the rest of the epoch, read ahead by threads, in order."""
        epoch, todo = self.place.epoch, iter(range(self.place.step, self.steps))
        waiting: deque[Future[Drawn]] = deque()
        with ThreadPoolExecutor(self.config.run.threads) as pool:
            for batch in todo:
                waiting.append(pool.submit(self.sampler.draw, epoch, batch))
                if len(waiting) > 2 * self.config.run.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _progress(self) -> Step:
        return Step(
            self.place.epoch + 1,
            self.config.optimizer.epochs,
            self.place.step,
            self.steps,
            self.loss,
            self.seconds,
        )


def _sampler(config: Config, music: Music, chain: Chain) -> EpochSampler:
    return EpochSampler(
        music.train,
        config.features,
        config.selection,
        pairs=config.optimizer.batch // 2,
        length=chain.length,
        begin=chain.begin,
        jitter=chain.jitter,
        seed=config.optimizer.seed,
    )


def build_optimizer(settings: Optimizer, net: model.Net) -> torch.optim.Optimizer:
    """Return LAMB or Adam over a network's parameters."""
    if settings.resolved_kind == "adam":
        return torch.optim.Adam(net.parameters(), settings.rate, betas=settings.betas)
    return Lamb(
        net.parameters(),
        settings.rate,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )


def learning_rate(settings: Optimizer, step: int, steps_per_epoch: int) -> float:
    """Rate of a step: a cosine over all epochs from `rate` to `final_share` of it; no warm-up."""
    progress = min(1.0, step / (settings.epochs * steps_per_epoch))
    share = settings.final_share
    return settings.rate * (share + (1.0 - share) * 0.5 * (1.0 + math.cos(math.pi * progress)))
