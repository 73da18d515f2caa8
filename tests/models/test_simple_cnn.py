"""The two small nets: exact to their description."""

import torch
from torch import nn

from seewhy.models.registry import build, cost, describe


def test_simple_cnn_layer_by_layer() -> None:
    rows = [
        (layer.name, layer.output_shape, layer.parameters, layer.flops)
        for layer in describe(build("simple_cnn", num_classes=10, size=32))
    ]
    assert rows == [
        ("conv1", (32, 32, 32), 32 * 27 + 32, 2 * 32 * 32 * 32 * 27),
        ("relu1", (32, 32, 32), 0, 0),
        ("pool1", (32, 16, 16), 0, 0),
        ("conv2", (64, 16, 16), 64 * 288 + 64, 2 * 64 * 16 * 16 * 288),
        ("relu2", (64, 16, 16), 0, 0),
        ("pool2", (64, 8, 8), 0, 0),
        ("head.flatten", (4096,), 0, 0),
        ("head.hidden", (128,), 4096 * 128 + 128, 2 * 4096 * 128),
        ("head.relu", (128,), 0, 0),
        ("head.classes", (10,), 1290, 2 * 1280),
    ]


def test_parameters_and_flops_at_32_pixels_and_10_classes() -> None:
    simple = cost("simple_cnn", num_classes=10, size=32)
    assert simple.parameters == 545_098
    assert simple.flops == 2 * (32 * 32**2 * 27 + 64 * 16**2 * 288 + 4096 * 128 + 1280)
    assert cost("regularized_cnn", num_classes=10, size=32).parameters == 545_098 + 2 * (32 + 64)


def test_the_plain_net_equals_its_text_in_plain_torch() -> None:
    torch.manual_seed(0)
    network = build("simple_cnn", num_classes=10, size=32)
    plain = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4096, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    weights = [tensor for key, tensor in network.state_dict().items() if key not in ("mean", "std")]
    plain.load_state_dict(dict(zip(plain.state_dict(), weights, strict=True)))
    x = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(network(x), plain((x - 0.5) / 0.25))


def test_the_regularised_net_has_batch_norm_before_and_dropout_after_the_relu() -> None:
    network = build("regularized_cnn", num_classes=10, size=32)
    assert [layer.name for layer in describe(network)] == [
        *("conv1", "norm1", "relu1", "pool1", "conv2", "norm2", "relu2", "pool2"),
        *("head.flatten", "head.hidden", "head.relu", "head.dropout", "head.classes"),
    ]
    assert network.get_submodule("head.dropout").p == 0.5
    other = build("regularized_cnn", num_classes=10, size=32, dropout=0.2)
    assert other.get_submodule("head.dropout").p == 0.2 == other.arguments["dropout"]


def test_dropout_is_off_in_eval_mode_and_on_in_training() -> None:
    torch.manual_seed(0)
    network = build("regularized_cnn", num_classes=10, size=8, dropout=0.9)
    x = torch.rand(4, 3, 8, 8)
    assert torch.equal(network.eval()(x), network(x))
    assert not torch.equal(network.train()(x), network(x))
