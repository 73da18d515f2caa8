"""Averages of the weights: EMA, and SWA whose batch norm fits the mean."""

import pytest
import torch
from helpers import image_set, tiny_net
from pydantic import ValidationError

from seewhy.config.training import TrainConfig
from seewhy.training.averages import averaged, fit_batch_norm, next_average
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from seewhy.training.loop import TrainState, train
from seewhy.training.objectives import cross_entropy

CONFIG = TrainConfig(epochs=3, batch_size=16, lr=0.05, swa=0.5)


def job(config=CONFIG, seed=0):
    batches = Batches(image_set([row % 3 for row in range(60)]), 8, 16, 3, 0)
    return TrainState.start(tiny_net(seed), config), batches


def steps(state, batches, validate=None, config=CONFIG):
    return train(
        state,
        batches,
        cross_entropy(),
        config,
        validate=validate or (lambda network: {"loss": 1.0, "accuracy": 0.5}),
        mode="max",
        device=torch.device("cpu"),
    )


def test_swa_is_the_mean_of_the_weights_after_each_of_the_last_steps():
    network, history, average = tiny_net(), [], None
    config = TrainConfig(swa=0.3)
    for step in range(10):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn_like(parameter)
        history.append(network.linear.weight.detach().clone())
        average = next_average(average, network, config, step, 10)
        assert (average is None) == (step < 7)
    torch.testing.assert_close(average["linear.weight"], torch.stack(history[7:]).mean(0))


@pytest.mark.parametrize(("swa", "first"), [(1.0, 0), (0.5, 5), (0.001, 9)])
def test_swa_begins_with_its_share_of_the_steps_and_has_one_at_least(swa, first):
    begun = [
        next_average(None, tiny_net(), TrainConfig(swa=swa), step, 10) is not None
        for step in range(10)
    ]
    assert begun.index(True) == first and all(begun[first:])


def test_batch_norm_of_an_average_is_that_of_the_images_through_it():
    network = tiny_net()
    batches = [torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    state = fit_batch_norm(network.eval(), batches)
    with torch.no_grad():
        maps = network.conv(torch.cat(batches))
    torch.testing.assert_close(state["norm.running_mean"], maps.mean((0, 2, 3)))
    torch.testing.assert_close(state["norm.running_var"], maps.var((0, 2, 3)), rtol=0.01, atol=1e-4)
    assert not network.training and network.norm.momentum == 0.1


def test_the_mean_is_validated_and_stored_with_its_own_statistics(tmp_path):
    seen = []

    def validate(network):
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"loss": 1.0, "accuracy": 0.5}

    state, batches = job()
    for _ in steps(state, batches, validate):
        pass
    assert len(seen) == 3 and all(torch.equal(seen[-1][k], v) for k, v in state.average.items())
    stored = load_weights(save_checkpoint(state, tmp_path), state.network)
    with averaged(state.network, state.average), torch.no_grad():
        maps = state.network.conv(torch.cat([batches(step)[0] for step in range(12)]))
    torch.testing.assert_close(
        stored["norm.running_mean"], maps.mean((0, 2, 3)), rtol=0.02, atol=0.01
    )
    assert not torch.equal(stored["conv.weight"], state.network.conv.weight)


def test_frozen_batch_norms_keep_their_statistics_in_a_mean_of_weights():
    config = CONFIG.model_copy(update={"freeze_batch_norm": True})
    state, batches = job(config)
    before = state.network.norm.running_mean.fill_(0.3).clone()
    for _ in steps(state, batches, config=config):
        pass
    assert torch.equal(state.average["norm.running_mean"], before)
    assert not torch.equal(state.average["conv.weight"], state.network.conv.weight)


@pytest.mark.parametrize("stop_at", [2, 5, 8, 9, 14])
def test_a_run_resumed_before_or_in_the_average_has_the_same_bits(tmp_path, stop_at):
    whole, batches = job()
    for _ in steps(whole, batches):
        pass
    first, batches = job()
    for number, _ in enumerate(steps(first, batches), start=1):
        if number == stop_at:
            break
    second, batches = job(seed=99)
    assert load_checkpoint(second, save_checkpoint(first, tmp_path)) is None
    for _ in steps(second, batches):
        pass
    for name, tensor in whole.average.items():
        assert torch.equal(tensor, second.average[name]), name
        assert torch.equal(whole.network.state_dict()[name], second.network.state_dict()[name])


def test_two_averages_are_refused():
    with pytest.raises(ValidationError, match="ema and swa both average"):
        TrainConfig(ema=0.9, swa=0.5)
