"""The network: a window of a contour in, a vector of length 1 out."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from earmark.melody.windows import POINTS

NDIM = 64


class Block(nn.Module):  # type: ignore[misc]  # torch may not be there
    """Two convolutions beside a shortcut, and half as many points."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inside, outside, 5, stride=2, padding=2)
        self.second = nn.Conv1d(outside, outside, 3, padding=1)
        self.shortcut = nn.Conv1d(inside, outside, 1, stride=2)
        self.norms = nn.ModuleList([nn.BatchNorm1d(outside) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        return torch.relu(y + self.shortcut(x))


class ContourNet(nn.Module):  # type: ignore[misc]
    """Embeds windows, shape (n, 2, POINTS), to vectors, shape (n, ndim)."""

    def __init__(self, ndim: int = NDIM) -> None:
        super().__init__()
        sizes = (40, 64, 96, 128)
        self.stem = nn.Sequential(
            nn.Conv1d(2, sizes[0], 7, padding=3), nn.BatchNorm1d(sizes[0]), nn.ReLU()
        )
        pairs = pairwise(sizes)
        self.blocks = nn.Sequential(*[Block(a, b) for a, b in pairs])
        self.head = nn.Linear(sizes[-1] * (POINTS // 8), ndim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.blocks(self.stem(x)).flatten(1)
        return nn.functional.normalize(self.head(y), dim=1)
