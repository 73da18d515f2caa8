"""ResNet-18 (He et al. 2015, arXiv:1512.03385), with a stem that fits the size of the images."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks import ResNet18Options
from seewhy.models.network import Network

LARGEST_SMALL = 64  # pixels: up to here the stem keeps the resolution


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
    """Two 3x3 convolutions beside a shortcut; the shortcut projects where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                OrderedDict(
                    conv=Projection(inputs, outputs, 1, stride, bias=False),
                    norm=nn.BatchNorm2d(outputs),
                )
            )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu1(self.norm1(self.conv1(x)))  # (N, outputs, h/stride, w/stride)
        y = self.norm2(self.conv2(y))
        y = self.relu2(y + self.shortcut(x))
        return y


def small_stem(channels: int) -> nn.Sequential:
    """A 3x3 convolution that keeps the resolution, for images of up to 64 pixels."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, channels, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
        )
    )


def large_stem(channels: int) -> nn.Sequential:
    """The paper's stem: a 7x7 convolution and a pool, which together divide the side by four."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            pool=nn.MaxPool2d(3, stride=2, padding=1),
        )
    )


def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two blocks, the first of which changes the shape."""
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))


class ResNet18(Network):
    """Eight residual blocks in four stages of 64 to 512 channels, times `width`."""

    def __init__(self, num_classes: int, size: int, options: ResNet18Options) -> None:
        super().__init__(num_classes, size, options)
        channels = round(64 * options.width)
        self.stem = small_stem(channels) if size <= LARGEST_SMALL else large_stem(channels)
        self.stage1 = stage(channels, channels, stride=1)
        self.stage2 = stage(channels, 2 * channels, stride=2)
        self.stage3 = stage(2 * channels, 4 * channels, stride=2)
        self.stage4 = stage(4 * channels, 8 * channels, stride=2)
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classes=nn.Linear(8 * channels, num_classes),
            )
        )
        for module in self.modules():
            # On the meta device there is nothing to draw, and trying loads PyTorch's compiler: a second.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.stem(x)  # (N, 64, h, w): h = H for small images, H/4 for large ones
        x = self.stage1(x)
        x = self.stage2(x)  # (N, 128, h/2, w/2)
        x = self.stage3(x)  # (N, 256, h/4, w/4)
        x = self.stage4(x)  # (N, 512, h/8, w/8)
        return x
