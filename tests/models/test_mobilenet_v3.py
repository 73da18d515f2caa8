"""MobileNetV3: the sizes of its paper, timm's weights, and a stem for each size of image."""

import pytest
import torch
from models.against_timm import logits_of_both
from models.conftest import TimmOutputs

from seewhy.models.registry import build, cost


@pytest.mark.parametrize("kind", ["small", "large"])
def test_timms_weights_load_and_give_its_logits(kind: str, timm_outputs: TimmOutputs) -> None:
    logits, expected = logits_of_both(
        f"mobilenet_v3_{kind}", f"mobilenetv3_{kind}_100", timm_outputs, size=96
    )
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "parameters", "multiply_adds", "within"),
    [("small", 2_542_856, 56e6, 0.01), ("large", 5_483_032, 219e6, 0.012)],  # table 3
)
def test_parameters_and_flops_at_imagenet_size_are_the_papers(
    kind: str, parameters: int, multiply_adds: float, within: float
) -> None:
    there = cost(f"mobilenet_v3_{kind}", num_classes=1000, size=224)
    assert there.parameters == parameters  # the paper's 2.5 and 5.4 million, and a few
    assert there.flops / 2 == pytest.approx(multiply_adds, rel=within)


@pytest.mark.parametrize(("kind", "channels"), [("small", 144), ("large", 240)])
@pytest.mark.parametrize(("size", "side"), [(9, 2), (32, 4), (64, 8), (65, 3), (224, 7)])
def test_the_stem_fits_the_size_of_the_images(
    kind: str, channels: int, size: int, side: int
) -> None:
    network = build(f"mobilenet_v3_{kind}", num_classes=2, size=size, width=0.25).eval()
    assert network.features(torch.rand(1, 3, size, size)).shape == (1, channels, side, side)


def test_the_head_convolves_what_is_left_after_pooling() -> None:
    network = build("mobilenet_v3_small", num_classes=2, size=32, width=0.25).eval()
    maps = torch.randn(2, 144, 4, 4)
    even = maps.mean((2, 3), keepdim=True).expand_as(maps)
    torch.testing.assert_close(network.head(maps), network.head(even))
