"""EfficientNet-Lite (Google 2020): EfficientNet (Tan 2019, arXiv:1905.11946) for phones.

It has no squeeze-excitation, and ReLU6 for swish. Names of parameters and arithmetic are those of timm's
`tf_efficientnet_lite0`, `1` and `2`.
"""

from math import ceil

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks import EfficientNetLiteOptions
from seewhy.models.drop_path import drop_path_rates
from seewhy.models.dropout import Dropout
from seewhy.models.efficientnet import STAGES
from seewhy.models.inverted_residual import (
    DepthwiseSeparable,
    InvertedResidual,
    Layers,
    Shape,
    divisible,
    draw_weights,
)
from seewhy.models.network import Network

STEM, LAST = 32, 1280  # channels, at every size of the network


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: the output's side is the input's by the stride, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]
        )
        padding = (height // 2, width // 2)
        if height % 2 or width % 2:  # one pixel more to the right and below
            x = F.pad(x, (padding[1], width - padding[1], padding[0], height - padding[0]))
            padding = (0, 0)
        return F.conv2d(x, self.weight, self.bias, stride, padding, groups=self.groups)


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm with TensorFlow's numbers."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


LAYERS = Layers(nn.ReLU6, conv=SameConv2d, norm=norm)


class EfficientNetLite(Network):
    """Blocks in seven stages; a larger network is wider, and deeper but at its ends.

    The small stem leaves out the first two halvings, so that the map of 32 pixels has 4x4 positions.
    """

    def __init__(self, num_classes: int, size: int, options: EfficientNetLiteOptions) -> None:
        super().__init__(num_classes, size, options)
        small = options.has_small_stem(size)
        self.conv_stem = SameConv2d(3, STEM, 3, 1 if small else 2, bias=False)
        self.bn1 = norm(STEM)
        self.act1 = nn.ReLU6()
        self.blocks = _stages(small, options)
        self.conv_head = nn.Conv2d(divisible(320 * options.widened), LAST, 1, bias=False)
        self.bn2 = norm(LAST)
        self.act2 = nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = Dropout(options.dropout)
        self.classifier = nn.Linear(LAST, num_classes)
        draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.act1(
            self.bn1(self.conv_stem(x))
        )  # (N, 32, h, w): h = H with the small stem, else H/2
        x = self.blocks(x)  # (N, 320, H/8, W/8) with the small stem, else (N, 320, H/32, W/32)
        return self.act2(self.bn2(self.conv_head(x)))  # (N, 1280, ...)

    def head(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.pool(maps).flatten(1)))
        return logits


class EfficientNetLite0(EfficientNetLite):
    """The smallest, for images of 224 pixels."""


class EfficientNetLite1(EfficientNetLite):
    """A tenth deeper, for images of 240 pixels."""


class EfficientNetLite2(EfficientNetLite):
    """A tenth wider and a fifth deeper, for images of 260 pixels."""


def _stages(small: bool, options: EfficientNetLiteOptions) -> nn.Sequential:
    ends = (STAGES[0], STAGES[-1])
    repeats = [
        stage.repeats if stage in ends else ceil(stage.repeats * options.deepened)
        for stage in STAGES
    ]
    rates = drop_path_rates(options.drop_path or 0.0, repeats)
    stages, inputs = nn.Sequential(), STEM
    for stage, stage_rates in zip(STAGES, rates, strict=True):
        outputs = divisible(stage.channels * options.widened)
        stride = 1 if small and stage is STAGES[1] else stage.stride
        blocks = nn.Sequential()
        for rate in stage_rates:
            expanded = inputs * stage.expansion
            shape = Shape(inputs, outputs, stage.kernel, stride, expanded, drop_path=rate)
            kind = DepthwiseSeparable if stage.expansion == 1 else InvertedResidual
            blocks.append(kind(shape, LAYERS))
            inputs, stride = outputs, 1
        stages.append(blocks)
    return stages
