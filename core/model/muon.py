"""The Muon optimiser for the hidden matrices of a model trained from scratch.

torch.optim.Muon orthogonalises in bfloat16, which a CPU without AMX multiplies about nine times slower than float32;
this one works in float32, and all matrices of one shape at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

# Coefficients of the quintic Newton–Schulz iteration, from Keller Jordan's Muon (kellerjordan.github.io/posts/muon).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrix of each, roughly: singular values come out between about 0.7 and 1.2.

    Args:
        matrices: (N, R, C) float32.
    """
    wide = matrices.size(1) <= matrices.size(2)
    x = matrices if wide else matrices.mT
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: torch.Tensor = x if wide else x.mT
    return result


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates (Jordan et al. 2024), decoupled weight decay."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        """Take the 2-D parameters to train.

        Args:
            params: matrices; embeddings and heads belong to AdamW.
            lr: step size; an update has a spectral norm of about lr · √max(1, rows / columns).
            momentum: of the Nesterov average of gradients.
            weight_decay: share of a weight removed each step, times lr.
        """
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = []
                for parameter in parameters:
                    gradient, state = parameter.grad, self.state[parameter]
                    assert gradient is not None
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    buffer = state["momentum_buffer"]
                    buffer.lerp_(gradient, 1 - group["momentum"])
                    updates.append(gradient.lerp(buffer, group["momentum"]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(parameters, orthogonalise(torch.stack(updates)), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"] * scale)
