"""LAMB: Adam whose step in each tensor is as long as the tensor itself times the learning rate.

Source: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes"
(2020), algorithm 2, with the corrections of bias of Adam.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):  # type: ignore[misc]  # torch may not be there
    """Layer-wise adaptive moments.

    Parameters
    ----------
    parameters : iterable of Tensor
    rate : float
    betas : tuple of two floats
    eps, weight_decay : float
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        rate: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-6,
    ) -> None:
        defaults = {"lr": rate, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Make one step with the gradients at hand; `closure` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_one(parameter, group)

    def _step_one(self, parameter: Tensor, group: dict[str, Any]) -> None:
        rate, eps, decay = group["lr"], group["eps"], group["weight_decay"]
        first_beta, second_beta = group["betas"]
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["first"] = torch.zeros_like(parameter)
            state["second"] = torch.zeros_like(parameter)
        state["step"] += 1
        count = float(state["step"])
        first, second = state["first"], state["second"]
        first.lerp_(parameter.grad, 1.0 - first_beta)
        second.mul_(second_beta).addcmul_(parameter.grad, parameter.grad, value=1.0 - second_beta)
        update = (first / (1.0 - first_beta**count)) / (
            (second / (1.0 - second_beta**count)).sqrt() + eps
        )
        update.add_(parameter, alpha=decay)
        length, reach = parameter.norm(), update.norm()
        # A tensor that is all zeros yet (a bias at the start) is moved as by Adam.
        trust = torch.where((length > 0) & (reach > 0), length / reach, torch.ones_like(length))
        parameter.sub_(update * (rate * trust))
