import pytest
import torch
from helpers import small, tiny_net
from torch import nn

from seewhy.config.recipe import load_recipe
from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError
from seewhy.models.registry import build
from seewhy.training.layers import (
    check_layers,
    freeze_blocks,
    gradient_norms,
    notes_on_network,
    set_dropout,
)


def test_every_dropout_layer_gets_the_rate():
    network = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Dropout2d(0.2), nn.ReLU()))
    set_dropout(network, 0.4)
    assert (network[0].p, network[1][0].p) == (0.4, 0.4)


def test_a_dropout_schedule_for_a_net_without_dropout_is_refused():
    config = TrainConfig(dropout_schedule=(0.1, 0.2))
    check_layers(tiny_net(), config)
    check_layers(nn.Linear(2, 2), TrainConfig())
    with pytest.raises(UsageError, match="this network has no dropout layer"):
        check_layers(nn.Linear(2, 2), config)


@pytest.mark.parametrize("name", ["resnet34", "simple_cnn"])
def test_a_rate_of_biases_that_suits_speednet_alone_is_noted_on_other_networks(name):
    other, own = (build(n, num_classes=2, size=32, **small(n)) for n in (name, "speednet"))
    fast = load_recipe("fast").train
    (note,) = notes_on_network(other, fast)
    assert note.startswith("train.bias_lr=11 suits speednet") and "recipe resnet18" in note
    assert notes_on_network(own, fast) == ()
    assert notes_on_network(other, load_recipe("resnet18").train) == ()


def test_gradient_norms_by_hand_in_the_order_of_the_layers():
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(1)
        network[0].bias.zero_()
        network[2].weight.fill_(3)
    network(torch.tensor([[3.0, 4.0]])).sum().backward()
    assert gradient_norms(network) == {"0": pytest.approx(15), "2": pytest.approx(7)}


@pytest.mark.parametrize("name", ["simple_cnn", "photo_cnn", "strided_cnn", "speednet"])
def test_the_last_block_is_always_trained(name):
    network = build(name, num_classes=2, size=32, **small(name))
    freeze_blocks(network, 0.95)
    trained = [name for name, weight in network.named_parameters() if weight.requires_grad]
    assert trained and all(name.startswith("head") for name in trained)


def test_frozen_layers_have_no_norm():
    network = tiny_net()
    network.conv.weight.requires_grad_(False)
    network(torch.rand(4, 3, 8, 8)).sum().backward()
    assert list(gradient_norms(network)) == ["linear"]
