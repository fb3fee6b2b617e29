"""Whether a device computes a network in bfloat16 as it should, found out before training.

Some processors' matrix units (AMX, with torch 2.13) return garbage for convolutions of width 3
with stride 2 along a short axis in bfloat16, as two blocks of the published network have: half
precision is never believed, only measured, forwards and backwards.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from earmark.errors import Doubtful, NotAvailable
from earmark.training.fingerprint.loss import nt_xent
from earmark.training.nafp import model
from earmark.training.nafp.config import Config

LEAST_COSINE = 0.97
"""Between a vector in bfloat16 and the same in float32; it is above 0.99 where all is well."""


LEAST_GRADIENT = 0.9
"""The same between the gradients of all weights; above 0.99 where all is well."""


@dataclass(frozen=True)
class Agreement:
    """Smallest cosine between vectors in both precisions, and the cosine of their gradients."""

    vectors: float
    gradients: float

    @property
    def enough(self) -> bool:
        """Whether half precision may be believed."""
        return self.vectors >= LEAST_COSINE and self.gradients >= LEAST_GRADIENT


def agreement(net: model.Net, config: Config, device: torch.device) -> Agreement:
    """Compare both precisions on 16 random segments; the network stays as it is."""
    front = config.features.front
    drawn = torch.rand(16, front.bands, front.frames, generator=torch.Generator().manual_seed(0))
    segments = (drawn * 2.0 - 1.0).to(device)
    training = net.training
    net.eval()
    exact, wanted = _vectors_and_gradient(net, segments, bfloat16=False)
    half, found = _vectors_and_gradient(net, segments, bfloat16=True)
    net.train(training)
    lengths = (wanted.norm() * found.norm()).clamp_min(1e-30)
    return Agreement(
        vectors=float(torch.nan_to_num((exact * half).sum(1), nan=-1.0).min()),
        gradients=float(torch.nan_to_num(wanted @ found / lengths, nan=-1.0)),
    )


def _vectors_and_gradient(
    net: model.Net, segments: Tensor, *, bfloat16: bool
) -> tuple[Tensor, Tensor]:
    """Vectors, and the gradient of all weights as one row, of the loss of half against half."""
    vectors = model.vectors(net, segments, bfloat16=bfloat16)
    loss = nt_xent(*vectors.chunk(2), temperature=0.05)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    return vectors.detach(), torch.cat([g.detach().float().flatten() for g in gradients])


def wants_bfloat16(net: model.Net, config: Config, device: torch.device) -> bool:
    """Decide about half precision.

    Raises
    ------
    NotAvailable
        If it was asked for and the device gets it wrong.
    """
    asked = config.run.precision
    if asked == "float32" or (asked == "auto" and device.type != "cuda"):
        return False
    if asked == "auto" and not torch.cuda.is_bf16_supported():
        return False
    found = agreement(net, config, device)
    if found.enough:
        return True
    figures = f"cosines: vectors {found.vectors:.2f}, gradients {found.gradients:.2f}"
    if asked == "auto":
        warnings.warn(
            f"bfloat16 is wrong on this device ({figures}): float32 is used", Doubtful, stacklevel=2
        )
        return False
    raise NotAvailable(
        "run.precision=bfloat16 must give the vectors and gradients of float32, and does not on "
        f"this device ({figures})",
        hint="run.precision=float32; on a CPU with AMX also ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16",
    )
