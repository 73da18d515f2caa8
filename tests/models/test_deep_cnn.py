"""The deep net of sigmoids: its gradients vanish, and batch norm brings them back."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from seewhy.errors import UsageError
from seewhy.models.registry import build, cost, describe


def test_layer_by_layer() -> None:
    layers = describe(build("deep_cnn", num_classes=10, size=32))
    convs = [layer.output_shape for layer in layers if layer.kind == "Conv2d"]
    assert convs == [
        *((32, 32, 32), (32, 32, 32), (64, 16, 16), (64, 16, 16)),
        *((128, 8, 8), (128, 8, 8)),
    ]
    assert sum(layer.kind == "Sigmoid" for layer in layers) == 7
    assert cost("deep_cnn", num_classes=10, size=32).parameters == 550_570
    assert cost("deep_cnn", num_classes=10, size=32, batch_norm=True).parameters == 551_466


def test_a_norm_follows_the_activation_of_each_convolution() -> None:
    network = build("deep_cnn", num_classes=10, size=32, batch_norm=True, activation="relu")
    kinds = [layer.kind for layer in describe(network) if layer.name.startswith("block2.")]
    pair = ["Conv2d", "ReLU", "BatchNorm2d"]
    assert kinds == [*pair, *pair, "MaxPool2d", "Dropout"]
    assert network.get_submodule("block1.norm1").momentum == 0.1
    with pytest.raises(UsageError, match="batch_norm_momentum has no effect"):
        build("deep_cnn", num_classes=10, size=32, batch_norm_momentum=0.1)


def test_dropout_has_one_rate_everywhere() -> None:
    network = build("deep_cnn", num_classes=10, size=32, dropout=0.2)
    dropouts = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [0.2] * 4


def first_over_last(**options: float | str) -> float:
    """The gradient's norm at the first convolution, as a share of that at the last."""
    torch.manual_seed(0)
    network = build("deep_cnn", num_classes=10, size=32, **options).train()
    x, y = torch.rand(32, 3, 32, 32), torch.arange(32) % 10
    functional.cross_entropy(network(x), y).backward()
    first, last = (
        network.get_submodule(name).weight.grad.norm() for name in ("block1.conv1", "block3.conv2")
    )
    return (first / last).item()


def test_its_gradients_vanish_and_batch_norm_brings_them_back() -> None:
    assert first_over_last() < 1e-2
    assert first_over_last(batch_norm=True) > 0.1
    assert first_over_last(activation="relu") > 0.1
