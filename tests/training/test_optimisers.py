import pytest
import torch
from helpers import tiny_net
from torch import Tensor, optim

from seewhy.config.optimisers import OPTIMISERS
from seewhy.config.training import TrainConfig
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
