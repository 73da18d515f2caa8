"""Stochastic depth: residual branches that are left out at random during training."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves a branch `(N, ...)` out of each image with probability `rate` (Huang 2016, arXiv:1603.09382).

    What is kept is divided by 1 - `rate`, so its mean stays. In evaluation it does nothing.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = torch.rand(shape, device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)
