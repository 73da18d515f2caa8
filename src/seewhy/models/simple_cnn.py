"""Two small networks for a first lesson: a plain one, and the same with regularisation."""

from collections import OrderedDict

from torch import Tensor, nn

from seewhy.config.networks.small import RegularizedCNNOptions, SimpleCNNOptions
from seewhy.models.dropout import Dropout
from seewhy.models.network import Network


class SimpleCNN(Network):
    """Two convolutions and two linear layers."""

    def __init__(self, num_classes: int, size: int, options: SimpleCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                hidden=nn.Linear(64 * (size // 4) ** 2, 128),
                relu=nn.ReLU(),
                classes=nn.Linear(128, num_classes),
            )
        )

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.pool1(self.relu1(self.conv1(x)))  # (N, 32, H/2, W/2)
        x = self.pool2(self.relu2(self.conv2(x)))  # (N, 64, H/4, W/4)
        return x


class RegularizedCNN(Network):
    """`SimpleCNN` with batch normalisation (Ioffe 2015) and dropout (Srivastava 2014)."""

    def __init__(self, num_classes: int, size: int, options: RegularizedCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(32)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(64)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                hidden=nn.Linear(64 * (size // 4) ** 2, 128),
                relu=nn.ReLU(),
                dropout=Dropout(options.dropout),
                classes=nn.Linear(128, num_classes),
            )
        )

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.pool1(self.relu1(self.norm1(self.conv1(x))))  # (N, 32, H/2, W/2)
        x = self.pool2(self.relu2(self.norm2(self.conv2(x))))  # (N, 64, H/4, W/4)
        return x
