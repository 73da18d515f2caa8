"""EfficientNet-Lite (Google 2020): EfficientNet (Tan 2019, arXiv:1905.11946) for phones.

It has no squeeze-excitation, and ReLU6 for swish. Names of parameters and arithmetic are those of timm's
`tf_efficientnet_lite0`, `1` and `2`.
"""

from math import ceil

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks.efficient import EfficientNetLiteOptions
from seewhy.models.efficientnet import STAGES, EfficientNet
from seewhy.models.inverted_residual import Layers

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


class EfficientNetLite(EfficientNet):
    """EfficientNet without squeeze-excitation; a larger network is wider, and deeper but at its ends."""

    layers, squeeze = Layers(nn.ReLU6, conv=SameConv2d, norm=norm), 0.0

    def __init__(self, num_classes: int, size: int, options: EfficientNetLiteOptions) -> None:
        super().__init__(num_classes, size, options)
        first, *between, last = (stage.repeats for stage in STAGES)
        deeper = [ceil(repeats * options.deepened) for repeats in between]
        self.build(options, STEM, LAST, options.widened, [first, *deeper, last])


class EfficientNetLite0(EfficientNetLite):
    """The smallest, for images of 224 pixels."""


class EfficientNetLite1(EfficientNetLite):
    """A tenth deeper, for images of 240 pixels."""


class EfficientNetLite2(EfficientNetLite):
    """A tenth wider and a fifth deeper, for images of 260 pixels."""
