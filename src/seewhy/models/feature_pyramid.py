"""A feature pyramid (Lin 2016, arXiv:1612.03144) on ResNet-18: its classes are read off a finer map."""

from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks.resnets import FeaturePyramidOptions
from seewhy.models.resnet import BasicBlock, ResNet, draw_kernels


class Lateral(nn.Module):
    """A stage's maps at the channels of the pyramid."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y


class FeaturePyramid(ResNet):
    """ResNet-18 whose last three stages are fused from the top down; the finest map is pooled and classified.

    It has 16 times as many positions as ResNet-18's last map, so that small objects are told apart from what
    surrounds them, and explanations are as fine. The paper detects objects on every level; a classifier needs
    one, so only the finest map has the paper's 3x3 convolution. Norms are added, as the network is trained
    from nothing.
    """

    block, depths = BasicBlock, (2, 2, 2, 2)

    def __init__(self, num_classes: int, size: int, options: FeaturePyramidOptions) -> None:
        super().__init__(num_classes, size, options)
        unit = round(64 * options.width)
        channels = 2 * unit
        del self.fc  # that of ResNet-18; this network's comes after the pyramid
        self.lateral2 = Lateral(2 * unit, channels)
        self.lateral3 = Lateral(4 * unit, channels)
        self.lateral4 = Lateral(8 * unit, channels)
        self.fused = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.fused_bn = nn.BatchNorm2d(channels)
        self.fused_relu = nn.ReLU()
        self.fc = nn.Linear(channels, num_classes)
        draw_kernels(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(x)  # (N, 64, h, w): h = H for small images, H/4 for large ones
        stage2 = self.layer2(self.layer1(x))  # (N, 128, h/2, w/2)
        stage3 = self.layer3(stage2)  # (N, 256, h/4, w/4)
        stage4 = self.layer4(stage3)  # (N, 512, h/8, w/8)
        x = self.lateral4(stage4)  # (N, 128, h/8, w/8)
        x = self.lateral3(stage3) + F.interpolate(x, stage3.shape[2:])
        x = self.lateral2(stage2) + F.interpolate(x, stage2.shape[2:])  # (N, 128, h/2, w/2)
        return self.fused_relu(self.fused_bn(self.fused(x)))
