"""The training loop: pairs in a batch are told from all other pairs of the batch.

Source of the loss: van den Oord et al., "Representation Learning with Contrastive Predictive
Coding" (2018), symmetric as in Radford et al. (2021).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from earmark.training.melody.hums import PairMaker
from earmark.training.melody.model import ContourNet
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
    """

    steps: int = 6000
    batch: int = 384
    rate: float = 2e-3
    seed: int = 0
    seconds: float = 1500.0


def contrast(target: torch.Tensor, hum: torch.Tensor) -> torch.Tensor:
    """The loss of vectors of pairs, both of shape (n, ndim): each must find its other half."""
    scores = target @ hum.T / TEMPERATURE
    own = torch.arange(len(target))
    return 0.5 * (
        nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)
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
    began, mean = time.monotonic(), 0.0
    for step in range(recipe.steps):
        done = max(step / recipe.steps, (time.monotonic() - began) / recipe.seconds)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        target, hum = (torch.from_numpy(part) for part in pairs.batch(recipe.batch))
        vectors = net(torch.cat([target, hum]))
        loss = contrast(vectors[: recipe.batch], vectors[recipe.batch :])
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
