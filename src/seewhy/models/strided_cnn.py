"""Two convolutions and one linear layer, to study the effect of strides and kernel sizes.

The original describes a network in Keras; convolutions are padded as "same", because with stride 3 no pixel
of 32 would remain otherwise. Norms and initial weights are Keras's.
"""

from collections import OrderedDict

from torch import Tensor, nn

from seewhy.config.networks.small import StridedCNNOptions
from seewhy.errors import UsageError
from seewhy.models.keras import SameConv2d, glorot_uniform_, norm2d
from seewhy.models.network import Network


class StridedCNN(Network):
    """60,554 parameters at 32x32 with ten classes, kernel 3 and stride 1."""

    def __init__(self, num_classes: int, size: int, options: StridedCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        stride, kernel, momentum = options.stride, options.kernel, options.batch_norm_momentum
        side = _side(size, stride)
        if side == 0:
            least = next(n for n in range(size, 1024) if _side(n, stride) > 0)
            raise UsageError(
                f"strided_cnn with stride={stride} needs images of at least {least} pixels a side, "
                f"these have {size}: choose a smaller stride"
            )
        self.conv1 = SameConv2d(3, 32, kernel, stride)
        self.relu1 = nn.ReLU()
        self.norm1 = norm2d(32, momentum)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = SameConv2d(32, 64, kernel, stride)
        self.relu2 = nn.ReLU()
        self.norm2 = norm2d(64, momentum)
        self.pool2 = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            OrderedDict(flatten=nn.Flatten(), classes=nn.Linear(64 * side**2, num_classes))
        )
        glorot_uniform_(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.pool1(self.norm1(self.relu1(self.conv1(x))))  # (N, 32, h, w): h = H/(2 stride)
        return self.pool2(self.norm2(self.relu2(self.conv2(x))))  # (N, 64, h/(2 stride), ...)


def _side(size: int, stride: int) -> int:
    """The side of the last map: each convolution rounds up, each pool down."""
    for _ in range(2):
        size = -(-size // stride) // 2
    return size
