"""The small net for photographs: exact to its diagram."""

import pytest
import torch
from torch import nn

from seewhy.errors import UsageError
from seewhy.models.registry import build, cost, describe


def test_layer_by_layer_at_224_pixels() -> None:
    rows = [
        (layer.name, layer.output_shape, layer.parameters)
        for layer in describe(build("photo_cnn", num_classes=10, size=224))
    ]
    assert rows == [
        ("conv1", (32, 224, 224), 32 * 28),
        ("relu1", (32, 224, 224), 0),
        ("norm1", (32, 224, 224), 64),
        ("pool1", (32, 112, 112), 0),
        ("conv2", (64, 112, 112), 64 * 289),
        ("relu2", (64, 112, 112), 0),
        ("norm2", (64, 112, 112), 128),
        ("pool2", (64, 56, 56), 0),
        ("conv3", (128, 56, 56), 128 * 577),
        ("relu3", (128, 56, 56), 0),
        ("norm3", (128, 56, 56), 256),
        ("head.pool", (128, 1, 1), 0),
        ("head.flatten", (128,), 0),
        ("head.hidden", (256,), 256 * 129),
        ("head.relu", (256,), 0),
        ("head.dropout", (256,), 0),
        ("head.classes", (10,), 2570),
    ]
    assert cost("photo_cnn", num_classes=10, size=224).parameters == 129_290


def test_it_equals_its_text_in_plain_torch() -> None:
    torch.manual_seed(0)
    network = build("photo_cnn", num_classes=3, size=16).eval()

    def conv(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding="same"),
            nn.ReLU(),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]

    plain = nn.Sequential(
        *conv(3, 32),
        nn.MaxPool2d(2),
        *conv(32, 64),
        nn.MaxPool2d(2),
        *conv(64, 128),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 256),
        nn.ReLU(),
        nn.Linear(256, 3),
    ).eval()
    weights = [tensor for key, tensor in network.state_dict().items() if key not in ("mean", "std")]
    plain.load_state_dict(dict(zip(plain.state_dict(), weights, strict=True)))
    x = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(network(x), plain((x - 0.5) / 0.25))


def test_the_rows_of_its_ablation_are_options() -> None:
    network = build("photo_cnn", num_classes=2, size=32, batch_norm=False, dropout=0.0)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert network.get_submodule("head.dropout").p == 0
    assert cost("photo_cnn", num_classes=10, size=32, batch_norm=False).parameters == 128_842
    with pytest.raises(UsageError, match="batch_norm_momentum has no effect"):
        build("photo_cnn", num_classes=2, size=32, batch_norm=False, batch_norm_momentum=0.1)
