"""The net for strides and kernels: exact to its text, and refused where nothing would be left."""

import pytest
import torch
from torch import nn

from seewhy.errors import UsageError
from seewhy.models.registry import build, cost, describe


def test_layer_by_layer() -> None:
    rows = [
        (layer.name, layer.output_shape, layer.parameters)
        for layer in describe(build("strided_cnn", num_classes=10, size=32))
    ]
    assert rows == [
        ("conv1", (32, 32, 32), 32 * 28),
        ("relu1", (32, 32, 32), 0),
        ("norm1", (32, 32, 32), 64),
        ("pool1", (32, 16, 16), 0),
        ("conv2", (64, 16, 16), 64 * 289),
        ("relu2", (64, 16, 16), 0),
        ("norm2", (64, 16, 16), 128),
        ("pool2", (64, 8, 8), 0),
        ("head.flatten", (4096,), 0),
        ("head.classes", (10,), 40_970),
    ]
    assert cost("strided_cnn", num_classes=10, size=32).parameters == 60_554


def test_it_equals_its_text_in_plain_torch() -> None:
    torch.manual_seed(0)
    network = build("strided_cnn", num_classes=10, size=32).eval()
    plain = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding="same"),
        nn.ReLU(),
        nn.BatchNorm2d(32, eps=1e-3),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding="same"),
        nn.ReLU(),
        nn.BatchNorm2d(64, eps=1e-3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4096, 10),
    ).eval()
    weights = [tensor for key, tensor in network.state_dict().items() if key not in ("mean", "std")]
    plain.load_state_dict(dict(zip(plain.state_dict(), weights, strict=True)))
    x = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(network(x), plain((x - 0.5) / 0.25))


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize(
    ("stride", "sides", "inputs"),
    [(1, (32, 16, 16, 8), 4096), (2, (16, 8, 4, 2), 256), (3, (11, 5, 2, 1), 64)],
)
def test_strides_and_kernels(stride: int, kernel: int, sides: tuple[int, ...], inputs: int) -> None:
    network = build("strided_cnn", num_classes=10, size=32, stride=stride, kernel=kernel)
    shapes = {layer.name: layer.output_shape for layer in describe(network)}
    names = ("conv1", "pool1", "conv2", "pool2")
    assert tuple(shapes[name][1] for name in names) == sides
    assert network.get_submodule("head.classes").in_features == inputs
    assert network.get_submodule("conv2").kernel_size == (kernel, kernel)


@pytest.mark.parametrize(("stride", "least"), [(1, 4), (2, 11), (3, 22)])
def test_images_of_which_nothing_would_be_left_are_refused(stride: int, least: int) -> None:
    network = build("strided_cnn", num_classes=2, size=least, stride=stride).train()
    assert network(torch.rand(1, 3, least, least)).shape == (1, 2)
    with pytest.raises(UsageError, match=f"at least {least} pixels a side, these have {least - 1}"):
        build("strided_cnn", num_classes=2, size=least - 1, stride=stride)
