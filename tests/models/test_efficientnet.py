"""EfficientNet-B0: the size of its paper, timm's weights, a stem for each size, stochastic depth."""

import pytest
import torch
from models.against_timm import logits_of_both
from models.conftest import TimmOutputs
from torch import nn

from seewhy.errors import UsageError
from seewhy.models.drop_path import DropPath
from seewhy.models.registry import build, cost


@pytest.mark.parametrize(
    ("size", "stem"), [pytest.param(96, "auto", marks=pytest.mark.long), (64, "imagenet")]
)
def test_timms_weights_load_and_give_its_logits(
    size: int, stem: str, timm_outputs: TimmOutputs
) -> None:
    logits, expected = logits_of_both(
        "efficientnet_b0", "efficientnet_b0", timm_outputs, size, stem=stem
    )
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_parameters_and_flops_at_imagenet_size_are_the_papers() -> None:
    there = cost("efficientnet_b0", num_classes=1000, size=224)
    assert there.parameters == 5_288_548  # table 2: 5.3 million
    assert round(there.flops / 2 / 1e9, 2) == 0.39  # table 2, multiply-adds


@pytest.mark.parametrize(
    ("size", "stem", "side"),
    [(9, "auto", 2), (32, "auto", 4), (64, "auto", 8), (65, "auto", 3), (224, "auto", 7)],
)
def test_the_stem_fits_the_size_of_the_images(size: int, stem: str, side: int) -> None:
    network = build("efficientnet_b0", num_classes=2, size=size, stem=stem, width=0.25).eval()
    assert network.features(torch.rand(1, 3, size, size)).shape == (1, 320, side, side)


def test_both_stems_have_the_same_parameters() -> None:
    small = build("efficientnet_b0", num_classes=2, size=48, width=0.25, stem="small")
    large = build("efficientnet_b0", num_classes=2, size=48, width=0.25, stem="imagenet")
    large.load_state_dict(small.state_dict())


def test_images_too_small_for_the_stem_of_imagenet_are_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 33 pixels .* have 32: choose stem=small"):
        build("efficientnet_b0", num_classes=2, size=32, stem="imagenet")


def test_stochastic_depth_grows_from_the_first_block_to_the_last() -> None:
    def rates(network: nn.Module) -> list[float]:
        return [layer.rate for layer in network.modules() if isinstance(layer, DropPath)]

    network = build("efficientnet_b0", num_classes=2, size=32, width=0.25, drop_path=0.3)
    assert rates(network) == pytest.approx([0.02 * block for block in range(1, 16)])
    assert rates(build("efficientnet_b0", num_classes=2, size=32, width=0.25)) == []
