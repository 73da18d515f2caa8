"""EfficientNet-Lite (Google 2020): EfficientNet (Tan & Le 2019, arXiv:1905.11946) for phones.

It has no squeeze-excitation, and ReLU6 for swish. Parameter names and arithmetic are those of timm's
`tf_efficientnet_lite0`, `1` and `2`.
"""

import math
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks import EfficientNetLiteOptions
from seewhy.models.network import Network

EPSILON, MOMENTUM = 1e-3, 0.01  # of the batch norms, TensorFlow's
STEM, LAST = 32, 1280  # channels, at every size of the network


class Stage(NamedTuple):
    """Blocks of one shape; the first has the stride."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: the output's side is the input's by the stride, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]
        )
        if height % 2 == width % 2 == 0:
            padding = (height // 2, width // 2)
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


class DepthwiseSeparable(nn.Module):
    """A depthwise convolution, then one over channels alone."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = SameConv2d(inputs, inputs, kernel, stride, groups=inputs, bias=False)
        self.bn1 = norm(inputs)
        self.relu = nn.ReLU6()
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv_dw(x)))
        y: Tensor = self.bn2(self.conv_pw(x))
        return y


class InvertedResidual(nn.Module):
    """Expands the channels, convolves each, and reduces them, beside a shortcut where shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = expansion * inputs
        self.conv_pw = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = norm(inner)
        self.relu1 = nn.ReLU6()
        self.conv_dw = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self.bn2 = norm(inner)
        self.relu2 = nn.ReLU6()
        self.conv_pwl = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv_pw(x)))  # (N, expansion * inputs, h, w)
        y = self.relu2(self.bn2(self.conv_dw(y)))  # (N, expansion * inputs, h/stride, w/stride)
        y = self.bn3(self.conv_pwl(y))  # (N, outputs, h/stride, w/stride)
        return y + x if self.has_shortcut else y


def stage(inputs: int, outputs: int, blocks: int, shape: Stage) -> nn.Sequential:
    """Blocks of one stage, the first of which changes the shape."""
    made: list[nn.Module] = []
    for number in range(blocks):
        stride = shape.stride if number == 0 else 1
        if shape.expansion == 1:
            made.append(DepthwiseSeparable(inputs, outputs, shape.kernel, stride))
        else:
            made.append(InvertedResidual(inputs, outputs, shape.expansion, shape.kernel, stride))
        inputs = outputs
    return nn.Sequential(*made)


class EfficientNetLite(Network):
    """Seven stages of inverted residuals; a larger network is wider, and deeper but at its ends."""

    def __init__(self, num_classes: int, size: int, options: EfficientNetLiteOptions) -> None:
        super().__init__(num_classes, size, options)
        self.conv_stem = SameConv2d(3, STEM, 3, stride=2, bias=False)
        self.bn1 = norm(STEM)
        self.relu1 = nn.ReLU6()
        stages, inputs = [], STEM
        for number, shape in enumerate(STAGES):
            outputs = _rounded(options.widened * shape.channels)
            ends = number in (0, len(STAGES) - 1)
            blocks = shape.blocks if ends else math.ceil(options.deepened * shape.blocks)
            stages.append(stage(inputs, outputs, blocks, shape))
            inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(inputs, LAST, 1, bias=False)
        self.bn2 = norm(LAST)
        self.relu2 = nn.ReLU6()
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = nn.Linear(LAST, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.relu1(self.bn1(self.conv_stem(x)))  # (N, 32, H/2, W/2)
        x = self.blocks(x)  # (N, 320, H/32, W/32)
        x = self.relu2(self.bn2(self.conv_head(x)))  # (N, 1280, H/32, W/32)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """Returns logits (N, num_classes) of the maps (N, 1280, h, w)."""
        x = self.flatten(self.global_pool(maps))  # (N, 1280)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class EfficientNetLite0(EfficientNetLite):
    """The smallest, for images of 224 pixels."""


class EfficientNetLite1(EfficientNetLite):
    """A tenth deeper, for images of 240 pixels."""


class EfficientNetLite2(EfficientNetLite):
    """A tenth wider and a fifth deeper, for images of 260 pixels."""


def _rounded(channels: float) -> int:
    """A multiple of 8, not below 90% of the channels."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
