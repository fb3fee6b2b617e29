"""NT-Xent, the loss of SimCLR (Chen et al. 2020), as used for fingerprints by Chang et al. 2021."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(anchors: Tensor, positives: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each vector's partner among all others, in both directions.

    Parameters
    ----------
    anchors, positives : Tensor, shape (n, d)
        Unit vectors; row i of one is the partner of row i of the other.
    temperature : float
        Cosines are divided by it.

    Returns
    -------
    Tensor, scalar
    """
    n = len(anchors)
    both = torch.cat([anchors, positives])
    logits = both @ both.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=both.device), -1e9)
    partner = torch.arange(2 * n, device=both.device).roll(n)
    return functional.cross_entropy(logits, partner)


def prefix_loss(
    anchors: Tensor, positives: Tensor, *, temperature: float, prefixes: Sequence[int]
) -> Tensor:
    """Mean of `nt_xent` over the whole vectors and over their first numbers.

    Vectors so trained may be cut to any of the `prefixes` and normalised anew (Kusupati et al.
    2022, "Matryoshka Representation Learning").
    """
    losses = [nt_xent(anchors, positives, temperature=temperature)]
    for length in prefixes:
        cut = [functional.normalize(v[:, :length], dim=1) for v in (anchors, positives)]
        losses.append(nt_xent(*cut, temperature=temperature))
    return torch.stack(losses).mean()
