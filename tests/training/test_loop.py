import math

import pytest
import torch
from helpers import tiny_net
from tiny_training import CONFIG, job, no_figures, run, whole_and_resumed

from seewhy.config.optimisers import OPTIMISERS
from seewhy.config.training import TrainConfig
from seewhy.errors import DivergedError
from seewhy.events import Epoch, Step
from seewhy.training.batches import NETWORK, seed_of
from seewhy.training.checkpoint import load_checkpoint, save_checkpoint
from seewhy.training.objectives import cross_entropy


def scripted(accuracies, losses=()):
    values, costs = iter(accuracies), iter(losses)
    return lambda network: {"loss": next(costs, 1.0), "accuracy": next(values)}


def test_it_learns_what_can_be_learnt():
    config = TrainConfig(epochs=12, batch_size=16, lr=0.1)
    events = list(run(*job(config), config))
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [e.epoch for e in epochs] == list(range(1, 13))
    assert epochs[-1].train_accuracy > 0.9 > epochs[0].train_accuracy
    assert sum(isinstance(event, Step) for event in events) == -(-12 * 60 // 16)


def test_a_step_is_that_of_plain_torch():
    config = TrainConfig(epochs=1, batch_size=16, lr=0.1, schedule="constant", weight_decay=0.01)
    state, batches = job(config)
    reference = tiny_net()
    decayed = [p for p in reference.parameters() if p.ndim > 1]
    rest = [p for p in reference.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 0.01}, {"params": rest}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    reference.train()
    for step in range(3):
        x, y = batches(step)
        torch.manual_seed(seed_of(0, NETWORK, step))
        loss = torch.nn.functional.cross_entropy(reference(x), y.argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    steps = run(state, batches, config)
    for _ in range(3):
        next(steps)
    for ours, theirs in zip(state.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", OPTIMISERS)
@pytest.mark.parametrize("stop_at", [1, 4, 5, 8, 12])
def test_a_resumed_run_has_the_same_bits(tmp_path, optimizer, stop_at):
    config = CONFIG.model_copy(update={"optimizer": optimizer, "lr": 0.01})
    whole, second = whole_and_resumed(job, config, tmp_path, stop_at)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name
    plain = [{k: v for k, v in row.items() if k != "seconds"} for row in whole.progress.history]
    again = [{k: v for k, v in row.items() if k != "seconds"} for row in second.progress.history]
    assert plain == again


def finished(state, batches, config):
    for _ in run(state, batches, config):
        pass
    return state


def test_gradient_norms_are_of_the_loss_before_clipping_every_n_steps():
    config = TrainConfig(epochs=1, batch_size=16, lr=0.05, gradient_norms=3, clip=1e-6)
    state, batches = job(config)
    reference = tiny_net().train()
    x, y = batches(0)
    torch.manual_seed(seed_of(config.seed, NETWORK, 0))
    cross_entropy()(reference, x, y)[0].backward()
    steps = [event for event in run(state, batches, config) if isinstance(event, Step)]
    assert [step.gradient_norms is not None for step in steps] == [True, False, False, True]
    first = steps[0].gradient_norms
    assert list(first) == ["conv", "linear"]
    assert first["conv"] == pytest.approx(reference.conv.weight.grad.norm().item(), rel=1e-5)
    rows = state.progress.gradient_norms
    assert [row["step"] for row in rows] == [1, 4] and rows[0] == {"step": 1, **first}


@pytest.mark.parametrize("stop_at", [1, 4, 5, 9])
def test_dropout_and_gradient_norms_go_on_as_if_never_stopped(tmp_path, stop_at):
    config = CONFIG.model_copy(update={"dropout_schedule": (0.0, 0.5, 0.9), "gradient_norms": 2})
    whole, second = whole_and_resumed(job, config, tmp_path, stop_at)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    assert second.progress.gradient_norms == whole.progress.gradient_norms
    plain = finished(*job(CONFIG), CONFIG)  # with the net's own rate, other weights
    assert not torch.equal(plain.network.linear.weight, whole.network.linear.weight)


def test_dropout_has_the_rate_of_its_epoch():
    config = TrainConfig(epochs=3, batch_size=20, lr=0.05, dropout_schedule=(0.1, 0.2, 0.3))
    state, batches = job(config)
    rates = [state.network.dropout.p for e in run(state, batches, config) if isinstance(e, Step)]
    assert rates == [0.1] * 3 + [0.2] * 3 + [0.3] * 3


def test_whole_batches_are_compiled_and_nothing_of_it_is_kept(tmp_path, monkeypatch):
    sizes = []

    class Compiled(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.inner = network

        def forward(self, x):
            sizes.append(len(x))
            return self.inner(x)

    monkeypatch.setattr(torch, "compile", Compiled)
    config = CONFIG.model_copy(update={"compile": True})
    state = finished(*job(config), config)
    assert sizes == [16] * 11  # and 4 images are left
    plain = finished(*job(CONFIG), CONFIG).network.state_dict()
    assert state.network.state_dict().keys() == plain.keys()
    assert all(torch.equal(t, plain[name]) for name, t in state.network.state_dict().items())


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_run_resumes_to_the_same_bits(tmp_path):
    config = CONFIG.model_copy(update={"compile": True})
    whole = finished(*job(config), config)
    first, batches = job(config)
    for number, _ in enumerate(run(first, batches, config), start=1):
        if number == 4:
            break
    path = save_checkpoint(first, tmp_path)
    second, batches = job(config, seed=99)
    load_checkpoint(second, path)
    finished(second, batches, config)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_at_once(poison):
    state, batches = job(CONFIG)
    steps = []

    def objective(model, x, y):
        loss, logits = cross_entropy()(model, x, y)
        return (loss * poison if state.progress.step == 2 else loss), logits

    with pytest.raises(DivergedError, match="step 2"):
        for event in run(state, batches, CONFIG, objective=objective):
            steps.append(event)
    assert len(steps) == 2


def test_validation_that_is_not_finite_is_never_the_best():
    state, batches = job(CONFIG)
    figures = iter([0.5, math.nan])

    def validate(network):
        return {"loss": next(figures), "accuracy": 0.9}

    with pytest.raises(DivergedError):
        list(run(state, batches, CONFIG, validate=validate))
    assert state.progress.best_epoch == 1 and len(state.progress.history) == 1


def test_the_best_epoch_follows_metric_and_mode():
    values = [0.3, 0.2, 0.4]
    for mode, best in (("max", 3), ("min", 2)):
        state, batches = job(CONFIG)
        list(run(state, batches, CONFIG, scripted(values), mode=mode))
        assert state.progress.best_epoch == best


def test_of_equal_epochs_the_one_of_lowest_loss_is_best_and_of_these_the_first():
    config = CONFIG.model_copy(update={"epochs": 5})
    state, batches = job(config)
    rounded = 0.9 + 1e-15  # by another order of its sum
    measured = scripted([0.5, 0.9, rounded, 0.9, 0.9], [0.1, 0.7, 0.3, 0.3, 0.4])
    epochs = [e for e in run(state, batches, config, measured) if isinstance(e, Epoch)]
    assert [epoch.best for epoch in epochs] == [True, True, True, False, False]
    assert state.progress.best_epoch == 3


def test_patience_and_plateau_count_the_metric_alone():
    config = TrainConfig(
        epochs=50, batch_size=60, lr=0.01, schedule="plateau", plateau_patience=2, patience=4
    )
    state, batches = job(config)
    losses = [0.9, 0.8, 0.7, 0.6, 0.5]
    events = list(run(state, batches, config, scripted([0.9] * 5, losses)))
    assert len(state.progress.history) == 5 and state.progress.best_epoch == 5
    rates = [event.lr for event in events if isinstance(event, Step)]
    assert rates == pytest.approx([0.01] * 3 + [0.005] * 2)


def test_a_state_that_had_ended_goes_on_by_rules_that_allow_more():
    config = TrainConfig(epochs=2, batch_size=16, lr=0.01)
    state = finished(*job(config), config)
    assert state.progress.stopped == "all epochs done"
    longer = config.model_copy(update={"epochs": 4})
    images = job(longer)[1]
    events = list(run(state, images, longer))
    assert [e.epoch for e in events if isinstance(e, Epoch)] == [3, 4]
    assert not list(run(state, images, longer))


def test_patience_stops_early():
    config = TrainConfig(epochs=50, batch_size=16, lr=0.01, patience=2)
    state, batches = job(config)
    list(run(state, batches, config, scripted([0.1, 0.5, 0.4, 0.5, 0.9])))
    assert len(state.progress.history) == 4 and state.progress.best_epoch == 2
    assert "no better accuracy" in state.progress.stopped


def test_a_plateau_lowers_the_rate():
    config = TrainConfig(
        epochs=5, batch_size=60, lr=0.01, schedule="plateau", plateau_patience=2, plateau_factor=0.1
    )
    state, batches = job(config)
    rates = [e.lr for e in run(state, batches, config) if isinstance(e, Step)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001])


def test_the_time_limit_closes_the_epoch_and_stops():
    config = TrainConfig(epochs=50, batch_size=16, lr=0.01, time_limit=1e-9)
    state, batches = job(config)
    events = list(run(state, batches, config))
    assert [type(e) for e in events] == [Step, Epoch]
    assert "time limit" in state.progress.stopped


def test_the_average_is_what_is_validated_and_the_network_keeps_its_own():
    state, batches = job(CONFIG)
    seen = []

    def validate(network):
        seen.append(network.linear.weight.detach().clone())
        return no_figures(network)

    events = run(state, batches, CONFIG, validate=validate)
    next(e for e in events if isinstance(e, Epoch))
    assert torch.equal(seen[0], state.average["linear.weight"])
    assert not torch.equal(seen[0], state.network.linear.weight)


def process_state():
    cudnn = torch.backends.cudnn
    return torch.get_rng_state().tolist(), cudnn.deterministic, cudnn.benchmark


@pytest.mark.parametrize("flags", [(False, False), (False, True)])
def test_between_yields_the_state_of_the_process_is_as_it_was(monkeypatch, flags):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", flags[0])
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", flags[1])
    within = []

    def validate(network):
        within.append(process_state()[1:])
        torch.rand(3)
        return no_figures(network)

    def objective(model, x, y):
        within.append(process_state()[1:])
        return cross_entropy()(model, x, y)

    state, batches = job(CONFIG)
    before = process_state()
    for _ in run(state, batches, CONFIG, validate=validate, objective=objective):
        assert process_state() == before
    assert set(within) == {(True, False)}


def test_what_a_consumer_draws_changes_no_bit():
    plain = finished(*job(CONFIG), CONFIG)
    state, batches = job(CONFIG)
    for number, _ in enumerate(run(state, batches, CONFIG)):
        torch.manual_seed(number)
        torch.rand(number)
    for name, tensor in plain.network.state_dict().items():
        assert torch.equal(tensor, state.network.state_dict()[name]), name


def test_two_trainings_may_take_turns():
    alone = [finished(*job(CONFIG, seed), CONFIG).network.state_dict() for seed in (0, 1)]
    states, turns = [], []
    for seed in (0, 1):
        state, batches = job(CONFIG, seed)
        states.append(state)
        turns.append(run(state, batches, CONFIG))
    for _ in zip(*turns, strict=True):
        pass
    for state, weights in zip(states, alone, strict=True):
        assert all(torch.equal(t, weights[k]) for k, t in state.network.state_dict().items())
