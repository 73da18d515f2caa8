"""The wide net with three blocks: exact to its listing."""

import torch
from torch import nn

from seewhy.models.registry import build, cost, describe


def test_layer_by_layer() -> None:
    rows = [
        (layer.name, layer.output_shape, layer.parameters)
        for layer in describe(build("advanced_cnn", num_classes=10, size=32))
    ]
    blocks = [
        row
        for name, inputs, outputs, side in (
            ("block1", 3, 64, 32),
            ("block2", 64, 128, 16),
            ("block3", 128, 256, 8),
        )
        for row in (
            (f"{name}.conv", (outputs, side, side), outputs * (9 * inputs + 1)),
            (f"{name}.relu", (outputs, side, side), 0),
            (f"{name}.norm", (outputs, side, side), 2 * outputs),
            (f"{name}.pool", (outputs, side // 2, side // 2), 0),
            (f"{name}.dropout", (outputs, side // 2, side // 2), 0),
        )
    ]
    assert rows == [
        *blocks,
        ("head.pool", (256, 1, 1), 0),
        ("head.flatten", (256,), 0),
        ("head.hidden1", (512,), 512 * 257),
        ("head.relu1", (512,), 0),
        ("head.norm1", (512,), 1024),
        ("head.dropout1", (512,), 0),
        ("head.hidden2", (256,), 256 * 513),
        ("head.relu2", (256,), 0),
        ("head.norm2", (256,), 512),
        ("head.dropout2", (256,), 0),
        ("head.classes", (10,), 2570),
    ]
    assert cost("advanced_cnn", num_classes=10, size=32).parameters == 638_730


def rates(network: nn.Module) -> list[float]:
    return [module.p for module in network.modules() if isinstance(module, nn.Dropout)]


def test_the_rates_of_dropout_are_the_texts_or_the_one_given() -> None:
    assert rates(build("advanced_cnn", num_classes=10, size=32)) == [0.25, 0.25, 0.3, 0.5, 0.4]
    assert rates(build("advanced_cnn", num_classes=10, size=32, dropout=0.0)) == [0.0] * 5


def test_momentum_reaches_every_norm() -> None:
    network = build("advanced_cnn", num_classes=10, size=32, batch_norm_momentum=0.2)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [0.2] * 5
    assert all(norm.eps == 1e-3 for norm in norms)


def test_it_equals_its_text_in_plain_torch() -> None:
    torch.manual_seed(0)
    network = build("advanced_cnn", num_classes=10, size=32).eval()

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding="same"),
            nn.ReLU(),
            nn.BatchNorm2d(outputs, eps=1e-3),
            nn.MaxPool2d(2),
        ]

    plain = nn.Sequential(
        *block(3, 64),
        *block(64, 128),
        *block(128, 256),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(256, 512),
        nn.ReLU(),
        nn.BatchNorm1d(512, eps=1e-3),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.BatchNorm1d(256, eps=1e-3),
        nn.Linear(256, 10),
    ).eval()
    weights = [tensor for key, tensor in network.state_dict().items() if key not in ("mean", "std")]
    plain.load_state_dict(dict(zip(plain.state_dict(), weights, strict=True)))
    x = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(network(x), plain((x - 0.5) / 0.25))
