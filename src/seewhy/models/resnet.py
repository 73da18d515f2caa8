"""ResNets (He et al. 2015, arXiv:1512.03385), with a stem that fits the size of the images.

Names of parameters and arithmetic are those of timm's ResNets, so their checkpoints fit where the stem is
ImageNet's.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks.resnets import ResNetOptions
from seewhy.models.attention import ATTENTION
from seewhy.models.drop_path import DropPath, drop_path_rates
from seewhy.models.network import Network


class Projection(nn.Conv2d):
    """A 1x1 convolution with a stride, which takes the pixels first where it has few channels.

    There the backward pass of PyTorch's own writes outside of its memory (2.13, channels last, processors).
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels >= 16:
            return super().forward(x)
        rows, columns = self.stride
        return F.conv2d(x[..., ::rows, ::columns], self.weight)  # (N, out, h/stride, w/stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which projects where the shape changes."""

    expansion = 1  # output channels for each of the convolutions' own

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int,
        attention: str | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = ATTENTION[attention](channels) if attention else nn.Identity()
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.downsample = shortcut(inputs, channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu1(self.bn1(self.conv1(x)))  # (N, channels, h/stride, w/stride)
        y = self.bn2(self.conv2(y))
        y = self.drop_path(self.se(y))
        y = self.relu2(y + self.downsample(x))
        return y


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, beside a shortcut, which projects where the shape changes.

    The 3x3 convolution has the stride (version 1.5), not the first 1x1 one as in the paper.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int,
        attention: str | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        outputs = self.expansion * channels
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.se = ATTENTION[attention](outputs) if attention else nn.Identity()
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.downsample = shortcut(inputs, outputs, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu1(self.bn1(self.conv1(x)))  # (N, channels, h, w)
        y = self.relu2(self.bn2(self.conv2(y)))  # (N, channels, h/stride, w/stride)
        y = self.bn3(self.conv3(y))  # (N, outputs, h/stride, w/stride)
        y = self.drop_path(self.se(y))
        y = self.relu3(y + self.downsample(x))
        return y


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A projection and a norm where the shape changes, else nothing."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(
        Projection(inputs, outputs, 1, stride, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResNet(Network):
    """Residual blocks in four stages of 64, 128, 256 and 512 channels, times `width`."""

    block: ClassVar[type[BasicBlock | Bottleneck]]
    depths: ClassVar[tuple[int, int, int, int]]  # blocks of each stage

    def __init__(self, num_classes: int, size: int, options: ResNetOptions) -> None:
        super().__init__(num_classes, size, options)
        channels, times = round(64 * options.width), self.block.expansion
        self.conv1, self.maxpool = stem(channels, options.has_small_stem(size))
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        rates = drop_path_rates(options.drop_path or 0.0, self.depths)
        attention = options.attention
        self.layer1 = self._stage(channels, channels, 1, attention, rates[0])
        self.layer2 = self._stage(times * channels, 2 * channels, 2, attention, rates[1])
        self.layer3 = self._stage(2 * times * channels, 4 * channels, 2, attention, rates[2])
        self.layer4 = self._stage(4 * times * channels, 8 * channels, 2, attention, rates[3])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(8 * times * channels, num_classes)
        draw_kernels(self)

    def _stage(
        self, inputs: int, channels: int, stride: int, attention: str | None, rates: Sequence[float]
    ) -> nn.Sequential:
        """Blocks of one resolution, the first of which changes the shape; one for each drop-path rate."""
        first = self.block(inputs, channels, stride, attention, rates[0])
        outputs = channels * self.block.expansion
        rest = [self.block(outputs, channels, 1, attention, rate) for rate in rates[1:]]
        return nn.Sequential(first, *rest)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(x)  # (N, 64, h, w): h = H for small images, H/4 for large ones
        x = self.layer1(x)  # of ResNet-50 (N, 256, h, w), four times the channels here and below
        x = self.layer2(x)  # (N, 128, h/2, w/2)
        x = self.layer3(x)  # (N, 256, h/4, w/4)
        x = self.layer4(x)  # (N, 512, h/8, w/8)
        return x

    def head(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.flatten(self.pool(maps)))
        return logits


class ResNet18(ResNet):
    """Eight blocks of two convolutions."""

    block, depths = BasicBlock, (2, 2, 2, 2)


class ResNet34(ResNet):
    """Sixteen blocks of two convolutions."""

    block, depths = BasicBlock, (3, 4, 6, 3)


class ResNet50(ResNet):
    """Sixteen blocks of three convolutions."""

    block, depths = Bottleneck, (3, 4, 6, 3)


def stem(channels: int, small: bool) -> tuple[nn.Conv2d, nn.Module]:
    """The first convolution and the pool after it: a 3x3 one without a pool keeps the resolution.

    The paper's, for large images, divide the side by four.
    """
    if small:
        return nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.Identity()
    convolution = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
    return convolution, nn.MaxPool2d(3, stride=2, padding=1)


def draw_kernels(network: nn.Module) -> None:
    """Draws the kernels of all convolutions (He et al. 2015, arXiv:1502.01852)."""
    for module in network.modules():
        # On the meta device there is nothing to draw, and trying loads PyTorch's compiler: a second.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
