"""DenseNets (Huang 2016, arXiv:1608.06993): every layer sees the maps of all layers before it in its block.

`DenseNet121` is the paper's for ImageNet, `DenseNet` its DenseNet-BC for thumbnails. Names of parameters and
arithmetic are those of timm's `densenet121`, without its prefix "features.".
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from seewhy.config.networks.classic import DenseNet121Options, DenseNetOptions
from seewhy.models.network import Network
from seewhy.models.resnet import stem

BOTTLENECK = 4  # channels of a layer's 1x1 convolution, times the growth


class DenseLayer(nn.Module):
    """A 1x1 and a 3x3 convolution, each after a norm; adds `growth` maps to those that it takes."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu1(self.norm1(x)))  # (N, 4 growth, h, w)
        y = self.conv2(self.relu2(self.norm2(y)))  # (N, growth, h, w)
        return torch.cat([x, y], 1)  # (N, inputs + growth, h, w)


def dense_block(inputs: int, layers: int, growth: int) -> nn.Sequential:
    """Layers that add to the same maps: `inputs` become inputs + layers * growth channels."""
    named = OrderedDict[str, nn.Module]()
    for layer in range(layers):
        named[f"denselayer{layer + 1}"] = DenseLayer(inputs + layer * growth, growth)
    return nn.Sequential(named)


def transition(inputs: int) -> nn.Sequential:
    """Halves the channels and the side."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(),
            conv=nn.Conv2d(inputs, inputs // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


class DenseNet121(Network):
    """Blocks of 6, 12, 24 and 16 layers; `growth` is 32 in the paper."""

    def __init__(self, num_classes: int, size: int, options: DenseNet121Options) -> None:
        super().__init__(num_classes, size, options)
        growth, channels = options.growth, 2 * options.growth
        self.conv0, self.pool0 = stem(channels, options.has_small_stem(size))
        self.norm0 = nn.BatchNorm2d(channels)
        self.relu0 = nn.ReLU()
        self.denseblock1 = dense_block(channels, 6, growth)
        channels += 6 * growth
        self.transition1 = transition(channels)
        channels //= 2
        self.denseblock2 = dense_block(channels, 12, growth)
        channels += 12 * growth
        self.transition2 = transition(channels)
        channels //= 2
        self.denseblock3 = dense_block(channels, 24, growth)
        channels += 24 * growth
        self.transition3 = transition(channels)
        channels //= 2
        self.denseblock4 = dense_block(channels, 16, growth)
        channels += 16 * growth
        self.norm5 = nn.BatchNorm2d(channels)
        self.relu5 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        _draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.relu0(self.norm0(self.conv0(x)))
        x = self.pool0(x)  # (N, 64, h, w): h = H with the small stem, H/4 with ImageNet's
        x = self.transition1(self.denseblock1(x))  # (N, 128, h/2, w/2)
        x = self.transition2(self.denseblock2(x))  # (N, 256, h/4, w/4)
        x = self.transition3(self.denseblock3(x))  # (N, 512, h/8, w/8)
        return self.relu5(self.norm5(self.denseblock4(x)))  # (N, 1024, h/8, w/8)

    def head(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(maps).flatten(1))
        return logits


class DenseNet(Network):
    """DenseNet-BC for thumbnails: three blocks of (depth - 4) / 6 layers, between them half the channels."""

    def __init__(self, num_classes: int, size: int, options: DenseNetOptions) -> None:
        super().__init__(num_classes, size, options)
        growth, layers = options.growth, (options.depth - 4) // 6
        channels = 2 * growth
        self.conv0 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.denseblock1 = dense_block(channels, layers, growth)
        channels += layers * growth
        self.transition1 = transition(channels)
        channels //= 2
        self.denseblock2 = dense_block(channels, layers, growth)
        channels += layers * growth
        self.transition2 = transition(channels)
        channels //= 2
        self.denseblock3 = dense_block(channels, layers, growth)
        channels += layers * growth
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                classes=nn.Linear(channels, num_classes),
            )
        )
        _draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.conv0(self.normalize(x))  # (N, 2 growth, H, W)
        x = self.transition1(self.denseblock1(x))  # (N, ..., H/2, W/2)
        x = self.transition2(self.denseblock2(x))  # (N, ..., H/4, W/4)
        return self.relu(self.norm(self.denseblock3(x)))


def _draw_weights(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight)
