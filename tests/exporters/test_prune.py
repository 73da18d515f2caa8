from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks.targets import CLASSES, Own, bundle, same_state, trained
from helpers import call, image_set
from torch import nn

import seewhy
from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.exporters.channels import channel_axes
from seewhy.exporters.prune import magnitude, structured
from seewhy.inference.bundle import Bundle, load, save
from seewhy.models.simple_cnn import SimpleCNN

NARROWED = {
    "speednet": (17, {"width": 0.5}),
    "resnet18": (9, {"width": 0.25, "attention": "se"}),
    "mobilenet_v3_small": (9, {"width": 0.5}),
    "densenet": (8, {"depth": 10, "growth": 8}),
    "wide_resnet": (16, {"depth": 10, "widen": 4}),
    "inception": (16, {"width": 0.25}),
    "fpn": (16, {"width": 0.25}),
    "vgg11_bn": (32, {"width": 0.25}),
}
LONG = ("wide_resnet", "inception", "fpn", "vgg11_bn")


def with_distinct_values(name: str, size: int, **options: float) -> nn.Module:
    """A network in which every value of a bias, a norm and a running statistic is another."""
    network = trained(name, size, **options)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.ndim == 1 and key not in ("mean", "std"):
                tensor.uniform_(0.5, 1.5)
    return network.eval()


