"""Muon: momentum whose singular values are all made about 1 (Jordan 2024, kellerjordan.github.io/posts/muon).

PyTorch's own (`torch.optim.Muon`) takes matrices alone, and computes in bfloat16, which many processors
emulate: this one takes kernels too, and computes in float32 there.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, optim

from seewhy.inference.device import has_native_bf16

COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # of the quintic; they take a singular value of 0.01 to 1 in five steps
STEPS = 5
LEAST_NORM = 1e-7
ADAMW_RMS = 0.2  # root mean square of AdamW's steps, in learning rates (Liu 2025, arXiv:2502.16982)


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix with the singular vectors of `matrix` (A, B) and singular values from 0.7 to 1.2.

    Of singular values below a hundredth of the Frobenius norm, less. Computed without the vectors, by five
    Newton-Schulz steps, in bfloat16 where the device multiplies that natively.
    """
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if has_native_bf16(matrix.device.type) else matrix.float()
    if len(matrix) > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    x = x / x.norm().clamp(min=LEAST_NORM)
    for _ in range(STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.to(matrix.dtype)


class Muon(optim.AdamW):
    """Muon for kernels and for all matrices but the last, the classifier's; AdamW for the rest.

    Kernels (O, I, h, w) are taken as matrices (O, I * h * w). Steps are scaled to the size of AdamW's, so
    both use the same learning rate, and weight decay is separate from the step in both. With `fixed_norm` a
    step turns a kernel or matrix by a share of it, the learning rate, and gives it the norm sqrt(O) before;
    weight decay then has no effect on it. `adamw_lr` is AdamW's rate, as a multiple.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        lr: float,
        momentum: float,
        fixed_norm: bool = False,
        adamw_lr: float = 1.0,
    ) -> None:
        self.momentum, self.fixed_norm = momentum, fixed_norm
        every = [weights for group in groups for weights in group["params"]]
        classifier = [weights for weights in every if weights.ndim == 2][-1:]
        hidden = {w for w in every if w.ndim in (2, 4)}.difference(classifier)
        parts = []
        for group in groups:
            for by_muon in (True, False):
                chosen = [weights for weights in group["params"] if (weights in hidden) == by_muon]
                scale = group.get("scale", 1.0) * (1.0 if by_muon else adamw_lr)
                if chosen:
                    parts.append({**group, "params": chosen, "hidden": by_muon, "scale": scale})
        super().__init__(parts, lr=lr)

    def __setstate__(self, state: dict[str, Any]) -> None:
        optim.Optimizer.__setstate__(self, state)  # AdamW's own expects its state for every weight

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all weights that have a gradient; `closure` is not supported."""
        assert closure is None
        groups = self.param_groups
        for group in groups:
            if group["hidden"]:
                for weights in group["params"]:
                    if weights.grad is not None:
                        self._step_hidden(weights, weights.grad, group["lr"], group["weight_decay"])
        try:
            self.param_groups = [group for group in groups if not group["hidden"]]
            super().step()
        finally:
            self.param_groups = groups

    def _step_hidden(self, weights: Tensor, gradient: Tensor, lr: float, decay: float) -> None:
        state = self.state[weights]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - self.momentum)
        update = orthogonalised(gradient.lerp(average, self.momentum).flatten(1))  # Nesterov's
        if self.fixed_norm:
            weights.mul_(len(weights) ** 0.5 / weights.norm().clamp(min=LEAST_NORM))
            weights.sub_(update.view_as(weights), alpha=lr)
            return
        size = ADAMW_RMS * max(update.shape) ** 0.5
        weights.mul_(1 - lr * decay).sub_(update.view_as(weights), alpha=lr * size)
