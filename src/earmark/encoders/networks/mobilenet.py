"""EfficientAT: MobileNetV3-Large over a log-mel spectrogram, any width.

Takes (n, 1, 128, frames), gives the logits of 527 classes and the mean of the last feature map.

Sources: Howard et al., "Searching for MobileNetV3" (2019), table 1; Schmid, Koutini and Widmer,
"Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation" (2023).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

LABELS = 527


class Block(NamedTuple):
    """A line of the paper's table: kernel, channels inside, channels out, and the rest."""

    kernel: int
    inner: int
    out: int
    squeeze: bool
    hard: bool
    stride: int


_TABLE = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)
_FIRST = 16
_HIDDEN = 1280


def rounded(channels: float) -> int:
    """The multiple of 8 nearest to a number of channels, at least 8, never below nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    act: nn.Module | None,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act]))


class _Squeeze(nn.Module):  # type: ignore[misc]
    """Channels weighted by what a small network makes of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = rounded(channels // 4)
        self.fc1 = nn.Linear(channels, inner)
        self.fc2 = nn.Linear(inner, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))
        return x * scale[:, :, None, None]


class _Concurrent(nn.Module):  # type: ignore[misc]
    """Holds one `_Squeeze` under the name that the checkpoints have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_Squeeze(channels)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed: torch.Tensor = self.conc_se_layers[0](x)
        return squeezed


class _Inverted(nn.Module):  # type: ignore[misc]
    """Expand, convolve each channel, squeeze, project; added to the input where shapes allow."""

    def __init__(self, inputs: int, row: Block, width: float) -> None:
        super().__init__()
        inner, out = rounded(row.inner * width), rounded(row.out * width)
        act = nn.Hardswish if row.hard else nn.ReLU
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(_convolution(inputs, inner, 1, act=act()))
        layers.append(_convolution(inner, inner, row.kernel, row.stride, inner, act=act()))
        if row.squeeze:
            layers.append(_Concurrent(inner))
        layers.append(_convolution(inner, out, 1, act=None))
        self.block = nn.Sequential(*layers)
        self.residual = row.stride == 1 and inputs == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.block(x)
        return x + y if self.residual else y


class MobileNet(nn.Module):  # type: ignore[misc]
    """The whole network.

    Parameters
    ----------
    width : float
        Of all layers: 0.4 for mn04, 1.0 for mn10.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = rounded(_FIRST * width)
        layers: list[nn.Module] = [_convolution(1, channels, 3, 2, act=nn.Hardswish())]
        for row in _TABLE:
            layers.append(_Inverted(channels, row, width))
            channels = rounded(row.out * width)
        self.ndim = 6 * channels
        layers.append(_convolution(channels, self.ndim, 1, act=nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        hidden = rounded(_HIDDEN * width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(self.ndim, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, LABELS),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits, shape (n, 527), and embeddings, shape (n, ndim)."""
        x = self.features(x)
        return self.classifier(x), x.mean((2, 3))
