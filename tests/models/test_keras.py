"""What the nets take from Keras, against its rules worked out by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from seewhy.models.keras import DenseNorm, SameConv2d, glorot_uniform_, norm2d, norms


def test_norms_have_the_defaults_of_keras() -> None:
    x = torch.randn(64, 3, 5, 5) * 2 + 1
    norm = norm2d(3)
    y = norm(x)
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    expected = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-3).sqrt()
    torch.testing.assert_close(y, expected)
    # moving = 0.99 * moving + 0.01 * batch
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, 0.01 * mean)
    assert DenseNorm(4).momentum == 0.01 and DenseNorm(4).eps == 1e-3
    assert norm2d(3, 0.3).momentum == DenseNorm(3, 0.3).momentum == 0.3


def test_a_single_vector_is_normalised_as_in_evaluation_and_several_as_ever() -> None:
    norm, plain = DenseNorm(4).train(), nn.BatchNorm1d(4, eps=1e-3, momentum=0.01).train()
    x = torch.randn(8, 4)
    torch.testing.assert_close(norm(x), plain(x))
    kept = {key: tensor.clone() for key, tensor in norm.state_dict().items()}
    one = norm(x[:1])
    assert all(torch.equal(tensor, kept[key]) for key, tensor in norm.state_dict().items())
    torch.testing.assert_close(one, norm.eval()(x)[:1])


def test_a_network_can_do_without_its_norms() -> None:
    norm = norms(True, 0.2)(5)
    assert isinstance(norm, nn.BatchNorm2d) and norm.momentum == 0.2
    assert isinstance(norms(False, 0.2)(5), nn.Identity)


def by_the_formula(conv: SameConv2d, x: Tensor) -> Tensor:
    """Zeros shared out as TensorFlow's documentation has it, then a convolution without padding."""
    side, kernel, stride = x.shape[-1], conv.kernel_size[0], conv.stride[0]
    over = side % stride
    zeros = max(kernel - stride, 0) if over == 0 else max(kernel - over, 0)
    before = zeros // 2
    padded = functional.pad(x, (before, zeros - before, before, zeros - before))
    return functional.conv2d(padded, conv.weight, conv.bias, stride)


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [4, 7, 8, 9, 32])
def test_same_padding_is_that_of_keras(kernel: int, stride: int, side: int) -> None:
    conv = SameConv2d(2, 3, kernel, stride)
    x = torch.randn(2, 2, side, side)
    y = conv(x)
    assert y.shape[-1] == y.shape[-2] == -(-side // stride)
    torch.testing.assert_close(y, by_the_formula(conv, x))


def test_first_weights_are_uniform_within_glorots_bound_and_biases_zero() -> None:
    network = nn.Sequential(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Linear(500, 300))
    glorot_uniform_(network)
    for module, fans in ((network[0], 9 * (32 + 64)), (network[2], 500 + 300)):
        bound = (6 / fans) ** 0.5
        weight = module.weight.detach()
        assert 0.99 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert not module.bias.any()
