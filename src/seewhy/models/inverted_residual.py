"""The blocks of MobileNets and EfficientNets: depthwise convolutions beside 1x1 convolutions.

Names of parameters and arithmetic are those of timm's blocks of the same names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor, nn

from seewhy.models.drop_path import DropPath


@dataclass(frozen=True)
class Layers:
    """The layers that the blocks of one family are made of."""

    activation: type[nn.Module]
    squeeze_activation: type[nn.Module] = nn.ReLU  # between the two layers of `SqueezeExcite`
    gate: type[nn.Module] = nn.Sigmoid  # from 0 to 1, after them
    conv: type[nn.Conv2d] = nn.Conv2d
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d


@dataclass(frozen=True)
class Shape:
    """The channels, kernel and stride of one block.

    `expanded` are the channels of its depthwise convolution, `squeezed` those between the two layers of
    its squeeze-excitation (0 for none), `drop_path` the rate of stochastic depth beside a shortcut.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expanded: int
    squeezed: int = 0
    drop_path: float = 0.0


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that sees the mean of every channel (Hu 2017, arXiv:1709.01507)."""

    def __init__(self, channels: int, squeezed: int, layers: Layers) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)
        self.act1 = layers.squeeze_activation()
        self.conv_expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = layers.gate()

    def forward(self, x: Tensor) -> Tensor:
        y = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        y = self.conv_expand(self.act1(self.conv_reduce(y)))
        return x * self.gate(y)


class DepthwiseSeparable(nn.Module):
    """A depthwise convolution, then a linear 1x1 convolution; beside a shortcut where shapes allow it.

    MobileNetV1's block (Howard 2017, arXiv:1704.04861). `shape.expanded` equals `shape.inputs`.
    """

    def __init__(self, shape: Shape, layers: Layers) -> None:
        super().__init__()
        assert shape.expanded == shape.inputs
        self.conv_dw = _depthwise(shape, layers)
        self.bn1 = layers.norm(shape.inputs)
        self.act1 = layers.activation()
        self.se = _squeeze_excite(shape, layers)
        self.conv_pw = layers.conv(shape.inputs, shape.outputs, 1, bias=False)
        self.bn2 = layers.norm(shape.outputs)
        self.has_shortcut = _has_shortcut(shape)
        self.drop_path = DropPath(shape.drop_path) if shape.drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = _in_float32(self.conv_dw, x)  # (N, inputs, h/stride, w/stride)
        y = self.act1(self.bn1(y))
        y = self.bn2(self.conv_pw(self.se(y)))  # (N, outputs, h/stride, w/stride)
        return self.drop_path(y) + x if self.has_shortcut else y


class InvertedResidual(nn.Module):
    """Expands the channels, convolves each by itself, and projects; beside a shortcut where shapes allow it.

    MobileNetV2's block (Sandler 2018, arXiv:1801.04381), with squeeze-excitation where it has one.
    """

    def __init__(self, shape: Shape, layers: Layers) -> None:
        super().__init__()
        self.conv_pw = layers.conv(shape.inputs, shape.expanded, 1, bias=False)
        self.bn1 = layers.norm(shape.expanded)
        self.act1 = layers.activation()
        self.conv_dw = _depthwise(shape, layers)
        self.bn2 = layers.norm(shape.expanded)
        self.act2 = layers.activation()
        self.se = _squeeze_excite(shape, layers)
        self.conv_pwl = layers.conv(shape.expanded, shape.outputs, 1, bias=False)
        self.bn3 = layers.norm(shape.outputs)
        self.has_shortcut = _has_shortcut(shape)
        self.drop_path = DropPath(shape.drop_path) if shape.drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act1(self.bn1(self.conv_pw(x)))  # (N, expanded, h, w)
        y = self.act2(self.bn2(_in_float32(self.conv_dw, y)))  # (N, expanded, h/stride, w/stride)
        y = self.bn3(self.conv_pwl(self.se(y)))  # (N, outputs, h/stride, w/stride)
        return self.drop_path(y) + x if self.has_shortcut else y


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one, and at least 90% of `channels`."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def draw_weights(network: nn.Module) -> None:
    """Draws the kernels as EfficientNet does: normal, of variance 2 / fan-out; their biases are zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            fan_out = module.out_channels // module.groups * prod(module.kernel_size)
            nn.init.normal_(module.weight, std=sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _depthwise(shape: Shape, layers: Layers) -> nn.Conv2d:
    channels, kernel = shape.expanded, shape.kernel
    padding = kernel // 2
    return layers.conv(
        channels, channels, kernel, shape.stride, padding, groups=channels, bias=False
    )


def _in_float32(depthwise: nn.Conv2d, x: Tensor) -> Tensor:
    """Applies a depthwise convolution, in float32 where autocast has chosen bfloat16 for a processor.

    There a training step through a kernel of 5x5 takes six to seven times as long in bfloat16 (PyTorch 2.13,
    channels last).
    """
    if not torch.is_autocast_enabled("cpu"):
        return depthwise(x)
    with torch.autocast("cpu", enabled=False):
        return depthwise(x.float())


def _squeeze_excite(shape: Shape, layers: Layers) -> nn.Module:
    if shape.squeezed == 0:
        return nn.Identity()
    return SqueezeExcite(shape.expanded, shape.squeezed, layers)


def _has_shortcut(shape: Shape) -> bool:
    return shape.stride == 1 and shape.inputs == shape.outputs
