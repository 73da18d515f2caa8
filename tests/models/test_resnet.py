"""ResNet-18: the sizes of its paper, a stem for each size of image."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from seewhy.models.registry import build, cost, describe
from seewhy.models.resnet import BasicBlock, Projection


def test_parameters_with_the_small_stem() -> None:
    assert cost("resnet18", num_classes=10, size=32).parameters == 11_173_962


def test_parameters_and_flops_at_imagenet_size_are_the_papers() -> None:
    there = cost("resnet18", num_classes=1000, size=224)
    assert there.parameters == 11_689_512
    assert there.flops / 2 == pytest.approx(1.8e9, rel=0.02)  # table 1, multiply-adds


@pytest.mark.parametrize(
    ("size", "stem", "last"), [(9, 9, 2), (32, 32, 4), (64, 64, 8), (65, 17, 3), (224, 56, 7)]
)
def test_the_stem_fits_the_size_of_the_images(size: int, stem: int, last: int) -> None:
    shapes = {
        layer.name: layer.output_shape
        for layer in describe(build("resnet18", num_classes=2, size=size))
    }
    assert shapes["stage1.0.conv1"] == (64, stem, stem)
    assert shapes["stage4.1.relu2"] == (512, last, last)
    assert ("stem.pool" in shapes) == (size > 64)


@pytest.mark.parametrize(("width", "channels"), [(0.125, 8), (0.5, 32), (2, 128)])
def test_width_multiplies_the_channels(width: float, channels: int) -> None:
    network = build("resnet18", num_classes=2, size=16, width=width)
    assert network.features(torch.rand(1, 3, 16, 16)).shape == (1, 8 * channels, 2, 2)


def test_a_block_adds_its_input_and_projects_where_the_shape_changes() -> None:
    torch.manual_seed(0)
    block = BasicBlock(4, 4, stride=1).eval()
    torch.nn.init.zeros_(block.norm2.weight)  # the residual is now nothing
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), x.relu())
    assert BasicBlock(4, 8, stride=2)(x).shape == (2, 8, 3, 3)
    assert sum(p.numel() for p in BasicBlock(4, 8, 2).get_submodule("shortcut").parameters()) == 48


@pytest.mark.parametrize("inputs", [8, 16])
def test_a_projection_is_a_strided_convolution(inputs):
    torch.manual_seed(0)
    x = torch.rand(3, inputs, 7, 8, requires_grad=True)
    layer = Projection(inputs, 2 * inputs, 1, stride=2, bias=False)
    expected = functional.conv2d(x, layer.weight, stride=2)
    changes = torch.rand_like(expected)
    parameters = (x, layer.weight)
    wanted = torch.autograd.grad(expected, parameters, changes)
    assert torch.allclose(layer(x), expected, atol=1e-6)
    for one, other in zip(torch.autograd.grad(layer(x), parameters, changes), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


NARROW = """
import torch
from seewhy.inference.device import place
from seewhy.models.registry import build

net = place(build("resnet18", num_classes=2, size=48, width=0.125), torch.device("cpu"))
for _ in range(3):
    x = torch.rand(16, 3, 48, 48).contiguous(memory_format=torch.channels_last)
    net(x).sum().backward()
"""


def test_a_narrow_net_writes_nowhere_else_in_memory():
    """A strided 1x1 convolution of 8 channels, channels last, does, and the process dies of it."""
    assert subprocess.run([sys.executable, "-c", NARROW], timeout=120).returncode == 0
