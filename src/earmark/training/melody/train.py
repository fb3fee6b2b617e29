"""The training loop: pairs in a batch are told from all other pairs of the batch.

A hum must also tell its window from those of the batches before, whose vectors are kept for a
while: among ten thousand tunes the nearest wrong one is nearer than any of a batch.

Source of the loss: van den Oord et al., "Representation Learning with Contrastive Predictive
Coding" (2018), symmetric as in Radford et al. (2021); of the vectors kept: Wang et al.,
"Cross-Batch Memory for Embedding Learning" (2020).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from earmark.training.melody.hums import PairMaker
from earmark.training.melody.model import NDIM, ContourNet
from earmark.training.melody.tunes import Tunes

TEMPERATURE = 0.06


@dataclass(frozen=True)
class Recipe:
    """How to train; `seconds` ends it early, and the learning rate is planned for that.

    Parameters
    ----------
    steps, batch : int
    rate : float
        The largest learning rate.
    seed : int
    seconds : float
        Wall time at most.
    kept : int
        Windows of the batches before that hums are told from too.
    """

    steps: int = 6000
    batch: int = 384
    rate: float = 2e-3
    seed: int = 0
    seconds: float = 1500.0
    kept: int = 8192


class Kept:
    """Vectors of windows of the batches before, with the tunes that they are of.

    Parameters
    ----------
    size : int
        How many are kept; 0 for none.
    """

    def __init__(self, size: int, ndim: int = NDIM) -> None:
        self._size = size
        self.vectors = torch.zeros(0, ndim)
        self.tunes = torch.zeros(0, dtype=torch.int64)

    def add(self, vectors: torch.Tensor, tunes: torch.Tensor) -> None:
        """Keep these, shapes (n, ndim) and (n,), and forget the oldest."""
        first = max(0, len(self.tunes) + len(tunes) - self._size)
        self.vectors = torch.cat([self.vectors, vectors.detach()])[first:]
        self.tunes = torch.cat([self.tunes, tunes])[first:]


def contrast(
    target: torch.Tensor,
    hum: torch.Tensor,
    tunes: torch.Tensor | None = None,
    kept: Kept | None = None,
) -> torch.Tensor:
    """The loss of vectors of pairs, both of shape (n, ndim): each must find its other half.

    Parameters
    ----------
    target, hum : Tensor, shape (n, ndim)
    tunes : Tensor of int64, shape (n,), optional
        Which tune each pair is of; windows kept of the same tune count neither way.
    kept : Kept, optional
        Windows that a hum must not find instead of its own.
    """
    scores = target @ hum.T / TEMPERATURE
    own = torch.arange(len(target))
    found = scores.T
    if kept is not None and tunes is not None and len(kept.tunes):
        others = hum @ kept.vectors.T / TEMPERATURE
        same = tunes[:, None] == kept.tunes
        found = torch.cat([found, others.masked_fill(same, -torch.inf)], dim=1)
    return 0.5 * (
        nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(found, own)
    )


def train(
    tunes: Tunes,
    recipe: Recipe,
    folder: Path,
    *,
    say: Callable[[str], None],
    start: ContourNet | None = None,
) -> ContourNet:
    """Train on tunes; the newest weights lie in ``folder/melody.pt`` all the while.

    Parameters
    ----------
    tunes : Tunes
    recipe : Recipe
    folder : Path
    say : callable
        Told the loss now and then.
    start : ContourNet, optional
        Train this one on.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    net: ContourNet = start or ContourNet()
    net.train()
    pairs = PairMaker(tunes, seed=recipe.seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=1e-4)
    kept = Kept(recipe.kept)
    began, mean = time.monotonic(), 0.0
    for step in range(recipe.steps):
        done = max(step / recipe.steps, (time.monotonic() - began) / recipe.seconds)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        loss = _loss(net, pairs, recipe.batch, kept)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = float(loss.detach()) if step == 0 else 0.98 * mean + 0.02 * float(loss.detach())
        if step % 100 == 99:
            say(f"step {step + 1} loss {mean:.4f} after {time.monotonic() - began:.0f} s")
            save(net, recipe, step + 1, folder)
    save(net, recipe, recipe.steps, folder)
    net.eval()
    return net


def _loss(net: ContourNet, pairs: PairMaker, size: int, kept: Kept) -> torch.Tensor:
    """The loss of a new batch, whose windows are kept.

    The convolutions are done in bfloat16, which is faster where the processor knows it.
    """
    target, hum, which = pairs.batch(size)
    with torch.autocast("cpu", torch.bfloat16):
        vectors = net(torch.from_numpy(np.concatenate([target, hum]))).float()
    tunes = torch.from_numpy(which)
    loss = contrast(vectors[:size], vectors[size:], tunes, kept)
    kept.add(vectors[:size], tunes)
    return loss


def save(net: ContourNet, recipe: Recipe, step: int, folder: Path) -> None:
    """Write the weights, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "melody.pt.new"
    torch.save({"net": net.state_dict(), "recipe": asdict(recipe), "step": step}, temporary)
    temporary.replace(folder / "melody.pt")


def load(folder: Path) -> ContourNet:
    """Read the weights that `save` wrote."""
    state = torch.load(folder / "melody.pt", weights_only=True)
    net = ContourNet()
    net.load_state_dict(state["net"])
    net.eval()
    return net
