"""Attention in residual blocks: gates from 0 to 1 that scale the channels, or the places, of a map.

Names of parameters and arithmetic are those of the modules that timm's ResNets call `se`.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

REDUCTION = 16  # of the channels, between the two layers of a gate


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that sees the mean of every channel (Hu 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _squeezed(channels, multiple=8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(x)  # (N, C, 1, 1)
        y = self.fc2(self.relu(self.fc1(y)))
        return x * self.gate(y)


class CBAM(nn.Module):
    """Scales the channels, and then the places (Woo 2018, arXiv:1807.06521)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels)
        self.spatial = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))


class ChannelAttention(nn.Module):
    """Scales each channel by a gate that sees the mean and the maximum of every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _squeezed(channels, multiple=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.pool(x), x.amax((2, 3), keepdim=True)], 2)  # (N, C, 2, 1)
        y = self.fc2(self.relu(self.fc1(y)))
        return x * self.gate(y.sum(2, keepdim=True))


class SpatialAttention(nn.Module):
    """Scales each place by a gate that sees the mean and the maximum over the channels around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(2, 1, 7, padding=3, bias=False),
                bn=nn.BatchNorm2d(1),
            )
        )
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)  # (N, 2, h, w)
        return x * self.gate(self.conv(y))


def _squeezed(channels: int, multiple: int) -> int:
    """The channels between the two layers of a gate: a multiple, at least one."""
    return max(1, int(channels / REDUCTION / multiple + 0.5)) * multiple


ATTENTION: dict[str, type[SqueezeExcitation | CBAM]] = {"se": SqueezeExcitation, "cbam": CBAM}
