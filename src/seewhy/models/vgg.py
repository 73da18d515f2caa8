"""VGG with 11 layers (Simonyan 2014, arXiv:1409.1556, configuration A) and batch norm.

Parameters in the arithmetic of timm's `vgg11_bn`; `config.networks.VGG_NAMES` maps their names.
"""

from collections import OrderedDict

from torch import Tensor, nn

from seewhy.config.networks.classic import VGG11BNOptions
from seewhy.models.dropout import Dropout
from seewhy.models.network import Network

HIDDEN = 4096  # units of the paper's two hidden layers, on maps of 7x7 positions


class VGG11BN(Network):
    """Eight 3x3 convolutions of 64 to 512 channels, times `width`, and five pools.

    The fifth pool is the first layer of the head, so that the map of 32 pixels has 2x2 positions, not one.
    """

    def __init__(self, num_classes: int, size: int, options: VGG11BNOptions) -> None:
        super().__init__(num_classes, size, options)
        a, b, c, d = (round(options.width * channels) for channels in (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(3, a, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(a)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(b)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(c)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(c, c, 3, padding=1)
        self.norm4 = nn.BatchNorm2d(c)
        self.relu4 = nn.ReLU()
        self.pool3 = nn.MaxPool2d(2)
        self.conv5 = nn.Conv2d(c, d, 3, padding=1)
        self.norm5 = nn.BatchNorm2d(d)
        self.relu5 = nn.ReLU()
        self.conv6 = nn.Conv2d(d, d, 3, padding=1)
        self.norm6 = nn.BatchNorm2d(d)
        self.relu6 = nn.ReLU()
        self.pool4 = nn.MaxPool2d(2)
        self.conv7 = nn.Conv2d(d, d, 3, padding=1)
        self.norm7 = nn.BatchNorm2d(d)
        self.relu7 = nn.ReLU()
        self.conv8 = nn.Conv2d(d, d, 3, padding=1)
        self.norm8 = nn.BatchNorm2d(d)
        self.relu8 = nn.ReLU()
        if options.fully_connected:
            self.head = _fully_connected(
                d, round(options.width * HIDDEN), num_classes, options.dropout
            )
        else:
            self.head = _pooled(d, num_classes, options.dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features(self, x: Tensor) -> Tensor:
        x = self.normalize(x)  # (N, 3, H, W)
        x = self.relu1(self.norm1(self.conv1(x)))
        x = self.pool1(x)  # (N, 64, H/2, W/2)
        x = self.relu2(self.norm2(self.conv2(x)))
        x = self.pool2(x)  # (N, 128, H/4, W/4)
        x = self.relu3(self.norm3(self.conv3(x)))
        x = self.relu4(self.norm4(self.conv4(x)))
        x = self.pool3(x)  # (N, 256, H/8, W/8)
        x = self.relu5(self.norm5(self.conv5(x)))
        x = self.relu6(self.norm6(self.conv6(x)))
        x = self.pool4(x)  # (N, 512, H/16, W/16)
        x = self.relu7(self.norm7(self.conv7(x)))
        return self.relu8(self.norm8(self.conv8(x)))  # (N, 512, H/16, W/16)


def _pooled(inputs: int, num_classes: int, dropout: float) -> nn.Sequential:
    """The usual head for thumbnails: the fifth pool, the mean over all positions, one layer."""
    return nn.Sequential(
        OrderedDict(
            pool5=nn.MaxPool2d(2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=Dropout(dropout),
            fc=nn.Linear(inputs, num_classes),
        )
    )


def _fully_connected(inputs: int, hidden: int, num_classes: int, dropout: float) -> nn.Sequential:
    """The paper's head; its first two layers are convolutions of the maps, as in timm."""
    return nn.Sequential(
        OrderedDict(
            pool5=nn.MaxPool2d(2),
            pool=nn.AdaptiveAvgPool2d(7),  # changes nothing at 224 pixels
            fc1=nn.Conv2d(inputs, hidden, 7),
            relu1=nn.ReLU(),
            dropout1=Dropout(dropout),
            fc2=nn.Conv2d(hidden, hidden, 1),
            relu2=nn.ReLU(),
            dropout2=Dropout(dropout),
            flatten=nn.Flatten(),
            fc=nn.Linear(hidden, num_classes),
        )
    )
