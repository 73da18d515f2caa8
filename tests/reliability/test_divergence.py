"""A loss that is no number stops a training within one step; the best is unharmed, and it can go on."""

import itertools
import re
from functools import partial

import pytest
import safetensors.torch
import torch
from helpers import image_set, tiny_net

from reliability import processes
from reliability.trainings import ARGUMENTS, require_same, train
from seewhy.config.training import TrainConfig
from seewhy.run import Run
from seewhy.training import averages, loop
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import latest_checkpoint
from seewhy.training.loop import TrainState
from seewhy.training.objectives import cross_entropy

STEPS = 8


def poison_batch(step, value):
    """Multiplies the images of one step by a value."""
    make = Batches.at

    def poisoned(batches, number, shard):
        x, y = make(batches, number, shard)
        return (x * value if number == step else x), y

    Batches.at = poisoned


def poison_weights(step):
    """Breaks a weight at the end of one step."""
    calls, update = itertools.count(), averages.update_average

    def poisoned(average, network, decay):
        update(average, network, decay)
        if next(calls) == step:
            with torch.no_grad():
                next(network.parameters())[0] = torch.nan

    averages.update_average = poisoned


def diverge(photos, run, *flags, prepare=None):
    """Trains until it diverges; the step at which that was found."""
    arguments = [*ARGUMENTS, "--data", photos, "--out", run.path, *flags]
    code, said = processes.seewhy(arguments, prepare)
    print(said)
    assert code == 7 and "Traceback" not in said
    found = re.match(r"seewhy: .* at step (\d+)\b.*\(kept: (.*)\)$", said.splitlines()[-1])
    latest = latest_checkpoint(run.checkpoints)
    assert found[2] == (str(latest) if latest else "none yet")
    for path in run.checkpoints.glob("*/state.safetensors"):
        assert all(t.isfinite().all() for t in safetensors.torch.load(path.read_bytes()).values())
    return int(found[1])


@pytest.mark.parametrize(
    "poison",
    [
        partial(poison_batch, value=float("nan")),
        partial(poison_batch, value=float("inf")),
        poison_weights,
    ],
    ids=["batch nan", "batch inf", "weights"],
)
@pytest.mark.parametrize("count", [1, pytest.param(STEPS, marks=pytest.mark.long)])
def test_a_poisoned_step_stops_it_and_without_poison_it_goes_on_to_the_same_bits(
    photos, whole, tmp_path, monkeypatch, rng, poison, count
):
    for step in rng.sample(range(STEPS), count):
        run, cache = Run(tmp_path / f"run-{step}"), tmp_path / f"cache-{step}"
        monkeypatch.setenv("SEEWHY_CACHE", str(cache))
        found = diverge(photos, run, prepare=partial(poison, step=step))
        assert step <= found <= step + 1
        assert not run.finished
        assert processes.run(train, photos, run.path, cache) == 0
        require_same(run, cache, whole)


def test_a_rate_that_is_too_high_says_so_and_keeps_nothing_broken(photos, tmp_path):
    run = Run(tmp_path / "run")
    assert diverge(photos, run, "--train.lr=1e30") <= 2
    assert diverge(photos, run, "--train.lr=1e30") <= 2  # resumed, it comes to the same


def test_a_figure_that_is_no_number_is_never_the_best_of_two():
    config = TrainConfig(epochs=4, batch_size=6, lr=0.01)
    state = TrainState.start(tiny_net(), config)
    values = iter([float("nan"), 0.5, float("nan"), 0.4])
    events = loop.train(
        state,
        Batches(image_set([0, 1, 2] * 2), 8, 6, 4, 0),
        cross_entropy(),
        config,
        validate=lambda network: {"loss": 1.0, "accuracy": next(values)},
        mode="max",
        device=torch.device("cpu"),
    )
    assert len(list(events)) == 8 and state.progress.best_epoch == 2
