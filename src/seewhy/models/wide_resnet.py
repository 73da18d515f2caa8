"""Wide ResNets (Zagoruyko 2016, arXiv:1605.07146): few residual blocks of many channels."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from seewhy.config.networks.resnets import WideResNetOptions
from seewhy.models.drop_path import DropPath, drop_path_rates
from seewhy.models.dropout import Dropout
from seewhy.models.network import Network
from seewhy.models.resnet import Projection, draw_kernels, stem


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after its norm and activation, beside a shortcut.

    Where the shape changes, the shortcut projects what the first norm and activation make of the input.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, dropout: float, drop_path: float
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else Projection(inputs, outputs, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu1(self.bn1(x))  # (N, inputs, h, w)
        skipped = self.shortcut(y if isinstance(self.shortcut, Projection) else x)
        y = self.relu2(self.bn2(self.conv1(y)))  # (N, outputs, h/stride, w/stride)
        y = self.conv2(self.dropout(y))
        return skipped + self.drop_path(y)


class WideResNet(Network):
    """WRN-`depth`-`widen`: three stages of 16, 32 and 64 channels times `widen`."""

    def __init__(self, num_classes: int, size: int, options: WideResNetOptions) -> None:
        super().__init__(num_classes, size, options)
        channels = 16 * options.widen
        blocks = (options.depth - 4) // 6  # in each stage
        rates = drop_path_rates(options.drop_path or 0.0, (blocks,) * 3)
        dropout = options.dropout
        self.conv1, self.maxpool = stem(16, options.has_small_stem(size))
        self.layer1 = _stage(16, channels, 1, dropout, rates[0])
        self.layer2 = _stage(channels, 2 * channels, 2, dropout, rates[1])
        self.layer3 = _stage(2 * channels, 4 * channels, 2, dropout, rates[2])
        self.bn = nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU()
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classes=nn.Linear(4 * channels, num_classes),
            )
        )
        draw_kernels(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.maxpool(self.conv1(x))  # (N, 16, h, w): h = H for small images, H/4 for large ones
        x = self.layer1(x)  # (N, 64, h, w) of WRN-16-4
        x = self.layer2(x)  # (N, 128, h/2, w/2)
        x = self.layer3(x)  # (N, 256, h/4, w/4)
        return self.relu(self.bn(x))


def _stage(
    inputs: int, outputs: int, stride: int, dropout: float, rates: Sequence[float]
) -> nn.Sequential:
    """Blocks of one resolution, the first of which changes the shape; one for each drop-path rate."""
    first = WideBlock(inputs, outputs, stride, dropout, rates[0])
    rest = [WideBlock(outputs, outputs, 1, dropout, rate) for rate in rates[1:]]
    return nn.Sequential(first, *rest)
