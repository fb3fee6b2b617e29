"""Whether a device computes a network in bfloat16 as it should, found out before training.

Some processors' matrix units return garbage for convolutions of width 3 with stride 2 along a
short axis in bfloat16, as two blocks of the published network have: half precision is never
believed, only measured.
"""

from __future__ import annotations

import logging

import torch

from earmark.errors import NotAvailable
from earmark.training.nafp import model
from earmark.training.nafp.config import Config

log = logging.getLogger(__name__)

LEAST_COSINE = 0.97
"""Between a vector in bfloat16 and the same in float32; it is above 0.99 where all is well."""


def bfloat16_cosine(net: model.Net, config: Config, device: torch.device) -> float:
    """Return the smallest cosine between vectors of 16 random segments in both precisions."""
    front = config.features.front
    drawn = torch.rand(16, front.bands, front.frames, generator=torch.Generator().manual_seed(0))
    segments = (drawn * 2.0 - 1.0).to(device)
    training = net.training
    net.eval()
    with torch.no_grad():
        exact = model.vectors(net, segments, bfloat16=False)
        half = model.vectors(net, segments, bfloat16=True)
    net.train(training)
    return float(torch.nan_to_num((exact * half).sum(1), nan=-1.0).min())


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
    cosine = bfloat16_cosine(net, config, device)
    if cosine >= LEAST_COSINE:
        return True
    if asked == "auto":
        log.warning("bfloat16 is wrong here (cosine %.2f): float32 is used", cosine)
        return False
    raise NotAvailable(
        f"run.precision=bfloat16 must give the vectors of float32, and does not on this device "
        f"(smallest cosine {cosine:.2f})",
        hint="run.precision=float32; on a CPU with AMX also ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16",
    )
