"""The feature pyramid: ResNet-18 whose map is the fusion of its last three stages."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seewhy.models.registry import Network, build, cost


def pyramid(size: int = 32, **options: str | float) -> Network:
    torch.manual_seed(0)
    return build("fpn", num_classes=3, size=size, width=0.125, **options).eval()


@pytest.mark.parametrize(
    ("size", "stem", "side"), [(32, "small", 16), (33, "small", 17), (96, "imagenet", 12)]
)
def test_its_map_has_the_places_of_the_second_stage(size: int, stem: str, side: int) -> None:
    network, x = pyramid(size, stem=stem), torch.rand(2, 3, size, size)
    plain = build("resnet18", num_classes=3, size=size, width=0.125, stem=stem).eval()
    assert network.features(x).shape == (2, 16, side, side)
    assert plain.features(x).shape[2] == -(-side // 4)


def test_the_map_fuses_the_stages_from_the_top_down() -> None:
    network, x = pyramid(), torch.rand(2, 3, 32, 32)
    stages: list[Tensor] = []
    for layer in (network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda _, x, y: stages.append(y))
    maps = network.features(x)
    laterals = network.lateral2, network.lateral3, network.lateral4
    two, three, four = (lateral(stage) for lateral, stage in zip(laterals, stages, strict=True))
    double = torch.ones(1, 1, 2, 2)
    expected = two + torch.kron(three + torch.kron(four, double), double)
    expected = functional.relu(network.fused_bn(network.fused(expected)))
    torch.testing.assert_close(maps, expected)
    logits = network.fc(maps.mean((2, 3)))
    torch.testing.assert_close(network(x), logits)


def test_the_pyramid_costs_little_beside_its_backbone() -> None:
    for size, classes in ((32, 10), (224, 1000)):
        with_it, without = (
            cost(name, num_classes=classes, size=size) for name in ("fpn", "resnet18")
        )
        assert with_it.parameters == pytest.approx(without.parameters, rel=0.03)
        assert 1.0 < with_it.flops / without.flops < 1.1


def test_the_weights_of_the_backbone_have_resnet18s_names() -> None:
    plain = build("resnet18", num_classes=3, size=32, width=0.125)
    missing = set(plain.state_dict()) - set(pyramid().state_dict())
    assert not missing
