import copy

import numpy as np
import pytest
import torch
from helpers import image_set, tiny_net

from seewhy.config.augment import AugmentConfig
from seewhy.config.recipe import load_recipe
from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError
from seewhy.training.batches import Batches
from seewhy.training.loop import TrainState, train
from seewhy.training.objectives import cross_entropy

CPU = torch.device("cpu")
DRAWN = AugmentConfig(flip=0.5, crop_padding=1, brightness=0.2, policy="trivial")


def batches(count=20, shards=3, batch_size=8, augmentation=DRAWN, **changes):
    images = image_set(np.arange(count) % 3)
    return Batches(images, 8, batch_size, 2, 0, augmentation=augmentation, shards=shards, **changes)


def trained(network, source, steps=3, **options):
    """The state after some steps."""
    config = TrainConfig(
        **{"epochs": 2, "batch_size": 8, "lr": 0.05, "schedule": "constant", **options}
    )
    state = TrainState.start(copy.deepcopy(network), config)
    events = train(
        state,
        source,
        cross_entropy(),
        config,
        validate=lambda _: {"loss": 1.0, "accuracy": 0.5},
        mode="max",
        device=CPU,
    )
    for _ in range(steps):
        next(events)
    return state


def test_the_images_of_a_shard_are_those_of_its_batch():
    source = batches()
    for step in (0, 1):
        x, y = source(step)
        parts = [source.at(step, shard) for shard in range(3)]
        assert [len(part) for _, part in parts] == [3, 3, 2]
        assert torch.equal(torch.cat([part for part, _ in parts]), x)
        assert torch.equal(torch.cat([part for _, part in parts]), y)


def test_images_are_mixed_with_those_of_their_shard():
    mixed = AugmentConfig(mixup=1.0)
    source = batches(augmentation=mixed, batch_size=9)
    labels = torch.from_numpy(source.images.labels)
    for shard, rows in enumerate(source.cut(0)):
        _, y = source.at(0, shard)
        here = torch.nn.functional.one_hot(labels[rows], 3).float()
        assert torch.allclose(y.sum(1), torch.ones(3))
        assert not y[:, here.sum(0) == 0].any()  # no share of a class that the shard has not


def test_a_short_batch_has_fewer_shards():
    source = batches(count=5, batch_size=9, shards=4)  # of 10 images, the last batch has one
    assert [len(rows) for rows in source.cut(0)] == [3, 2, 2, 2]
    assert [len(rows) for rows in source.cut(1)] == [1]


def test_gradients_of_shards_add_up_to_those_of_the_batch():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
    whole = trained(network, batches(shards=1)).network
    for shards in (2, 3, 4):
        cut = trained(network, batches(shards=shards)).network
        for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
            torch.testing.assert_close(a, b)


def test_batch_norm_takes_each_shard_by_itself_and_keeps_the_mean_of_all():
    network, source = tiny_net(), batches(batch_size=9)
    before = copy.deepcopy(network)
    state = trained(network, source, steps=1, batch_size=9)
    means = []
    for shard in range(3):
        alone = copy.deepcopy(before).train()
        alone(source.at(0, shard)[0])
        means.append(alone.norm.running_mean)
    torch.testing.assert_close(state.network.norm.running_mean, torch.stack(means).mean(0))
    assert state.network.norm.num_batches_tracked == 1
    whole = copy.deepcopy(before).train()
    whole(source(0)[0])
    var = state.network.norm.running_var
    assert not torch.allclose(var, whole.norm.running_var)


def test_a_buffer_that_does_not_change_keeps_its_bits():
    network = tiny_net()
    network.register_buffer("constant", torch.rand(100))
    network.register_buffer("known", torch.tensor([True, False]))
    network.register_buffer("turns", torch.polar(torch.ones(2), torch.rand(2)))
    network.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
    state = trained(network, batches(), steps=4)
    for name in ("constant", "known", "turns", "mask"):
        assert torch.equal(getattr(state.network, name), getattr(network, name)), name


def test_dropout_of_the_first_shard_is_that_of_the_unsharded_step(monkeypatch):
    drawn = []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(192, 3)

        def forward(self, x):
            drawn.append(torch.rand(2))
            return self.linear(x.flatten(1))

    for shards in (1, 2):
        trained(Watched(), batches(shards=shards), steps=1)
    whole, first, second = drawn
    assert torch.equal(whole, first) and not torch.equal(first, second)


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 4},
        {"ema": 0.9},
        {"swa": 0.9},
        {"optimizer": "muon", "lr": 0.01},
        {"freeze_batch_norm": True, "clip": 0.1, "gradient_norms": 1},
    ],
)
def test_shards_go_with_the_other_techniques(options):
    first, second = (trained(tiny_net(), batches(), steps=6, **options) for _ in range(2))
    tensors = first.network.state_dict()
    assert all(torch.equal(tensors[k], v) for k, v in second.network.state_dict().items())
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_more_shards_than_pairs_of_images_are_refused():
    with pytest.raises(UsageError, match="shards must be at most half of batch_size, 8"):
        load_recipe("fast", {"train.batch_size": 8, "train.shards": 5})
