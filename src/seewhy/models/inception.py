"""GoogLeNet (Szegedy 2014, arXiv:1409.4842) with batch norm (Ioffe 2015), narrow by default for thumbnails.

Its nine blocks are those of the paper's table 1, times `width`; the auxiliary classifiers, which batch norm
made needless, are left out.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seewhy.config.networks.classic import InceptionOptions
from seewhy.models.dropout import Dropout
from seewhy.models.network import Network


class Convolution(nn.Sequential):
    """A convolution that keeps the side at stride 1, a norm and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                norm=nn.BatchNorm2d(outputs),
                relu=nn.ReLU(),
            )
        )


class Inception(nn.Module):
    """Kernels of 1x1, 3x3 and 5x5 and a pool beside each other, the last three with a 1x1 convolution.

    `channels` is a row of the paper's table: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection.
    """

    def __init__(self, inputs: int, channels: Sequence[int]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = channels
        self.outputs = one + three + five + pooled
        self.branch1 = Convolution(inputs, one, 1)
        self.branch3 = nn.Sequential(
            Convolution(inputs, reduce3, 1), Convolution(reduce3, three, 3)
        )
        self.branch5 = nn.Sequential(Convolution(inputs, reduce5, 1), Convolution(reduce5, five, 5))
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), Convolution(inputs, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)]
        return torch.cat(branches, 1)  # (N, outputs, h, w)


class GoogLeNet(Network):
    """22 layers; `width` is 1 in the paper.

    The small stem leaves out the first two halvings, so that the map of 32 pixels has 4x4 positions.
    """

    def __init__(self, num_classes: int, size: int, options: InceptionOptions) -> None:
        super().__init__(num_classes, size, options)
        small, self.width = options.has_small_stem(size), options.width
        first, second = round(64 * options.width), round(192 * options.width)
        self.conv1 = Convolution(3, first, 3) if small else Convolution(3, first, 7, stride=2)
        self.pool1 = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = Convolution(first, first, 1)
        self.conv3 = Convolution(first, second, 3)
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.block3a = self._block(second, 64, 96, 128, 16, 32, 32)
        self.block3b = self._block(self.block3a.outputs, 128, 128, 192, 32, 96, 64)
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)
        self.block4a = self._block(self.block3b.outputs, 192, 96, 208, 16, 48, 64)
        self.block4b = self._block(self.block4a.outputs, 160, 112, 224, 24, 64, 64)
        self.block4c = self._block(self.block4b.outputs, 128, 128, 256, 24, 64, 64)
        self.block4d = self._block(self.block4c.outputs, 112, 144, 288, 32, 64, 64)
        self.block4e = self._block(self.block4d.outputs, 256, 160, 320, 32, 128, 128)
        self.pool4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.block5a = self._block(self.block4e.outputs, 256, 160, 320, 32, 128, 128)
        self.block5b = self._block(self.block5a.outputs, 384, 192, 384, 48, 128, 128)
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=Dropout(options.dropout),
                classes=nn.Linear(self.block5b.outputs, num_classes),
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def _block(self, inputs: int, *channels: int) -> Inception:
        """A row of table 1, whose channels are multiplied by `width`."""
        return Inception(inputs, [round(self.width * one) for one in channels])

    def features(self, x: Tensor) -> Tensor:
        x = self.conv1(self.normalize(x))  # (N, 64, h, w): h = H with the small stem, else H/2
        x = self.conv3(self.conv2(self.pool1(x)))  # (N, 192, h, w): h = H or H/4
        x = self.pool2(x)  # (N, 192, H/2, W/2) with the small stem, else (N, 192, H/8, W/8)
        x = self.block3b(self.block3a(x))  # (N, 480, H/2, W/2) or (N, 480, H/8, W/8)
        x = self.pool3(x)
        x = self.block4c(
            self.block4b(self.block4a(x))
        )  # (N, 512, H/4, W/4) or (N, 512, H/16, W/16)
        x = self.block4e(self.block4d(x))  # (N, 832, H/4, W/4) or (N, 832, H/16, W/16)
        x = self.pool4(x)
        return self.block5b(self.block5a(x))  # (N, 1024, H/8, W/8) or (N, 1024, H/32, W/32)
