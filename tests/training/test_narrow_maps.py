"""Gradients of kernels on narrow maps, against PyTorch's own in double precision."""

import pytest
import torch
from torch import nn

from seewhy.training.narrow_maps import SideBySide


def gradients(layer, x, mode=None):
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel()).view_as(y).to(y.dtype)
    loss = (y * weights).sum()
    if mode is None:
        loss.backward()
    else:
        with mode:
            loss.backward()
    return [x.grad, *(parameter.grad for parameter in layer.parameters())]


def drawn(*shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return x.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("kernel", [3, 5, (1, 3)])
@pytest.mark.parametrize("count", [8, 6])
def test_it_gives_the_gradients_of_each_image_by_itself(size, kernel, count):
    padding = tuple(side // 2 for side in (kernel if isinstance(kernel, tuple) else (kernel,) * 2))
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 4, kernel, padding=padding).bfloat16()
    x, mode = drawn(count, 5, size, size).bfloat16(), SideBySide()
    found = gradients(layer, x, mode)
    assert mode.useful
    for ours, exact in zip(found, gradients(layer.double(), x.double()), strict=True):
        error = (ours.double() - exact).abs().max()
        assert error <= 0.01 * exact.abs().max()


@pytest.mark.parametrize(
    ("options", "shape", "dtype"),
    [
        ({"stride": 2, "padding": 1}, (8, 4, 7, 7), torch.bfloat16),
        ({"dilation": 2, "padding": 1}, (8, 4, 7, 7), torch.bfloat16),
        ({"groups": 4, "padding": 1}, (8, 4, 7, 7), torch.bfloat16),
        ({"padding": 0}, (8, 4, 7, 7), torch.bfloat16),
        ({"padding": 1}, (8, 4, 7, 9), torch.bfloat16),  # wide enough
        ({"padding": 1}, (8, 4, 7, 7), torch.float32),
    ],
)
def test_other_convolutions_are_pytorchs(options, shape, dtype):
    layer, mode = nn.Conv2d(4, 4, 3, **options).to(dtype), SideBySide()
    x = drawn(*shape).to(dtype)
    own = gradients(layer, x)
    for ours, theirs in zip(gradients(layer, x, mode), own, strict=True):
        assert torch.equal(ours, theirs)
    assert not mode.useful


def test_a_number_of_images_that_cannot_be_divided_changes_nothing_for_other_batches():
    layer, mode = nn.Conv2d(4, 4, 3, padding=1).bfloat16(), SideBySide()
    x = drawn(11, 4, 7, 7).bfloat16()  # a prime, and eight maps are the most
    for ours, theirs in zip(gradients(layer, x, mode), gradients(layer, x), strict=True):
        assert torch.equal(ours, theirs)
    assert mode.useful


def test_gradients_that_nobody_asks_for_are_not_computed():
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False).bfloat16()
    y = layer(drawn(8, 4, 3, 3).bfloat16())  # a first layer: no gradient of the images
    mode = SideBySide()
    with mode:
        y.sum().backward()
    assert mode.useful and layer.weight.grad is not None
    layer.weight.requires_grad_(False)
    x = drawn(8, 4, 3, 3).bfloat16().requires_grad_()
    with mode:
        layer(x).sum().backward()
    assert not mode.useful and x.grad is not None
