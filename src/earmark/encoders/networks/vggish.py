"""VGGish: a small VGG over 0.96 s of a log-mel spectrogram.

Takes (n, 1, 96, 64), gives 128 numbers.

Source: Hershey et al., "CNN Architectures for Large-Scale Audio Classification" (2017); the
layout of parameters is that of the PyTorch port's release.
"""

from __future__ import annotations

import torch
from torch import nn

NDIM = 128
FRAMES = 96
BANDS = 64

_GROUPS = ((64,), (128,), (256, 256), (512, 512))
"""Convolutions between poolings."""

IGNORED = ("pproc.",)
"""The post-processor, which the published file of the whole system carries along."""


class Vggish(nn.Module):  # type: ignore[misc]
    """The whole network, without its post-processing."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for group in _GROUPS:
            for width in group:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        flat = channels * (FRAMES // 16) * (BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, NDIM),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return embeddings, shape (n, 128)."""
        # The weights of the first layer expect time, band, channel.
        x = self.features(x).permute(0, 2, 3, 1)
        embedded: torch.Tensor = self.embeddings(x.flatten(1))
        return embedded
