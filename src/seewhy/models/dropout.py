"""Dropout with faster random numbers on a CPU."""

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
LEAST = 1 / LEVELS


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) that draws 16 bits per element on a CPU, not 64.

    PyTorch draws them sequentially on one core, which takes up to a fifth of a small network's step. The
    rate is rounded to a 65,536th. On other devices, and in evaluation, it is PyTorch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not LEAST <= self.p <= 1 - LEAST or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int16)[: x.numel()]
        dropped = round(self.p * LEVELS)
        layout = torch.empty_like(x).stride()  # channels last stays channels last
        kept = (draws >= dropped - LEVELS // 2).as_strided(x.shape, layout).to(x.dtype)
        return x * kept * (LEVELS / (LEVELS - dropped))
