"""What a network of the user's own must be is told before it is trained, and looking changes nothing."""

import copy

import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_net
from torch import nn
from torch.nn import functional as F

from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError
from seewhy.training.custom_network import check_custom

CONFIG = TrainConfig(batch_size=16)


class Pair(TinyNet):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class AlwaysDropout(TinyNet):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.5)


class Normed(nn.Sequential):
    """A batch norm of vectors: of a single image it has no statistics."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


class Parted(nn.Module):
    """Features and a head, with something before and between them."""

    def __init__(self, *features, before=nn.Identity, between=nn.Identity):
        super().__init__()
        self.before, self.between = before(), between()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), *features)
        self.head = Head(4, 3)

    def forward(self, x):
        return self.head(self.between(self.features(self.before(x))))


class Head(nn.Linear):
    def forward(self, x):
        return super().forward(x.mean((2, 3)) if x.ndim == 4 else x)


def changed(change):
    network = tiny_net()
    change(network)
    return network


def with_buffer(value):
    return changed(lambda network: network.register_buffer("mask", value))


def check(network, config=CONFIG, images=50):
    check_custom(network, config, 3, 8, images)


def test_looking_at_a_network_changes_nothing():
    network = tiny_net()
    network.relu.eval()
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    check(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert network.training and network.dropout.training and not network.relu.training
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (
            TinyNet(10),
            r"gives float32 of shape \(2, 10\); it must give float logits of shape \(2, 3\)",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), "of 8 pixels, it raises RuntimeError: mat1"),
        (tiny_net().half(), "in evaluation mode, of 2 images of 8 pixels, it raises RuntimeError"),
        (tiny_net().double(), "it raises RuntimeError"),
        (Pair(), "in training mode, of 2 images of 8 pixels, it gives a tuple"),
        (AlwaysDropout(), "in evaluation mode it gives other logits each time"),
        (Parted(before=nn.Tanh), r"head\(features\(x\)\), with maps .* does not give its logits"),
        (Parted(between=nn.ReLU), r"rename one of the two, or give nn\.Sequential\(network\)"),
        (Parted(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "with maps .* does not give its logits"),
        (changed(lambda n: vars(n).update(features=512, head=5)), "does not give its logits"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "a layer of unknown size"),
        (changed(lambda n: n.requires_grad_(False)), "all its parameters are frozen"),
        (with_buffer(torch.full((2, 2), -torch.inf)), "mask has infinite or NaN values"),
        (with_buffer(torch.ones(2, dtype=torch.complex64)), "mask has complex values"),
        (
            changed(lambda n: nn.init.constant_(n.linear.bias, torch.nan)),
            "linear.bias has infinite or NaN",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(network, words):
    with pytest.raises(UsageError, match=words) as refused:
        check(network)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("network", [Parted(), nn.Sequential(Parted(before=nn.Tanh))])
def test_features_and_a_head_that_make_the_logits_or_are_out_of_sight_are_fine(network):
    check(network)


def test_a_constant_that_is_not_stored_may_be_infinite():
    network = tiny_net()
    network.register_buffer("mask", torch.full((2, 2), -torch.inf), persistent=False)
    check(network)


def test_a_batch_of_one_image_is_refused_where_the_network_needs_two():
    one_left = TrainConfig(batch_size=16, epochs=3)  # of 3 times 11 images
    with pytest.raises(
        UsageError, match=r"the last batch has one image.*choose another train\.batch"
    ):
        check(Normed(), one_left, images=11)
    check(Normed(), one_left, images=12)
    check(tiny_net(), one_left, images=11)
    check(Normed(), one_left.model_copy(update={"freeze_batch_norm": True}), images=11)
    hardest = one_left.model_copy(update={"hardest": 0.5, "epochs": 10})  # 3 epochs of 31, 7 of 16
    assert (3 * 31 + 7 * 16) % 16 == 13
    check(Normed(), hardest, images=31)


def test_so_many_images_are_trained_on():
    config = TrainConfig(batch_size=16, epochs=10, hardest=0.6)
    assert [n for n in range(20, 60) if config.ends_with_one(n)] == [
        n for n in range(20, 60) if (3 * n + 7 * max(16, int(np.ceil(0.6 * n)))) % 16 == 1
    ]
    assert TrainConfig(batch_size=1).ends_with_one(7)
