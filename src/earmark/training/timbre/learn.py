"""Learn the projection: linear discriminants, a small net that starts from them, and
discriminants of both together.

`discriminants` is LDA whose classes count with weights, with within-class scatter from notes of one
sound of one font (and, by `across`, from one instrument's fonts), in closed form.  `refine` adds a
hidden layer and trains both with a supervised contrastive loss on two labels at once: the same
sound of the same font, and the same kind across fonts.  A pair of the same label and the same key
counts neither way, so that pitch explains nothing.  Groups of descriptors are left out at random.
`combine` takes the descriptors and the net's vector as one table and learns discriminants of it,
from more sounds than the net: what the net has lost of the descriptors comes back.

Sources: Fisher 1936; Khosla et al. 2020 (supervised contrastive learning).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark.errors import NotAvailable
from earmark.training.timbre.corpus import Table
from earmark.types import AnyArray, Float32Array, Float64Array

CLIP = 4.0
VECTOR, BITS = 64, 256
_LARGE = ("linear", "hidden", "out")
"""Arrays that are kept as float16."""


@dataclass(frozen=True)
class Recipe:
    """All choices of the learning; `seed` makes it repeatable."""

    seed: int = 0
    ridge: float = 0.1
    across: float = 0.0
    kinds: float = 0.5
    hidden: int = 512
    steps: int = 1500
    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    temperature: float = 0.1
    kind_loss: float = 0.5
    dropout: float = 0.3
    group_dropout: float = 0.1
    noise: float = 0.1
    kinds_per_batch: int = 32
    sounds_per_kind: int = 3
    rows_per_sound: int = 5
    drawn_weight: float = 0.2
    vector_gain: float = 8.0


def standard(table: Table) -> tuple[Float32Array, Float32Array]:
    """Mean and deviation of each descriptor, float32, shape (d,)."""
    scale = table.x.std(axis=0, dtype=np.float64) + 1e-3
    return table.x.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32)


def standardised(x: Float32Array, mean: Float32Array, scale: Float32Array) -> Float32Array:
    """Descriptors as the projection takes them, shape kept."""
    return np.asarray(np.clip((x - mean) / scale, -CLIP, CLIP), np.float32)


def discriminants(z: Float32Array, table: Table, recipe: Recipe) -> Float64Array:
    """Directions, shape (d, 64), along which sounds differ most and notes of one sound least.

    Each kind counts with the root of its number of sounds; drawn sounds count less.
    """
    return _discriminants(z, table, np.ones(len(z), np.float32), recipe)[0]


def combine(
    z: Float32Array, vectors: Float32Array, table: Table, share: Float32Array, recipe: Recipe
) -> dict[str, Float32Array]:
    """Discriminants of descriptors and the net's vectors together.

    Parameters
    ----------
    z : float32 array, shape (n, d)
        Standardised descriptors of `table`.
    vectors : float32 array, shape (n, 64)
        The net's, of unit length.
    share : float32 array, shape (n,)
        How much each row counts: degraded ones less, lest they cost what clean ones tell.

    Returns
    -------
    dict
        ``again`` (d, 64), ``again_vector`` (64, 64), ``again_bias`` (64,): the vector is
        ``unit(z @ again + vectors @ again_vector + again_bias)``.
    """
    both = np.concatenate([z, np.float32(recipe.vector_gain) * vectors], axis=1)
    directions, centre = _discriminants(both, table, share, recipe)
    d = z.shape[1]
    # Directions have unit deviation within a sound: smaller numbers keep their digits in float16.
    directions = directions / np.abs(directions).max()
    return {
        "again": directions[:d].astype(np.float32),
        "again_vector": (directions[d:] * recipe.vector_gain).astype(np.float32),
        "again_bias": -(centre @ directions).astype(np.float32),
    }


def _discriminants(
    z: Float32Array, table: Table, share: Float32Array, recipe: Recipe
) -> tuple[Float64Array, Float64Array]:
    """Directions, shape (d, 64), and the weighted mean of the sounds' means, shape (d,)."""
    names, fine = np.unique(table.fine, return_inverse=True)
    order = np.argsort(fine, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(fine))[:-1]])
    count = np.bincount(fine, share)
    sums = np.add.reduceat(z[order] * share[order][:, None], starts, axis=0)
    means = sums.astype(np.float64) / count[:, None]
    first = order[starts]
    kinds, kind = np.unique(table.coarse[first], return_inverse=True)
    weight = np.where(np.char.startswith(names, "synth"), recipe.drawn_weight, 1.0)
    weight = weight / np.sqrt(np.bincount(kind)[kind])
    weight /= weight.sum()
    each = np.sqrt(share * (weight / count)[fine]).astype(np.float32)
    rest = (z - means.astype(np.float32)[fine]) * each[:, None]
    kind_weight = np.bincount(kind, weight).astype(np.float64)
    kind_means = np.zeros((len(kinds), z.shape[1]))
    np.add.at(kind_means, kind, means * weight[:, None])
    kind_means /= kind_weight[:, None]
    within = (rest.T @ rest).astype(np.float64) + recipe.across * _scatter(
        means - kind_means[kind], weight
    )
    between = (1 - recipe.kinds) * _scatter(means, weight)
    between += recipe.kinds * _scatter(kind_means, kind_weight)
    within += recipe.ridge * np.trace(within) / len(within) * np.eye(len(within))
    return _generalised(between, within, VECTOR), weight @ means


