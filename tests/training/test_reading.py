"""Where a loop does not wait for its device: losses are read together, every few steps."""

from dataclasses import replace

import pytest
import torch
from tiny_training import CONFIG, CPU, job, run, whole_and_resumed
from torch.utils._python_dispatch import TorchDispatchMode

from seewhy.errors import DivergedError
from seewhy.events import Step
from seewhy.training import loop
from seewhy.training.objectives import cross_entropy

WAITING = ("aten._local_scalar_dense", "aten.is_nonzero", "aten.nonzero", "aten.equal")


class Waits(TorchDispatchMode):
    """Counts the operations for whose result a loop waits."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += str(operation).startswith(WAITING)
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def every_three(monkeypatch):
    monkeypatch.setitem(loop.READ_EVERY, CPU.type, 3)


def all_events(config, state=None, batches=None):
    if state is None:
        state, batches = job(config)
    return state, list(run(state, batches, config))


def untimed(events):
    return [
        replace(e, seconds=0.0, **({"images_per_second": 0.0} if isinstance(e, Step) else {}))
        for e in events
    ]


def test_the_numbers_are_those_of_reading_every_loss(monkeypatch):
    config = CONFIG.model_copy(update={"gradient_norms": 2})
    each, events = all_events(config)
    monkeypatch.setitem(loop.READ_EVERY, CPU.type, 3)
    together, later = all_events(config)
    assert untimed(later) == untimed(events)
    assert together.progress.gradient_norms == each.progress.gradient_norms
    for one, other in zip(each.network.parameters(), together.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_step_waits_for_its_device_and_losses_are_read_every_n_steps(every_three, monkeypatch):
    read, reading = [], loop._read

    def counted(progress, unread, total_steps, clock):
        read.append(len(unread))
        return reading(progress, unread, total_steps, clock)

    monkeypatch.setattr(loop, "_read", counted)
    with Waits() as waits:
        all_events(CONFIG)
    assert waits.count == 0
    assert read == [3, 1, 3, 1, 3, 1]  # each epoch ends within its fourth step


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5, 9])
def test_a_run_that_stops_between_readings_goes_on_to_the_same_bits(tmp_path, every_three, stop_at):
    whole, second = whole_and_resumed(job, CONFIG, tmp_path, stop_at)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    losses = [row["train_loss"] for row in second.progress.history]
    assert losses == [row["train_loss"] for row in whole.progress.history]


def test_a_loss_that_is_not_finite_stops_the_run_when_it_is_read(every_three):
    state, batches = job(CONFIG)

    def objective(model, x, y):
        loss, logits = cross_entropy()(model, x, y)
        return (loss * float("nan") if state.progress.step == 1 else loss), logits

    with pytest.raises(DivergedError, match="step 1"):
        next(run(state, batches, CONFIG, objective=objective))
    assert state.progress.step == 3


def test_finding_a_rate_reads_every_loss(every_three):
    config = CONFIG.model_copy(update={"schedule": "range"})
    state, batches = job(config)
    steps = run(state, batches, config)
    assert [next(steps).step, state.progress.step] == [1, 1]
