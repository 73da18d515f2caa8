"""MobileNetV3, small and large (Howard 2019, arXiv:1905.02244), with a stem that fits the size of the images.

Names of parameters and arithmetic are those of timm's `mobilenetv3_small_100` and `mobilenetv3_large_100`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from torch import Tensor, nn

from seewhy.config.networks.efficient import MobileNetV3Options
from seewhy.models.dropout import Dropout
from seewhy.models.inverted_residual import (
    DepthwiseSeparable,
    InvertedResidual,
    Layers,
    Shape,
    divisible,
    draw_weights,
)
from seewhy.models.network import Network

RELU = Layers(nn.ReLU, gate=nn.Hardsigmoid)
HARD_SWISH = Layers(nn.Hardswish, gate=nn.Hardsigmoid)
SQUEEZE = 0.25  # channels inside the squeeze-excitation, as a share of the expanded ones


@dataclass(frozen=True)
class Bottleneck:
    """A row of the paper's tables 1 and 2; `stage` is its place in timm's list of stages."""

    stage: int
    kernel: int
    expansion: float  # of the block's inputs; 1: a depthwise separable convolution
    channels: int
    squeeze: bool
    layers: Layers
    stride: int


LARGE = (
    Bottleneck(0, 3, 1, 16, False, RELU, 1),
    Bottleneck(1, 3, 4, 24, False, RELU, 2),
    Bottleneck(1, 3, 3, 24, False, RELU, 1),
    Bottleneck(2, 5, 3, 40, True, RELU, 2),
    Bottleneck(2, 5, 3, 40, True, RELU, 1),
    Bottleneck(2, 5, 3, 40, True, RELU, 1),
    Bottleneck(3, 3, 6, 80, False, HARD_SWISH, 2),
    Bottleneck(3, 3, 2.5, 80, False, HARD_SWISH, 1),
    Bottleneck(3, 3, 2.3, 80, False, HARD_SWISH, 1),
    Bottleneck(3, 3, 2.3, 80, False, HARD_SWISH, 1),
    Bottleneck(4, 3, 6, 112, True, HARD_SWISH, 1),
    Bottleneck(4, 3, 6, 112, True, HARD_SWISH, 1),
    Bottleneck(5, 5, 6, 160, True, HARD_SWISH, 2),
    Bottleneck(5, 5, 6, 160, True, HARD_SWISH, 1),
    Bottleneck(5, 5, 6, 160, True, HARD_SWISH, 1),
)
SMALL = (
    Bottleneck(0, 3, 1, 16, True, RELU, 2),
    Bottleneck(1, 3, 4.5, 24, False, RELU, 2),
    Bottleneck(1, 3, 3.67, 24, False, RELU, 1),
    Bottleneck(2, 5, 4, 40, True, HARD_SWISH, 2),
    Bottleneck(2, 5, 6, 40, True, HARD_SWISH, 1),
    Bottleneck(2, 5, 6, 40, True, HARD_SWISH, 1),
    Bottleneck(3, 5, 3, 48, True, HARD_SWISH, 1),
    Bottleneck(3, 5, 3, 48, True, HARD_SWISH, 1),
    Bottleneck(4, 5, 6, 96, True, HARD_SWISH, 2),
    Bottleneck(4, 5, 6, 96, True, HARD_SWISH, 1),
    Bottleneck(4, 5, 6, 96, True, HARD_SWISH, 1),
)


class MobileNetV3(Network):
    """What the two have in common; `bottlenecks`, `last` and `hidden` are their tables' own.

    The small stem leaves out the first two halvings, so that the map of 32 pixels has 4x4 positions.
    """

    bottlenecks: ClassVar[tuple[Bottleneck, ...]]
    last: ClassVar[int]  # channels of the map
    hidden: ClassVar[int]  # units of the head's first layer

    def __init__(self, num_classes: int, size: int, options: MobileNetV3Options) -> None:
        super().__init__(num_classes, size, options)
        width, small = options.width, options.has_small_stem(size)
        first = divisible(16 * width)
        last, hidden = divisible(self.last * width), divisible(self.hidden * width)
        self.conv_stem = nn.Conv2d(3, first, 3, 1 if small else 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.act1 = nn.Hardswish()
        self.blocks = _stages(self.bottlenecks, first, last, small, width)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = nn.Conv2d(last, hidden, 1)
        self.act2 = nn.Hardswish()
        self.dropout = Dropout(options.dropout)
        self.classifier = nn.Linear(hidden, num_classes)
        draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.act1(
            self.bn1(self.conv_stem(x))
        )  # (N, 16, h, w): h = H with the small stem, else H/2
        return self.blocks(x)  # (N, last, H/8, W/8) with the small stem, else (N, last, H/32, W/32)

    def head(self, maps: Tensor) -> Tensor:
        x = self.act2(self.conv_head(self.pool(maps)))  # (N, hidden, 1, 1)
        logits: Tensor = self.classifier(self.dropout(x.flatten(1)))
        return logits


class MobileNetV3Large(MobileNetV3):
    """The paper's table 1: 15 blocks of 16 to 160 channels, times `width`."""

    bottlenecks, last, hidden = LARGE, 960, 1280


class MobileNetV3Small(MobileNetV3):
    """The paper's table 2: 11 blocks of 16 to 96 channels, times `width`."""

    bottlenecks, last, hidden = SMALL, 576, 1024


def _stages(
    bottlenecks: tuple[Bottleneck, ...], inputs: int, last: int, small: bool, width: float
) -> nn.Sequential:
    """The blocks by stage, and as the last stage the 1x1 convolution before the pool."""
    second_halving = next(row for row in bottlenecks if row.stride == 2)  # the stem's is the first
    stages = nn.Sequential()
    for _, rows in groupby(bottlenecks, lambda row: row.stage):
        blocks = nn.Sequential()
        for row in rows:
            outputs = divisible(row.channels * width)
            stride = 1 if small and row is second_halving else row.stride
            expanded = divisible(inputs * row.expansion)
            squeezed = divisible(expanded * SQUEEZE) if row.squeeze else 0
            shape = Shape(inputs, outputs, row.kernel, stride, expanded, squeezed)
            kind = DepthwiseSeparable if row.expansion == 1 else InvertedResidual
            blocks.append(kind(shape, row.layers))
            inputs = outputs
        stages.append(blocks)
    stages.append(nn.Sequential(_conv_norm_act(inputs, last)))
    return stages


def _conv_norm_act(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, 1, bias=False),
            bn1=nn.BatchNorm2d(outputs),
            act=nn.Hardswish(),
        )
    )
