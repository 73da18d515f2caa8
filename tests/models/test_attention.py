"""Gates of channels and places, by hand; that they are timm's is tested with the ResNets."""

from types import NoneType
from typing import Literal, get_args

import pytest
import torch
from torch import nn
from torch.nn import functional

from seewhy.config.networks.resnets import ResNetOptions
from seewhy.models.attention import ATTENTION, CBAM, SqueezeExcitation
from seewhy.models.blocks import blocks
from seewhy.models.registry import build


def test_the_config_offers_what_there_is() -> None:
    assert get_args(ResNetOptions.model_fields["attention"].annotation) == (
        Literal[tuple(ATTENTION)],
        NoneType,
    )


def test_squeeze_excitation_scales_each_channel_by_a_gate_of_the_means() -> None:
    torch.manual_seed(0)
    block, x = SqueezeExcitation(32), torch.randn(3, 32, 4, 5)
    first, second = block.fc1, block.fc2
    hidden = functional.linear(x.mean((2, 3)), first.weight.flatten(1), first.bias).relu()
    gate = functional.linear(hidden, second.weight.flatten(1), second.bias).sigmoid()
    torch.testing.assert_close(block(x), x * gate[:, :, None, None])


@pytest.mark.parametrize(
    ("channels", "se", "cbam"), [(8, 8, 1), (64, 8, 4), (192, 16, 12), (512, 32, 32)]
)
def test_a_sixteenth_of_the_channels_is_between_the_layers(
    channels: int, se: int, cbam: int
) -> None:
    """timm rounds those of squeeze-excitation to a multiple of 8."""
    assert SqueezeExcitation(channels).fc1.out_channels == se
    assert CBAM(channels).channel.fc1.out_channels == cbam


def test_cbam_scales_the_channels_and_then_the_places() -> None:
    torch.manual_seed(0)
    block, x = CBAM(32).eval(), torch.randn(3, 32, 9, 8)
    first, second = (layer.weight.flatten(1) for layer in (block.channel.fc1, block.channel.fc2))
    pooled = x.mean((2, 3)), x.amax((2, 3))
    channels = sum((y @ first.T).relu() @ second.T for y in pooled).sigmoid()
    y = x * channels[:, :, None, None]
    seen = torch.stack([y.mean(1), y.amax(1)], 1)
    places = functional.conv2d(seen, block.spatial.conv.conv.weight, padding=3)
    gate = (places / (1 + 1e-5) ** 0.5).sigmoid()
    torch.testing.assert_close(block(x), y * gate)


@pytest.mark.parametrize("attention", ["se", "cbam"])
def test_every_activation_is_used_once_and_the_diagram_shows_the_products(attention: str) -> None:
    network = build("resnet18", num_classes=2, size=16, width=0.25, attention=attention).eval()
    calls: dict[nn.Module, int] = {}
    for module in network.modules():
        if isinstance(module, nn.ReLU | nn.Sigmoid):
            module.register_forward_hook(lambda m, x, y: calls.update({m: calls.get(m, 0) + 1}))
    network(torch.rand(2, 3, 16, 16))
    assert set(calls.values()) == {1}
    drawn = blocks(build("resnet18", num_classes=2, size=16, width=0.25, attention=attention))
    products = [block for block in drawn if block.kind == "product"]
    assert len(products) == (8 if attention == "se" else 16)
    assert products[0].shape == (16, 16, 16) and len(products[0].inputs) == 2
