"""The compact fingerprint network.

A patch stem (8 x 4, stride 4 x 2) and four 3 x 3 convolutions of stride 2 turn a segment of
256 x 32 into 4 x 1; a "divide and encode" head (Chang et al. 2021) gives each number of the
vector its own small network over its own slice of the features.  1.04 M parameters and 28 million
multiplications a segment at the default widths.  Batch norm folds into the convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from earmark.fingerprinting import FrontEnd
from earmark.training.fingerprint.config import ModelConfig


class DivideAndEncode(nn.Module):  # type: ignore[misc]  # torch may not be there
    """Slice i of the features -> hidden layer -> number i of the vector."""

    def __init__(self, features: int, ndim: int, hidden: int) -> None:
        super().__init__()
        if features % ndim:
            raise ValueError(f"{features} features must divide into {ndim} slices")
        width = features // ndim
        self.ndim = ndim
        self.inner = nn.Parameter(torch.randn(ndim, width, hidden) * (2.0 / width) ** 0.5)
        self.inner_bias = nn.Parameter(torch.zeros(ndim, 1, hidden))
        self.outer = nn.Parameter(torch.randn(ndim, hidden, 1) * (1.0 / hidden) ** 0.5)
        self.outer_bias = nn.Parameter(torch.zeros(ndim, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, features) to (n, ndim)."""
        sliced = features.reshape(len(features), self.ndim, -1).transpose(0, 1)
        hidden = functional.elu(torch.baddbmm(self.inner_bias, sliced, self.inner))
        return torch.baddbmm(self.outer_bias, hidden, self.outer).squeeze(2).transpose(0, 1)


class FingerprintNet(nn.Module):  # type: ignore[misc]
    """Features (n, bands, frames) to unit vectors (n, ndim)."""

    def __init__(self, config: ModelConfig, front: FrontEnd) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(1, config.stem, (8, 4), (4, 2), (2, 1), bias=False),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(inplace=True),
        ]
        width = config.stem
        for wider in config.widths:
            layers += [
                nn.Conv2d(width, wider, 3, 2, 1, bias=False),
                nn.BatchNorm2d(wider),
                nn.ReLU(inplace=True),
            ]
            width = wider
        self.body = nn.Sequential(*layers)
        shrink = 2 ** len(config.widths)
        rows = -(-(front.bands // 4) // shrink)
        columns = -(-(front.frames // 2) // shrink)
        self.head = DivideAndEncode(width * rows * columns, config.ndim, config.head)

    def features(self, segments: Tensor) -> Tensor:
        """Return the last layer's output, shape (n, channels * rows * columns)."""
        out: Tensor = self.body(segments.unsqueeze(1)).flatten(1)
        return out

    def forward(self, segments: Tensor) -> Tensor:
        """Return unit vectors, shape (n, ndim), float32."""
        return functional.normalize(self.head(self.features(segments).float()), dim=1)
