"""EfficientNet-B0 (Tan 2019, arXiv:1905.11946), with a stem that fits the size of the images.

Names of parameters and arithmetic are those of timm's `efficientnet_b0`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from seewhy.config.networks.efficient import EfficientNetB0Options, EfficientNetLiteOptions
from seewhy.models.drop_path import drop_path_rates
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


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table 1: `repeats` blocks, the first with the stride."""

    expansion: int  # of a block's inputs; 1: a depthwise separable convolution
    kernel: int
    stride: int
    channels: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)


class EfficientNet(Network):
    """Blocks in seven stages of 16 to 320 channels, times `width`, the same forward for every kind.

    `repeats` are the blocks of each stage, `first` and `last` the channels of the stem and of the map;
    `layers` and `squeeze`, the squeezed channels as a share of a block's inputs (0: no squeeze-excitation),
    are the kind's own. The small stem leaves out the first two halvings, so that the map of 32 pixels has
    4x4 positions.
    """

    layers: ClassVar[Layers]
    squeeze: ClassVar[float]

    def build(
        self,
        options: EfficientNetB0Options | EfficientNetLiteOptions,
        first: int,
        last: int,
        width: float,
        repeats: Sequence[int],
    ) -> None:
        """Adds the layers, with fresh weights."""
        layers, small = self.layers, options.has_small_stem(self.size)
        self.conv_stem = layers.conv(3, first, 3, 1 if small else 2, padding=1, bias=False)
        self.bn1 = layers.norm(first)
        self.act1 = layers.activation()
        rates = drop_path_rates(options.drop_path or 0.0, list(repeats))
        self.blocks = self._stages(first, width, small, rates)
        self.conv_head = nn.Conv2d(divisible(320 * width), last, 1, bias=False)
        self.bn2 = layers.norm(last)
        self.act2 = layers.activation()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = Dropout(options.dropout)
        self.classifier = nn.Linear(last, self.num_classes)
        draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.conv_stem(x)  # (N, 32, h, w): h = H with the small stem, else H/2
        x = self.act1(self.bn1(x))
        x = self.blocks(x)  # (N, 320, H/8, W/8) with the small stem, else (N, 320, H/32, W/32)
        return self.act2(self.bn2(self.conv_head(x)))  # (N, 1280, ...)

    def head(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.pool(maps).flatten(1)))
        return logits

    def _stages(
        self, inputs: int, width: float, small: bool, rates: Sequence[Sequence[float]]
    ) -> nn.Sequential:
        """The stages, with a block for each of the `rates` of stochastic depth."""
        stages = nn.Sequential()
        for stage, stage_rates in zip(STAGES, rates, strict=True):
            outputs = divisible(stage.channels * width)
            stride = 1 if small and stage is STAGES[1] else stage.stride
            blocks = nn.Sequential()
            for rate in stage_rates:
                expanded = divisible(inputs * stage.expansion)
                squeezed = round(inputs * self.squeeze)
                shape = Shape(inputs, outputs, stage.kernel, stride, expanded, squeezed, rate)
                kind = DepthwiseSeparable if stage.expansion == 1 else InvertedResidual
                blocks.append(kind(shape, self.layers))
                inputs, stride = outputs, 1
            stages.append(blocks)
        return stages


class EfficientNetB0(EfficientNet):
    """Sixteen blocks with squeeze-excitation."""

    layers, squeeze = Layers(nn.SiLU, squeeze_activation=nn.SiLU), 0.25

    def __init__(self, num_classes: int, size: int, options: EfficientNetB0Options) -> None:
        super().__init__(num_classes, size, options)
        width = options.width
        repeats = [stage.repeats for stage in STAGES]
        self.build(options, divisible(32 * width), divisible(1280 * width), width, repeats)
