"""A deep network of sigmoids, whose gradients vanish; with batch norm it learns.

Six 3x3 convolutions in pairs of 32, 64 and 128 channels, one hidden layer, initial weights as in Keras.
A sigmoid's slope is at most 1/4, so after seven of them the gradient of the first layer is almost zero
(Hochreiter 1991; Glorot 2010): without batch norm the network guesses.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from seewhy.config.networks.small import DeepCNNOptions
from seewhy.models.dropout import Dropout
from seewhy.models.keras import glorot_uniform_, norms
from seewhy.models.network import Network

MOMENTUM = 0.1  # PyTorch's: the original names no library, and trains for a few epochs
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


class Block(nn.Module):
    """Two 3x3 convolutions; halves the side."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: type[nn.Module],
        norm: Callable[[int], nn.Module],
        dropout: float,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.activation1 = activation()
        self.norm1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.activation2 = activation()
        self.norm2 = norm(outputs)
        self.pool = nn.MaxPool2d(2)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.activation1(self.conv1(x)))
        x = self.norm2(self.activation2(self.conv2(x)))
        return self.dropout(self.pool(x))


class DeepCNN(Network):
    """550,570 parameters at 32x32 with ten classes.

    `batch_norm` adds a norm after each convolution's activation; `dropout` is the rate after each
    pair and after the hidden layer.
    """

    def __init__(self, num_classes: int, size: int, options: DeepCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        kind, dropout = ACTIVATIONS[options.activation], options.dropout
        norm = norms(options.batch_norm, options.batch_norm_momentum or MOMENTUM)
        self.block1 = Block(3, 32, kind, norm, dropout)
        self.block2 = Block(32, 64, kind, norm, dropout)
        self.block3 = Block(64, 128, kind, norm, dropout)
        self.head = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                hidden=nn.Linear(128 * (size // 8) ** 2, 128),
                activation=kind(),
                dropout=Dropout(dropout),
                classes=nn.Linear(128, num_classes),
            )
        )
        glorot_uniform_(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.block1(x)  # (N, 32, H/2, W/2)
        x = self.block2(x)  # (N, 64, H/4, W/4)
        return self.block3(x)  # (N, 128, H/8, W/8)
