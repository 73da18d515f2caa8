from collections import OrderedDict

import pytest
import torch
from helpers import EVERY_NETWORK, tiny_net
from torch import Tensor, nn, optim

from seewhy.config.networks import NETWORKS
from seewhy.config.optimisers import OPTIMISERS
from seewhy.config.training import TrainConfig
from seewhy.models.registry import network_class
from seewhy.training.optimisers import build_optimizer


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_state_of_an_optimiser_is_as_large_as_it_says(name: str) -> None:
    network = tiny_net()
    config = TrainConfig(optimizer=name)
    optimizer = build_optimizer(network, config)
    network(torch.rand(4, 3, 8, 8)).sum().backward()
    optimizer.step()
    most = 0
    for parameter in network.parameters():
        kept = optimizer.state[parameter].values()
        most = max(most, sum(isinstance(t, Tensor) and t.shape == parameter.shape for t in kept))
    assert most == config.optimiser_options.tensors_kept


def test_a_momentum_of_zero_is_plain_descent() -> None:
    optimizer = build_optimizer(tiny_net(), TrainConfig(momentum=0))
    assert isinstance(optimizer, optim.SGD)
    assert all(g["momentum"] == 0 and not g["nesterov"] for g in optimizer.param_groups)
    optimizer = build_optimizer(tiny_net(), TrainConfig())
    assert all(g["momentum"] == 0.9 and g["nesterov"] for g in optimizer.param_groups)


def two_blocks() -> nn.Module:
    first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.Sequential(OrderedDict(blocks=first, hidden=nn.Linear(4, 6), classes=nn.Linear(6, 2)))


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_rates_fall_from_block_to_block_towards_the_input(optimizer: str) -> None:
    network = two_blocks()
    config = TrainConfig(optimizer=optimizer, layer_decay=0.5, bias_lr=2, weight_decay=0.1)
    groups = build_optimizer(network, config).param_groups
    of = {id(p): group for group in groups for p in group["params"]}
    assert len(of) == len(list(network.parameters()))
    found = {name: of[id(p)]["scale"] for name, p in network.named_parameters()}
    assert found == {
        "blocks.0.weight": 0.25,
        "blocks.0.bias": 0.5,
        "blocks.1.weight": 0.25,
        "blocks.1.bias": 0.5,
        "hidden.weight": 0.5,
        "hidden.bias": 1.0,
        "classes.weight": 1.0,
        "classes.bias": 2.0,
    }
    if optimizer == "muon":
        names = {id(p): name for name, p in network.named_parameters()}
        hidden = {names[key] for key, group in of.items() if group["hidden"]}
        assert hidden == {"blocks.0.weight", "hidden.weight"}


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_classifier_is_the_last_block_and_the_matrix_that_muon_leaves_to_adamw(
    name: str,
) -> None:
    with torch.device("meta"):
        network = network_class(name)(7, 32, NETWORKS[name]())
    groups = build_optimizer(network, TrainConfig(optimizer="muon", layer_decay=0.9)).param_groups
    left = [
        (len(p), group["scale"])
        for group in groups
        if not group["hidden"]
        for p in group["params"]
        if p.ndim == 2
    ]
    assert left == [(7, 1.0)]
