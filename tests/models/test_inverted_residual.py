"""The blocks of MobileNets and EfficientNets, against their arithmetic worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from seewhy.models.inverted_residual import (
    DepthwiseSeparable,
    InvertedResidual,
    Layers,
    Shape,
    SqueezeExcite,
    divisible,
    draw_weights,
)
from seewhy.models.keras import SameConv2d

SILU = Layers(nn.SiLU, squeeze_activation=nn.SiLU)


def test_squeeze_excitation_scales_each_channel_by_a_gate_of_the_means() -> None:
    torch.manual_seed(0)
    block = SqueezeExcite(6, 2, Layers(nn.SiLU, nn.ReLU, nn.Hardsigmoid))
    x = torch.randn(3, 6, 4, 5)
    reduce, expand = block.conv_reduce, block.conv_expand
    hidden = functional.linear(x.mean((2, 3)), reduce.weight.flatten(1), reduce.bias).relu()
    gate = functional.linear(hidden, expand.weight.flatten(1), expand.bias)
    gate = (gate + 3).clamp(0, 6) / 6
    torch.testing.assert_close(block(x), x * gate[:, :, None, None])


@pytest.mark.parametrize(
    ("kind", "expanded", "last_norm"),
    [(InvertedResidual, 24, "bn3"), (DepthwiseSeparable, 8, "bn2")],
)
def test_a_block_adds_its_input_only_where_the_shape_stays(
    kind: type[InvertedResidual | DepthwiseSeparable], expanded: int, last_norm: str
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 7, 7)
    block = kind(Shape(8, 8, kernel=5, stride=1, expanded=expanded, squeezed=2), SILU).eval()
    nn.init.zeros_(block.get_submodule(last_norm).weight)  # the residual is now nothing
    assert torch.equal(block(x), x)
    for shape in (Shape(8, 8, 3, 2, expanded), Shape(8, 12, 3, 1, expanded)):
        block = kind(shape, SILU).eval()
        nn.init.zeros_(block.get_submodule(last_norm).weight)
        side = 4 if shape.stride == 2 else 7
        assert torch.equal(block(x), torch.zeros(2, shape.outputs, side, side))


def test_in_training_stochastic_depth_leaves_out_the_residual_of_some_images() -> None:
    torch.manual_seed(0)
    block = InvertedResidual(Shape(8, 8, 3, 1, 16, drop_path=0.5), SILU).train()
    x = torch.randn(64, 8, 3, 3)
    left_out = (block(x) == x).flatten(1).all(1).sum().item()
    assert 16 < left_out < 48
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


@pytest.mark.parametrize("kind", [InvertedResidual, DepthwiseSeparable])
def test_on_a_processor_depthwise_convolutions_stay_in_float32(
    kind: type[InvertedResidual | DepthwiseSeparable],
) -> None:
    block = kind(Shape(8, 8, kernel=5, stride=1, expanded=8), SILU)
    seen: dict[str, torch.dtype] = {}
    block.conv_dw.register_forward_hook(lambda m, x, y: seen.update(depthwise=y.dtype))
    block.conv_pw.register_forward_hook(lambda m, x, y: seen.update(pointwise=y.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        block(torch.randn(2, 8, 4, 4))
    assert seen == {"depthwise": torch.float32, "pointwise": torch.bfloat16}


def test_convolutions_may_be_padded_as_in_keras() -> None:
    torch.manual_seed(0)
    layers = Layers(nn.ReLU6, conv=SameConv2d)
    block = InvertedResidual(Shape(4, 6, kernel=3, stride=2, expanded=8), layers)
    x = torch.randn(2, 8, 8, 8)
    kernels = block.conv_dw.weight
    expected = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), kernels, stride=2, groups=8)
    torch.testing.assert_close(block.conv_dw(x), expected)
    assert block(torch.randn(2, 4, 8, 8)).shape == (2, 6, 4, 4)


def test_channels_are_rounded_to_multiples_of_eight_that_keep_nine_tenths() -> None:
    assert [divisible(n) for n in (1, 8, 12, 16.5, 40, 43, 44, 100)] == [
        *(8, 8, 16, 16, 40, 40, 48, 104)
    ]
    assert divisible(9.5) == 16  # 8 would be less than 90%


def test_the_first_kernels_keep_the_variance_by_the_fan_out() -> None:
    torch.manual_seed(0)
    depthwise = nn.Conv2d(512, 512, 5, groups=512)
    draw_weights(depthwise)
    assert depthwise.weight.std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.03)
    assert depthwise.bias is not None and not depthwise.bias.any()
