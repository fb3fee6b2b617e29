"""PANNs Cnn14: six pairs of convolutions over a log-mel spectrogram.

Takes (n, 1, frames, 64), gives the logits of 527 classes and 2,048 numbers.

Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern
Recognition" (2020).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

LABELS = 527
BANDS = 64
NDIM = 2048

IGNORED = ("spectrogram_extractor.", "logmel_extractor.")
"""Tables that the published file carries and that the front-end computes itself."""


class _Pair(nn.Module):  # type: ignore[misc]
    """Two convolutions with batch normalisation, then a mean over squares of `pool`."""

    def __init__(self, inputs: int, outputs: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return functional.avg_pool2d(x, self.pool) if self.pool > 1 else x


class Cnn14(nn.Module):  # type: ignore[misc]
    """The whole network."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(BANDS)
        channels = 1
        for block in range(1, 7):
            width = 32 * 2**block
            self.add_module(f"conv_block{block}", _Pair(channels, width, 2 if block < 6 else 1))
            channels = width
        self.fc1 = nn.Linear(NDIM, NDIM)
        self.fc_audioset = nn.Linear(NDIM, LABELS)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits, shape (n, 527), and embeddings, shape (n, 2048)."""
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for block in range(1, 7):
            x = getattr(self, f"conv_block{block}")(x)
        x = x.mean(3)
        x = torch.relu(self.fc1(x.amax(2) + x.mean(2)))
        return self.fc_audioset(x), x
