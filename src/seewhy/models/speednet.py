"""SpeedNet: a small network for fast training on thumbnails, after airbench (Jordan 2024).

A fixed whitening layer, three blocks of two or three convolutions, batch norms with free biases and fixed
scales, identity-like first weights, and a head whose logits start small.
"""

import torch
from torch import Tensor, nn

from seewhy.config.networks.small import SpeedNetOptions
from seewhy.models.colour import Images
from seewhy.models.network import Network

WHITENING_IMAGES, WHITENING_PIXELS = 5_000, 5 << 20  # at most; a pixel takes some 250 bytes
WHITENING_FLOOR = 5e-4
LOGIT_SCALE = 1 / 9


class Whitening(nn.Module):
    """Projects 2x2 patches on their principal components, scaled to unit variance, with both signs.

    The bias is not trained: it costs a fortieth of a step and gains nothing. It is zero, except in networks
    from before it was fixed, whose optimisers know it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Tensor
        self.register_buffer("kernels", torch.zeros(24, 3, 2, 2))
        self.bias = nn.Parameter(torch.zeros(24))

    def fit(self, x: Tensor) -> None:
        """Sets the kernels from images (N, 3, H, W)."""
        patches = nn.functional.unfold(x, 2).transpose(1, 2).reshape(-1, 12)
        covariance = torch.cov(patches.double().T)
        variances, components = torch.linalg.eigh(covariance)
        scaled = (components / (variances + WHITENING_FLOOR).sqrt()).T.reshape(12, 3, 2, 2).float()
        self.kernels.copy_(torch.cat([scaled, -scaled]))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.kernels, self.bias.detach())


class Block(nn.Module):
    """Two 3x3 convolutions, and a residual third if asked for; halves the side after the first."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = _identity_conv(inputs, outputs)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = _norm(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = _identity_conv(outputs, outputs)
        self.norm2 = _norm(outputs)
        self.relu2 = nn.ReLU()
        self.residual = residual
        if residual:
            self.conv3 = _identity_conv(outputs, outputs)
            self.norm3 = _norm(outputs)
            self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        first = self.relu1(self.norm1(self.pool(self.conv1(x))))
        x = self.relu2(self.norm2(self.conv2(first)))
        return self.relu3(self.norm3(self.conv3(x)) + first) if self.residual else x


class Head(nn.Module):
    """Global max pooling, and a linear layer whose logits start small."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.linear = nn.Linear(inputs, num_classes, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.linear(self.pool(maps).flatten(1)) * LOGIT_SCALE


class SpeedNet(Network):
    """790,000 parameters and 97 million FLOPs at 32x32 with ten classes and the channels of the default."""

    def __init__(self, num_classes: int, size: int, options: SpeedNetOptions) -> None:
        super().__init__(num_classes, size, options)
        widths = [max(8, round(options.width * channels / 8) * 8) for channels in options.channels]
        self.whitening = Whitening()
        self.relu = nn.ReLU()
        residual = options.convolutions == 3
        self.block1 = Block(24, widths[0], residual)
        self.block2 = Block(widths[0], widths[1], residual)
        self.block3 = Block(widths[1], widths[2], residual)
        self.head = Head(widths[2], num_classes)

    def fit_input(self, images: Images) -> None:
        super().fit_input(images)
        most = min(WHITENING_IMAGES, WHITENING_PIXELS // self.size**2)
        stride = -(-len(images) // most)
        x = torch.tensor(images[::stride]).permute(0, 3, 1, 2) / 255
        self.whitening.fit(self.normalize(x))

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, 32, 32) at size 32
        x = self.relu(self.whitening(x))  # (N, 24, 31, 31)
        x = self.block1(x)  # (N, 48, 15, 15)
        x = self.block2(x)  # (N, 128, 7, 7)
        return self.block3(x)  # (N, 192, 3, 3)


def _identity_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution whose first outputs are initialised to copy its inputs."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[: min(inputs, outputs)])
    return conv


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
