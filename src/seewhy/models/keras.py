"""Keras's batch norm, initial weights and padding, for networks that were written for Keras."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from seewhy.config.networks.options import KERAS_MOMENTUM

NORM_EPSILON = 1e-3


def norm2d(channels: int, momentum: float = KERAS_MOMENTUM) -> nn.BatchNorm2d:
    """Batch norm of maps (Ioffe 2015) with Keras's defaults; `momentum` is counted as in PyTorch."""
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=momentum)


def norms(batch_norm: bool, momentum: float) -> Callable[[int], nn.Module]:
    """Returns the constructor of a network's norms: `norm2d`, or an identity without batch norm."""
    return partial(norm2d, momentum=momentum) if batch_norm else lambda channels: nn.Identity()


class DenseNorm(nn.BatchNorm1d):
    """Batch norm of vectors `(N, C)` with Keras's defaults.

    A single image has no variance, so it is normalised as in evaluation.
    """

    def __init__(self, channels: int, momentum: float = KERAS_MOMENTUM) -> None:
        super().__init__(channels, eps=NORM_EPSILON, momentum=momentum)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1:
            return super().forward(x)
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class SameConv2d(nn.Conv2d):
    """A convolution of square maps with Keras's "same" padding: n pixels become n / stride, rounded up.

    If the number of zeros is odd, the right and the bottom edge get one more.
    """

    def forward(self, x: Tensor) -> Tensor:
        side, kernel, stride = x.shape[-1], self.kernel_size[0], self.stride[0]
        zeros = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        if zeros % 2:
            x = functional.pad(x, (0, 1, 0, 1))
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, zeros // 2, self.dilation, self.groups
        )


@torch.no_grad()
def glorot_uniform_(network: nn.Module) -> None:
    """Draws kernels and matrices as Keras does (Glorot 2010), and sets their biases to zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
