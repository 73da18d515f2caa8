"""A network of three wide convolutions and two hidden layers, with batch norm and dropout throughout.

The original is a listing in Keras that does not define the kernels (here 3x3, padded to keep the size) and
the activations (here ReLU, before each norm). Norms and initial weights are Keras's.
"""

from collections import OrderedDict

from torch import Tensor, nn

from seewhy.config.networks.small import AdvancedCNNOptions
from seewhy.models.dropout import Dropout
from seewhy.models.keras import DenseNorm, glorot_uniform_, norm2d
from seewhy.models.network import Network

DROPOUTS = (0.25, 0.25, 0.3, 0.5, 0.4)  # after the three blocks and the two hidden layers


class Block(nn.Module):
    """A 3x3 convolution; halves the side."""

    def __init__(self, inputs: int, outputs: int, momentum: float, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.relu = nn.ReLU()
        self.norm = norm2d(outputs, momentum)
        self.pool = nn.MaxPool2d(2)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.pool(self.norm(self.relu(self.conv(x)))))


class AdvancedCNN(Network):
    """638,730 parameters at ten classes; `dropout` sets one rate instead of the original five."""

    def __init__(self, num_classes: int, size: int, options: AdvancedCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        dropout, momentum = options.dropout, options.batch_norm_momentum
        rates = DROPOUTS if dropout is None else (dropout,) * len(DROPOUTS)
        self.block1 = Block(3, 64, momentum, rates[0])
        self.block2 = Block(64, 128, momentum, rates[1])
        self.block3 = Block(128, 256, momentum, rates[2])
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                hidden1=nn.Linear(256, 512),
                relu1=nn.ReLU(),
                norm1=DenseNorm(512, momentum),
                dropout1=Dropout(rates[3]),
                hidden2=nn.Linear(512, 256),
                relu2=nn.ReLU(),
                norm2=DenseNorm(256, momentum),
                dropout2=Dropout(rates[4]),
                classes=nn.Linear(256, num_classes),
            )
        )
        glorot_uniform_(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.block1(x)  # (N, 64, H/2, W/2)
        x = self.block2(x)  # (N, 128, H/4, W/4)
        return self.block3(x)  # (N, 256, H/8, W/8)
