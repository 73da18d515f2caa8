"""DenseNets: the sizes of their paper, timm's weights, and a stem for each size of image."""

import pytest
import torch
from models.against_timm import logits_of_both
from models.conftest import TimmOutputs

from seewhy.errors import UsageError
from seewhy.models.densenet import DenseLayer
from seewhy.models.registry import build, cost


@pytest.mark.long
def test_timms_weights_load_and_give_its_logits(timm_outputs: TimmOutputs) -> None:
    logits, expected = logits_of_both("densenet121", "densenet121", timm_outputs, size=96)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_parameters_and_flops_at_imagenet_size_are_the_papers() -> None:
    there = cost("densenet121", num_classes=1000, size=224)
    assert there.parameters == 7_978_856
    assert there.flops / 2 == pytest.approx(2.85e9, rel=0.01)  # figure 3, multiply-adds


@pytest.mark.parametrize(("depth", "growth", "millions"), [(100, 12, 0.8), (190, 40, 25.6)])
def test_parameters_of_the_bottleneck_form_are_the_papers(
    depth: int, growth: int, millions: float
) -> None:
    there = cost("densenet", num_classes=10, size=32, depth=depth, growth=growth)
    assert round(there.parameters / 1e6, 1) == millions  # table 2


def test_a_layer_adds_its_maps_to_those_that_it_takes() -> None:
    layer = DenseLayer(5, growth=3).eval()
    x = torch.randn(2, 5, 4, 4)
    y = layer(x)
    assert y.shape == (2, 8, 4, 4) and torch.equal(y[:, :5], x)
    assert layer.conv1.weight.shape == (12, 5, 1, 1)


@pytest.mark.parametrize(
    ("size", "stem", "side"),
    [(32, "auto", 4), (64, "auto", 8), (65, "auto", 2), (96, "small", 12), (64, "imagenet", 2)],
)
def test_the_stem_fits_the_size_of_the_images_or_is_chosen(size: int, stem: str, side: int) -> None:
    network = build("densenet121", num_classes=2, size=size, growth=4, stem=stem).eval()
    assert network.features(torch.rand(1, 3, size, size)).shape == (1, 128, side, side)


def test_images_too_small_for_the_stem_of_imagenet_are_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 61 pixels .* have 60: choose stem=small"):
        build("densenet121", num_classes=2, size=60, stem="imagenet")


@pytest.mark.parametrize("name", ["densenet", "wide_resnet"])
def test_a_depth_that_makes_no_equal_stages_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(UsageError, match=r"6n \+ 4 layers: choose 34 or 40, not 39"):
        build(name, num_classes=2, size=32, depth=39)