def refine(
    z: Float32Array,
    table: Table,
    start: Float64Array,
    groups: Sequence[slice],
    recipe: Recipe,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> dict[str, Float32Array]:
    """Train the net from the discriminants; needs PyTorch.

    Returns
    -------
    dict
        ``linear`` (d, 64), ``hidden`` (d, h), ``hidden_bias`` (h,), ``out`` (h, 64), ``bias``
        (64,): ``unit(z @ linear + relu(z @ hidden + hidden_bias) @ out + bias)``.
    """
    torch = _torch()
    torch.manual_seed(recipe.seed)
    net = _net(torch, start, recipe)
    params = [p.requires_grad_(True) for p in net.values()]
    optimizer = torch.optim.AdamW(params, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2 * recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    rows = torch.from_numpy(z)
    labels = [
        torch.from_numpy(np.unique(a, return_inverse=True)[1]) for a in (table.fine, table.coarse)
    ]
    key = torch.from_numpy(table.key.astype(np.int64))
    rng = np.random.default_rng(recipe.seed)
    draw = _drawer(table, recipe, rng)
    for step in range(recipe.steps):
        index = torch.from_numpy(draw())
        x = _disturbed(torch, rows[index], groups, recipe)
        vectors = _forward(torch, net, x, recipe.dropout)
        loss = _contrast(torch, vectors, labels[0][index], key[index], recipe.temperature)
        loss = loss + recipe.kind_loss * _contrast(
            torch, vectors, labels[1][index], key[index], recipe.temperature
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step:
            on_step(step, loss.item())
    return {name: p.detach().numpy() for name, p in net.items()}


def as_stored(net: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
    """The net with the digits that its file keeps, so that what follows fits what is shipped."""
    return {
        name: array.astype(np.float16).astype(np.float32) if name in _LARGE else array
        for name, array in net.items()
    }


def vectors(z: Float32Array, net: Mapping[str, Float32Array]) -> Float32Array:
    """The net's vectors of standardised descriptors, shape (n, d): unit length, shape (n, 64)."""
    inner = np.maximum(z @ net["hidden"] + net["hidden_bias"], 0)
    return _unit(z @ net["linear"] + inner @ net["out"] + net["bias"])


def vectors_again(
    z: Float32Array, first: Float32Array, again: Mapping[str, Float32Array]
) -> Float32Array:
    """Vectors of the second stage, of `vectors` and what `combine` gave; shape (n, 64)."""
    return _unit(z @ again["again"] + first @ again["again_vector"] + again["again_bias"])


def _unit(y: Float32Array) -> Float32Array:
    length = np.linalg.norm(y, axis=1, keepdims=True)
    return np.asarray(y / np.maximum(length, np.float32(1e-12)), np.float32)


def directions(vectors: Float32Array, *, seed: int) -> tuple[Float32Array, Float32Array]:
    """Centre (64,) and four drawn rotations side by side (64, 256) for the code's signs."""
    rng = np.random.default_rng(seed)
    blocks = [np.linalg.qr(rng.standard_normal((VECTOR, VECTOR)))[0] for _ in range(BITS // VECTOR)]
    return vectors.mean(axis=0), np.concatenate(blocks, axis=1).astype(np.float32)


def package(
    mean: Float32Array,
    scale: Float32Array,
    net: Mapping[str, Float32Array],
    code: tuple[Float32Array, Float32Array],
    again: Mapping[str, Float32Array],
    *,
    version: int,
) -> dict[str, AnyArray]:
    """Arrays of the data file; large ones as float16."""
    large = {n: net[n].astype(np.float16) for n in _LARGE}
    large |= {n: again[n].astype(np.float16) for n in ("again", "again_vector")}
    return {
        "version": np.array(version),
        "mean": mean,
        "scale": scale,
        "hidden_bias": net["hidden_bias"].astype(np.float32),
        "bias": net["bias"].astype(np.float32),
        "again_bias": again["again_bias"].astype(np.float32),
        "centre": code[0].astype(np.float32),
        "directions": code[1].astype(np.float16),
        **large,
    }


def _scatter(rows: Float64Array, weight: AnyArray) -> Float64Array:
    share = weight / weight.sum()
    centred = (rows - share @ rows) * np.sqrt(share)[:, None]
    return np.asarray(centred.T @ centred)


def _generalised(between: Float64Array, within: Float64Array, count: int) -> Float64Array:
    """Leading solutions of between v = lambda within v, within-orthonormal."""
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(root @ between @ root.T)
    return np.asarray(root.T @ vectors[:, ::-1][:, :count])


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise NotAvailable(
            "learning the timbre projection needs PyTorch", hint="pip install torch"
        ) from None
    return torch


def _net(torch: Any, start: Float64Array, recipe: Recipe) -> dict[str, Any]:
    d = len(start)
    return {
        "linear": torch.from_numpy(start.astype(np.float32)),
        "hidden": torch.randn(d, recipe.hidden) / d**0.5,
        "hidden_bias": torch.zeros(recipe.hidden),
        "out": 0.1 * torch.randn(recipe.hidden, VECTOR) / recipe.hidden**0.5,
        "bias": torch.zeros(VECTOR),
    }


def _forward(torch: Any, net: Mapping[str, Any], x: Any, dropout: float) -> Any:
    inner = torch.relu(x @ net["hidden"] + net["hidden_bias"])
    inner = torch.nn.functional.dropout(inner, dropout)
    y = x @ net["linear"] + inner @ net["out"] + net["bias"]
    return torch.nn.functional.normalize(y, dim=1)


def _disturbed(torch: Any, x: Any, groups: Sequence[slice], recipe: Recipe) -> Any:
    x = x + recipe.noise * torch.randn_like(x)
    for group in groups:
        x[:, group] *= (torch.rand(len(x), 1) > recipe.group_dropout).float()
    return x


def _contrast(torch: Any, vectors: Any, label: Any, key: Any, temperature: float) -> Any:
    """Supervised contrastive loss; pairs of one label and one key are left out."""
    similarity = vectors @ vectors.T / temperature
    same = label[:, None] == label[None]
    unpitched = (key[:, None] != key[None]) | (key[:, None] < 0)
    myself = torch.eye(len(vectors), dtype=torch.bool)
    similarity = similarity.masked_fill(myself | (same & ~unpitched), -1e9)
    positive = same & unpitched & ~myself
    log_share = similarity - torch.logsumexp(similarity, 1, keepdim=True)
    count = positive.sum(1)
    there = count > 0
    return -((log_share * positive).sum(1)[there] / count[there]).mean()


def _drawer(table: Table, recipe: Recipe, rng: np.random.Generator) -> Callable[[], AnyArray]:
    """Draw kinds, sounds of each kind, rows of each sound; drums often, drawn sounds rarely."""
    fine = np.unique(table.fine, return_inverse=True)[1]
    names, coarse = np.unique(table.coarse, return_inverse=True)
    rows_of = np.split(np.argsort(fine, kind="stable"), np.cumsum(np.bincount(fine))[:-1])
    sounds_of = [np.unique(fine[coarse == k]) for k in range(len(names))]
    chance = np.array([_chance(str(name)) for name in names])
    chance /= chance.sum()

    def draw() -> AnyArray:
        index: list[AnyArray] = []
        for k in rng.choice(len(names), recipe.kinds_per_batch, replace=False, p=chance):
            sounds = sounds_of[k]
            for s in rng.permutation(sounds)[: recipe.sounds_per_kind]:
                index.append(rng.permutation(rows_of[s])[: recipe.rows_per_sound])
        return np.concatenate(index)

    return draw


def _chance(name: str) -> float:
    return 3.0 if name.startswith("drum/") else 1.0 if name.startswith("gm/") else 0.3
