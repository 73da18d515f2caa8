"""VGG-11 with batch norm: the size of its paper, timm's weights, and a head for thumbnails."""

import pytest
import torch
from models.against_timm import logits_of_both
from models.conftest import TimmOutputs

from seewhy.models.registry import build, cost


@pytest.mark.long  # 133 million of them
def test_timms_weights_load_and_give_its_logits(timm_outputs: TimmOutputs) -> None:
    logits, expected = logits_of_both(
        "vgg11_bn", "vgg11_bn", timm_outputs, size=64, fully_connected=True
    )
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_parameters_and_flops_at_imagenet_size_are_the_papers() -> None:
    there = cost("vgg11_bn", num_classes=1000, size=224, fully_connected=True)
    assert there.parameters == pytest.approx(133e6, rel=0.01)  # table 2, network A
    assert there.flops / 2 == pytest.approx(7.6e9, rel=0.01)


@pytest.mark.parametrize(("size", "side"), [(32, 2), (63, 3), (224, 14)])
def test_the_map_is_the_last_convolutions_and_the_head_averages_all_places(
    size: int, side: int
) -> None:
    network = build("vgg11_bn", num_classes=3, size=size, width=0.125).eval()
    maps = network.features(torch.rand(2, 3, size, size))
    assert maps.shape == (2, 64, side, side)
    layers = dict(network.named_modules())
    pooled = torch.nn.functional.max_pool2d(maps, 2).mean((2, 3))
    torch.testing.assert_close(network.head(maps), layers["head.fc"](pooled))


def test_the_fully_connected_head_sees_seven_by_seven_places_of_any_size() -> None:
    for size in (32, 100):
        network = build("vgg11_bn", num_classes=3, size=size, width=0.125, fully_connected=True)
        assert network.eval()(torch.rand(1, 3, size, size)).shape == (1, 3)
        assert network.state_dict()["head.fc1.weight"].shape == (512, 64, 7, 7)
