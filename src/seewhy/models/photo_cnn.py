"""A small network for photographs of 224 pixels: three convolutions, global pooling, one hidden layer.

The original is a diagram of a network in Keras; convolutions are padded to keep the size. Norms and initial
weights are Keras's.
"""

from collections import OrderedDict

from torch import Tensor, nn

from seewhy.config.networks.options import KERAS_MOMENTUM
from seewhy.config.networks.small import PhotoCNNOptions
from seewhy.models.dropout import Dropout
from seewhy.models.keras import glorot_uniform_, norms
from seewhy.models.network import Network


class PhotoCNN(Network):
    """129,290 parameters at ten classes, whatever the size; `batch_norm=False` removes its norms."""

    def __init__(self, num_classes: int, size: int, options: PhotoCNNOptions) -> None:
        super().__init__(num_classes, size, options)
        norm = norms(options.batch_norm, options.batch_norm_momentum or KERAS_MOMENTUM)
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.norm1 = norm(32)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.norm2 = norm(64)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.norm3 = norm(128)
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                hidden=nn.Linear(128, 256),
                relu=nn.ReLU(),
                dropout=Dropout(options.dropout),
                classes=nn.Linear(256, num_classes),
            )
        )
        glorot_uniform_(self)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.pool1(self.norm1(self.relu1(self.conv1(x))))  # (N, 32, H/2, W/2)
        x = self.pool2(self.norm2(self.relu2(self.conv2(x))))  # (N, 64, H/4, W/4)
        return self.norm3(self.relu3(self.conv3(x)))  # (N, 128, H/4, W/4)