def kill_dropped(network: nn.Module, narrow: nn.Module) -> None:
    """Makes the channels that the narrow network lacks zero, wherever a bias or a norm names them."""
    state = network.state_dict()
    for key, tensor in narrow.state_dict().items():
        layer, _, kind = key.rpartition(".")
        dropped = ~torch.isin(state[key], tensor)
        if kind == "bias" and dropped.any():
            state[f"{layer}.weight"][dropped] = 0
            state[key][dropped] = 0


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in LONG else n for n in NARROWED]
)
def test_without_dead_channels_a_network_answers_as_before(name: str) -> None:
    size, options = NARROWED[name]
    network = with_distinct_values(name, size, **options)
    narrow = structured(bundle(network), 0.5).network
    kill_dropped(network, narrow)
    again = structured(bundle(network), 0.5).network
    x = torch.rand(2, 3, size, size)
    with torch.no_grad():
        expected = network(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(again(x), expected, atol=1e-5, rtol=1e-5)
    sizes = [sum(p.numel() for p in n.parameters()) for n in (again, network)]
    assert sizes[0] < 0.6 * sizes[1]


def test_live_channels_are_kept_in_their_order() -> None:
    network = with_distinct_values("resnet18", 9, width=0.25)
    live = torch.randperm(16)[:8].sort().values
    dead = torch.ones(16, dtype=torch.bool).index_fill(0, live, False)
    norm = network.get_submodule("layer1.0.bn1")
    with torch.no_grad():
        norm.weight[dead] = 0
    narrow = structured(bundle(network), 0.5).network.state_dict()
    assert torch.equal(narrow["layer1.0.bn1.running_mean"], norm.running_mean[live])
    # The channels of a stage are cut alike in all that is added to it.
    stage = network.state_dict()
    rows = [
        torch.isin(stage[key], narrow[key]).tolist()
        for key in ("bn1.bias", "layer1.0.bn2.bias", "layer1.1.bn2.bias")
    ]
    assert rows[0] == rows[1] == rows[2]


def test_the_result_is_an_ordinary_bundle(tmp_path: Path) -> None:
    network = trained("speednet", 17, width=0.25)
    facts = {"recipe": {"model": {"name": "speednet", "width": 0.25}}, "metrics": {"val": {}}}
    start = bundle(network, facts=facts, decision=Decision(temperature=2), digest="a" * 64)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    pruned = save(structured(start, 0.5), tmp_path / "pruned.safetensors")
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    assert load(tmp_path / "pruned.safetensors").network.arguments["width"] == 0.125
    assert pruned.parents == ("a" * 64,) and pruned.decision == Decision()
    assert pruned.facts["recipe"]["model"] == {"name": "speednet", "width": 0.125}
    assert pruned.facts["pruned"] == "structured, keep=0.5" and "metrics" not in pruned.facts
    assert "structured, keep=0.5" in call("info", str(tmp_path / "pruned.safetensors")).out
    assert facts["recipe"]["model"]["width"] == 0.25


def test_it_can_be_fine_tuned(tmp_path: Path) -> None:
    file = tmp_path / "pruned.safetensors"
    save(structured(bundle(trained("speednet", 17, width=0.25)), 0.5), file)
    images = image_set([0, 1, 2] * 8, 17)
    run = seewhy.train(
        (images.images, images.labels),
        "thumbnails",
        init=file,
        out=tmp_path / "run",
        overrides={"train.epochs": 1},
    )
    assert load(run.model).network.arguments["width"] == 0.125


def test_a_shortcut_that_would_appear_needs_more_channels() -> None:
    network = trained("wide_resnet", 8, depth=10, widen=3)
    assert (
        structured(bundle(network), 0.3).network.arguments["widen"] == 2
    )  # 1 has as many as the stem


@pytest.mark.parametrize(
    ("network", "keep", "message"),
    [
        ("simple_cnn", 0.5, "simple_cnn has no option for the number of its channels: choose int8"),
        ("vit", 0.5, "vit has no option"),
        (None, 0.5, "this network has no option"),
        ("speednet", 0.0, "keep=0: expected a share"),
        ("speednet", 1.0, "keep=1: expected a share"),
        ("speednet", float("nan"), "keep=nan: expected a share"),
        ("speednet", 0.05, "speednet cannot be pruned to keep=0.05: .*width=0.05"),
        ("speednet", 0.999, "no narrower one has the same layers"),
    ],
)
def test_what_cannot_be_narrowed_says_why(network: str | None, keep: float, message: str) -> None:
    own = Own() if network is None else trained(network, 17)
    with pytest.raises(UsageError, match=message):
        structured(bundle(own), keep)


def test_flattening_repeats_a_channel_for_every_position() -> None:
    axes = {(axis.tensor, axis.dim): axis.units for axis in channel_axes(trained(size=8))}
    made = axes["conv2.weight", 0]
    np.testing.assert_array_equal(axes["head.hidden.weight", 1], made.repeat(4))
    np.testing.assert_array_equal(axes["head.classes.weight", 1], axes["head.hidden.bias", 0])
    assert not set(made) & set(axes["conv2.weight", 1])


class Shuffled(SimpleCNN):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        return super().features(x).flip(1)


def test_a_step_of_unknown_channels_is_refused() -> None:
    network = trained(size=8)
    network.__class__ = Shuffled
    with pytest.raises(UsageError, match=r"its step flip \(flip\) does not say"):
        channel_axes(network)


def test_the_smallest_weights_of_each_layer_become_zero() -> None:
    network = trained("regularized_cnn", 8)
    pruned = magnitude(bundle(network, decision=Decision(temperature=2)), 0.8)
    assert pruned.decision.temperature == 2 and pruned.facts["pruned"] == "magnitude, sparsity=0.8"
    zeros = weights = 0
    for key, tensor in pruned.network.state_dict().items():
        whole = network.state_dict()[key]
        if tensor.ndim < 2:
            assert torch.equal(tensor, whole)
            continue
        zero = tensor == 0
        assert torch.equal(tensor[~zero], whole[~zero]) and not (whole == 0).any()
        assert whole[zero].abs().max() <= whole[~zero].abs().min()
        zeros, weights = zeros + int(zero.sum()), weights + tensor.numel()
    assert zeros == round(0.8 * weights)


def test_weights_count_as_shares_of_their_layer() -> None:
    own = Own(2)
    with torch.no_grad():  # scores: 9/90 and 81/81; 0.01/0.01 once, smaller ones nearly 0
        own.conv.weight.copy_(torch.tensor([9.0, 3, 0, 0, 0, 0]).view(2, 3, 1, 1))
        own.last.weight.copy_(torch.tensor([0.1, 0.01, 0, 0, 0, 0]).view(3, 2))
    one = magnitude(bundle(own), 9 / 12).network  # three are left
    assert one.conv.weight.count_nonzero() == 2 and one.last.weight.count_nonzero() == 1
    two = magnitude(bundle(own), 11 / 12 - 0.05).network  # two are left: the largest of each layer
    assert two.conv.weight.count_nonzero() == 1 and two.last.weight.count_nonzero() == 1


def test_position_embeddings_are_no_weights_of_a_layer() -> None:
    network = trained("vit_tiny", 32)
    pruned = magnitude(bundle(network), 0.9).network.state_dict()
    (places,) = (name for name in pruned if name.endswith("pos_embed"))
    assert torch.equal(pruned[places], network.state_dict()[places])
    assert any((pruned[name] == 0).any() for name in pruned if name.endswith("qkv.weight"))


def test_a_network_without_layers_is_refused() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2, 3))

    with pytest.raises(UsageError, match="Scaled has no kernel or matrix"):
        magnitude(replace(bundle(), network=Scaled()), 0.5)


def test_zeros_that_a_training_moved_come_back() -> None:
    pruned = magnitude(bundle(Own(8)), 0.5)
    with torch.no_grad():
        for weight in pruned.network.parameters():
            weight += 0.001
    again = magnitude(pruned, 0.5).network
    assert sum(int((w == 0).sum()) for w in (again.conv.weight, again.last.weight)) == 24
    assert same_state(magnitude(Bundle(again, CLASSES, pruned.rule), 0.5).network, again)


@pytest.mark.parametrize("sparsity", [0.0, 1.0, -1.0, float("nan")])
def test_a_sparsity_out_of_range_is_refused(sparsity: float) -> None:
    with pytest.raises(UsageError, match="expected a share of the weights"):
        magnitude(bundle(), sparsity)
