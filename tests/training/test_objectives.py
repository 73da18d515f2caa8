import numpy as np
import pytest
import torch
from helpers import tiny_net

from seewhy.config.training import TrainConfig
from seewhy.training.averages import averaged, start_average, update_average
from seewhy.training.objectives import balanced_weights, cross_entropy
from seewhy.training.optimisers import build_optimizer


def test_cross_entropy_by_hand_with_smoothing_and_soft_targets():
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    target = torch.tensor([[0.7, 0.3, 0.0]])
    loss, given = cross_entropy(0.3)(lambda x: logits, torch.zeros(1), target)
    smoothed = target * 0.7 + 0.1
    assert loss.item() == pytest.approx(-(smoothed * torch.log_softmax(logits, 1)).sum().item())
    assert given is logits or torch.equal(given, logits)


def test_balanced_weights_average_one_over_the_images():
    labels = np.array([0] * 6 + [1] * 2 + [3] * 1)
    weights = balanced_weights(labels, 4)
    assert (weights[labels].mean()).item() == pytest.approx(1)
    assert weights[0] * 6 == weights[1] * 2 == weights[3] * 1


def test_decay_spares_biases_and_norms():
    optimizer = build_optimizer(tiny_net(), TrainConfig(weight_decay=0.1, bias_lr=5))
    decayed = {p.ndim for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {2, 4}
    assert [g["scale"] for g in optimizer.param_groups] == [1, 1, 5]


def test_decay_can_be_for_kernels_alone_as_in_keras():
    network = tiny_net()
    config = TrainConfig(optimizer="adam", weight_decay=2e-4, weight_decay_on="kernels")
    groups = build_optimizer(network, config).param_groups
    decayed = [p for group in groups if group["weight_decay"] for p in group["params"]]
    assert len(decayed) == 1 and decayed[0] is network.conv.weight
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    # The gradient of Keras's l2(1e-4), 1e-4 times the sum of squares, is what 2e-4 adds.
    penalty = 1e-4 * network.conv.weight.square().sum()
    (gradient,) = torch.autograd.grad(penalty, network.conv.weight)
    torch.testing.assert_close(gradient, 2e-4 * network.conv.weight)


def test_an_average_by_hand_and_the_network_restored_after_an_error():
    network = tiny_net()
    average = start_average(network)
    before = network.linear.weight.detach().clone()
    with torch.no_grad():
        network.linear.weight += 1
    update_average(average, network, 0.75)
    assert torch.allclose(average["linear.weight"], before + 0.25)
    with pytest.raises(RuntimeError), averaged(network, average):
        assert torch.allclose(network.linear.weight, before + 0.25)
        raise RuntimeError
    assert torch.allclose(network.linear.weight, before + 1)
