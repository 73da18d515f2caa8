"""GoogLeNet: the blocks of its paper, and a stem for each size of image."""

import pytest
import torch
from torch import nn

from seewhy.models.inception import Inception
from seewhy.models.registry import build, describe

# Table 1: the multiply-adds of each block in millions, at 224 pixels. For the first convolution and 5a the
# paper prints 34 and 54, which do not follow from its own channels.
TABLE = {
    "conv1": 118,
    "block3a": 128,
    "block3b": 304,
    "block4a": 73,
    "block4b": 88,
    "block4c": 100,
    "block4d": 119,
    "block4e": 170,
    "block5a": 51,
    "block5b": 71,
}


def test_parameters_and_flops_at_imagenet_size_are_the_papers() -> None:
    layers = describe(build("inception", num_classes=1000, size=224, width=1))
    for name, millions in TABLE.items():
        flops = sum(layer.flops for layer in layers if layer.name.startswith(name))
        assert flops / 2e6 == pytest.approx(millions, rel=0.01)
    kinds = ("Conv2d", "Linear")
    parameters = sum(layer.parameters for layer in layers if layer.kind in kinds)
    assert parameters / 1024 == pytest.approx(
        6797, rel=0.01
    )  # the sum of the table, its K is 1,024


def test_a_block_puts_its_branches_beside_each_other() -> None:
    block = Inception(6, (4, 2, 5, 2, 3, 1)).eval()
    x = torch.randn(2, 6, 7, 7)
    y = block(x)
    assert y.shape == (2, 13, 7, 7) and block.outputs == 13
    torch.testing.assert_close(y[:, :4], block.branch1(x))
    pooled = nn.functional.max_pool2d(x, 3, stride=1, padding=1)
    torch.testing.assert_close(y[:, 12:], block.branch_pool[1](pooled))


@pytest.mark.parametrize(("size", "side"), [(9, 2), (32, 4), (64, 8), (65, 3), (224, 7)])
def test_the_stem_fits_the_size_of_the_images(size: int, side: int) -> None:
    network = build("inception", num_classes=2, size=size, width=0.125).eval()
    assert network.features(torch.rand(1, 3, size, size)).shape == (1, 128, side, side)
