"""The published network, and the choice between it and our own.

Eight blocks, each a convolution along time and one along frequency; after each an ELU and a layer
normalisation over frequency, time and channels together; then "divide and encode": each number of
the vector from its own slice of the channels.  16.94 million parameters.

Padding is as TensorFlow's "SAME" (with stride 2 on an even length: none before, one after), so that
weights trained elsewhere mean the same here.  Weights begin as Glorot and Bengio (2010) say.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from earmark.errors import UsageError
from earmark.training.fingerprint.model import DivideAndEncode, FingerprintNet
from earmark.training.nafp.config import Config, PublishedModel

NORM_EPS = 1e-3


class SameConv(nn.Module):  # type: ignore[misc]  # torch may not be there
    """A convolution of 3 along one axis, with stride and "SAME" padding; ELU; layer norm.

    Parameters
    ----------
    size : tuple (channels, bands, frames)
        Of what comes in.
    channels : int
        Of what goes out.
    along_time : bool
    stride : int
    """

    def __init__(
        self, size: tuple[int, int, int], channels: int, *, along_time: bool, stride: int
    ) -> None:
        super().__init__()
        before, bands, frames = size
        length = frames if along_time else bands
        after = math.ceil(length / stride)
        total = max(0, (after - 1) * stride + 3 - length)
        ends = (total // 2, total - total // 2)
        self.pad = (*ends, 0, 0) if along_time else (0, 0, *ends)
        self.size = (channels, bands, after) if along_time else (channels, after, frames)
        kernel, strides = ((1, 3), (1, stride)) if along_time else ((3, 1), (stride, 1))
        self.conv = nn.Conv2d(before, channels, kernel, strides)
        self.norm = nn.LayerNorm(self.size, eps=NORM_EPS)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, *size before) to (n, *size); all but the convolution in float32."""
        convolved = self.conv(functional.pad(x, self.pad)).float()
        out: Tensor = self.norm(functional.elu(convolved, inplace=True))
        return out


class PublishedNet(nn.Module):  # type: ignore[misc]
    """Features (n, bands, frames) to unit vectors (n, ndim).

    Parameters
    ----------
    config : PublishedModel
    bands, frames : int
        Of the features.

    Raises
    ------
    UsageError
        If what the last block gives cannot be divided into `ndim` slices.
    """

    def __init__(self, config: PublishedModel, *, bands: int, frames: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = (1, bands, frames)
        for channels, stride in zip(config.channels, config.time_strides, strict=True):
            for along_time, step in ((True, stride), (False, 2)):
                layer = SameConv(size, channels, along_time=along_time, stride=step)
                layers.append(layer)
                size = layer.size
        self.body = nn.Sequential(*layers)
        width = math.prod(size)
        if width % config.ndim:
            raise UsageError(
                f"model.published.ndim must divide the {width} numbers of the last block, "
                f"got {config.ndim}"
            )
        self.head = DivideAndEncode(width, config.ndim, config.hidden)
        _glorot(self.head.inner, width // config.ndim, config.hidden)
        _glorot(self.head.outer, config.hidden, 1)

    def features(self, segments: Tensor) -> Tensor:
        """Return the last block's output, shape (n, channels * rows * columns)."""
        out: Tensor = self.body(segments.unsqueeze(1)).flatten(1)
        return out

    def forward(self, segments: Tensor) -> Tensor:
        """Return unit vectors, shape (n, ndim), float32."""
        return functional.normalize(self.head(self.features(segments).float()), dim=1)


def _glorot(weight: Tensor, fan_in: int, fan_out: int) -> None:
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    nn.init.uniform_(weight, -limit, limit)


Net = PublishedNet | FingerprintNet


def build(config: Config) -> Net:
    """Make a run's network; its weights begin as the seed says, whatever else torch has drawn."""
    front = config.features.front
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.optimizer.seed)
        if config.model.kind == "compact":
            return FingerprintNet(config.model.compact, front)
        return PublishedNet(config.model.published, bands=front.bands, frames=front.frames)


def vectors(net: Net, segments: Tensor, *, bfloat16: bool) -> Tensor:
    """Unit vectors; the convolutions in bfloat16 if so wanted, the head always in float32."""
    # Not `enabled=False`: earlier versions of torch know no autocast for MPS, even a disabled one.
    kind = segments.device.type
    with torch.autocast(kind, torch.bfloat16) if bfloat16 else nullcontext():
        features = net.features(segments)
    return functional.normalize(net.head(features.float()), dim=1)
