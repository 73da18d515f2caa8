"""A net in blocks: nothing lost, and the paths as the net computes them."""

import pytest
import torch
from helpers import EACH_FAMILY
from torch import Tensor, nn

from seewhy.config.networks.options import NetworkOptions
from seewhy.models.blocks import IMAGE, Block, blocks
from seewhy.models.registry import Network, build, cost

EVERY_NET = pytest.mark.parametrize("name", EACH_FAMILY)


def blocks_of(name: str, **options: float) -> list[Block]:
    return blocks(build(name, num_classes=10, size=32, **options))


@EVERY_NET
def test_blocks_add_up_to_the_net_and_lead_from_image_to_logits(name: str) -> None:
    found = blocks_of(name)
    whole = cost(name, num_classes=10, size=32)
    assert sum(block.parameters for block in found) == whole.parameters
    assert sum(block.flops for block in found) == whole.flops
    assert found[0].inputs == (IMAGE,) and found[-1].shape == (10,)
    fed = {source for block in found for source in block.inputs}
    assert fed == {IMAGE, *range(len(found) - 1)}
    assert all(source < b for b, block in enumerate(found) for source in block.inputs)


def test_a_plain_net_is_a_chain_of_readable_steps() -> None:
    found = blocks_of("regularized_cnn")
    assert [block.steps for block in found] == [
        ("conv 3x3", "batch norm", "ReLU"),
        ("max pool 2x2",),
        ("conv 3x3", "batch norm", "ReLU"),
        ("max pool 2x2",),
        ("flatten",),
        ("linear", "ReLU", "dropout 0.5"),
        ("linear",),
    ]
    assert [block.inputs for block in found] == [(b - 1,) for b in range(7)]
    assert [block.part for block in found] == [""] * 4 + ["head"] * 3
    assert found[0].shape == (32, 32, 32) and found[4].shape == (4096,)
    assert found[0].parameters == 32 * 28 + 64


def test_residual_connections_and_projections_are_kept_apart() -> None:
    found = blocks_of("resnet18")
    sums = [b for b, block in enumerate(found) if block.kind == "sum"]
    assert len(sums) == 8
    first, _, third = (found[b] for b in sums[:3])
    assert first.inputs == (2, 0) and first.steps == ("sum", "ReLU")  # past two convolutions
    projected = found[max(third.inputs)]
    assert projected.steps == ("conv 1x1 stride 2", "batch norm") and projected.inputs == (6,)
    assert {block.part for block in found} == {"", *(f"layer{k}" for k in (1, 2, 3, 4))}


def test_strides_are_told_and_dropout_at_rate_zero_is_not() -> None:
    assert blocks_of("strided_cnn", stride=2, kernel=4)[0].steps[0] == "conv 4x4 stride 2"
    assert not any("dropout" in step for block in blocks_of("deep_cnn") for step in block.steps)
    dropped = blocks_of("deep_cnn", dropout=0.25)
    assert sum("dropout 0.25" in block.steps for block in dropped) == 4


def test_maps_that_are_put_together_have_the_channels_of_all() -> None:
    found = blocks_of("densenet", depth=10, growth=4)
    first = next(block for block in found if block.kind == "concatenation")
    assert first.shape == (12, 32, 32) and first.inputs == (0, 3)  # past norm, 1x1 and 3x3
    assert ("average pool 2x2",) in {block.steps for block in found}


def test_gates_of_channels_are_products_and_activations_have_their_names() -> None:
    found = blocks_of("mobilenet_v3_small", width=0.125)
    steps = {step for block in found for step in block.steps}
    assert {"hard swish", "hard sigmoid", "ReLU"} <= steps
    assert sum(block.kind == "product" for block in found) == 9
    assert "SiLU" in {s for block in blocks_of("efficientnet_b0", width=0.125) for s in block.steps}


class Branched(Network):
    """Takes a map before its norm, and again after it."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__(num_classes, size, NetworkOptions())
        self.conv = nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * size * size, num_classes))

    def features(self, x: Tensor) -> Tensor:
        x = self.conv(self.normalize(x))
        return torch.cat([x, self.relu(x)], 1)


def test_a_step_that_others_pass_by_is_a_block_of_its_own() -> None:
    network = Branched(2, 4)
    kept = dict(vars(network))
    found = blocks(network)
    assert [block.steps[0] for block in found] == [
        "conv 1x1",
        "ReLU",
        "concatenation",
        "flatten",
        "linear",
    ]
    assert found[2].inputs == (0, 1) and found[2].shape == (8, 4, 4)
    assert vars(network).keys() == kept.keys()  # tracing left nothing behind
