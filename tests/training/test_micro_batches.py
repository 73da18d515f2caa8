"""A batch in micro-batches: the same gradients, and what happens when memory runs out."""

import pytest
import torch
from helpers import TinyNet, tiny_net
from training.test_loop import CONFIG, finished, job, run

import seewhy
from seewhy.config.training import TrainConfig
from seewhy.errors import MemoryLimitError
from seewhy.events import Note, Step
from seewhy.run import Run
from seewhy.training.checkpoint import load_checkpoint, save_checkpoint
from seewhy.training.loop import TrainState
from seewhy.training.micro_batches import cut


class Hungry(TinyNet):
    """Runs out of memory for more than `most` images, from its call number `start` on."""

    def __init__(self, most, start=0):
        super().__init__()
        self.most, self.start, self.calls = most, start, 0

    def forward(self, x):
        logits = super().forward(x)  # it has drawn and has changed statistics by then
        if self.training:
            self.calls += 1
            if self.calls > self.start and len(x) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return logits


def hungry(most, start=0):
    torch.manual_seed(0)
    return Hungry(most, start)


def without_norm(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(4, 3))


@pytest.mark.parametrize(("count", "size"), [(16, 16), (16, 4), (17, 4), (5, 8), (7, 3)])
def test_a_batch_is_cut_into_equal_parts_with_their_shares(count, size):
    parts = cut(torch.arange(count), torch.arange(count), size)
    sizes = [len(y) for _, y, _ in parts]
    assert sum(sizes) == count and max(sizes) <= size and max(sizes) - min(sizes) <= 1
    assert [share for *_, share in parts] == [n / count for n in sizes]


@pytest.mark.parametrize(("count", "size"), [(5, 2), (16, 1), (1, 4), (3, 1)])
def test_no_image_is_alone_in_its_part(count, size):
    sizes = [len(y) for *_, y, _ in cut(torch.arange(count), torch.arange(count), size)]
    assert sum(sizes) == count and min(sizes) >= min(2, count) and max(sizes) <= max(size, 3)


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_accumulated_steps_are_those_of_the_batch(parts):
    weights = []
    for accumulate in (None, parts):
        config = TrainConfig(
            epochs=2, batch_size=16, lr=0.1, label_smoothing=0.1, accumulate=accumulate
        )
        batches = job(config)[1]
        state = TrainState.start(without_norm(), config)
        finished(state, batches, config)
        weights.append([*state.network.parameters()])
        losses = [row["train_loss"] for row in state.progress.history]
        assert losses == pytest.approx([row["train_loss"] for row in state.progress.history])
    for whole, cut_up in zip(*weights, strict=True):
        torch.testing.assert_close(whole, cut_up, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stop_at", [1, 4, 9])
def test_accumulated_runs_resume_to_the_same_bits(tmp_path, stop_at):
    config = CONFIG.model_copy(update={"accumulate": 3})
    resumed_alike(tmp_path, config, tiny_net, stop_at)


def resumed_alike(tmp_path, config, network, stop_at):
    def start():
        batches = job(config)[1]
        return TrainState.start(network(), config), batches

    whole = finished(*start(), config)
    first, batches = start()
    for number, _ in enumerate(run(first, batches, config), start=1):
        if number == stop_at:
            break
    path = save_checkpoint(first, tmp_path)
    second, batches = start()
    load_checkpoint(second, path)
    finished(second, batches, config)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    assert second.progress.micro_batch == whole.progress.micro_batch


def test_after_an_error_at_step_3_the_step_is_redone_in_halves_and_leaves_no_trace():
    state = TrainState.start(hungry(most=4, start=2), CONFIG)
    events = list(run(state, job(CONFIG)[1], CONFIG))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len(notes) == 1 and "memory" in notes[0] and "step 3" in notes[0]
    assert "micro-batches of 4 images" in notes[0] and "batch-norm" in notes[0]
    assert events.index(next(e for e in events if isinstance(e, Note))) == 2
    assert state.progress.micro_batch == 4
    # The same as a run that had been told so at step 3: two whole batches, then four parts each.
    told = TrainState.start(tiny_net(), CONFIG)
    batches = job(CONFIG)[1]
    for event in run(told, batches, CONFIG):
        if isinstance(event, Step) and event.step == 2:
            told.progress.micro_batch = 4
    for name, tensor in told.network.state_dict().items():
        assert torch.equal(tensor, state.network.state_dict()[name]), name


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 8])
def test_the_size_that_fitted_is_kept_on_resume(tmp_path, stop_at):
    resumed_alike(tmp_path, CONFIG, lambda: hungry(most=8), stop_at)


def test_where_two_images_do_not_fit_there_is_a_line():
    state = TrainState.start(hungry(most=1), CONFIG)
    with pytest.raises(MemoryLimitError, match=r"2 images at a time: .*data\.size or model"):
        list(run(state, job(CONFIG)[1], CONFIG))
    assert state.progress.step == 0 and state.progress.micro_batch is None


def test_other_errors_pass():
    def broken(model, x, y):
        raise RuntimeError("a bug")

    state, batches = job(CONFIG)
    with pytest.raises(RuntimeError, match="a bug"):
        list(run(state, batches, CONFIG, objective=broken))


def test_more_parts_than_images_are_refused():
    with pytest.raises(ValueError, match="accumulate must be at most batch_size, 8"):
        TrainConfig(batch_size=8, accumulate=9)


def test_a_run_records_its_micro_batch_and_resumes_with_it(photos, tmp_path):
    options = {"train.epochs": 2, "train.batch_size": 16, "train.amp": "fp32", "data.size": 16}
    recipe = "regularized-cnn"

    def train(out, **more):
        return seewhy.train(photos, recipe, out=out, overrides=options, model=hungry(8), **more)

    seen = []
    whole = train(tmp_path / "whole", on_event=seen.append)
    assert any("micro-batches of 8 images" in e.text for e in seen if isinstance(e, Note))
    assert any("micro-batches of 8" in e.text for e in whole.events if isinstance(e, Note))
    assert whole.config["micro_batch"] == 8 and "micro-batches of 8" in log(whole)
    out = tmp_path / "stopped"
    with seewhy.training_events(
        photos, recipe, out=out, overrides=options, model=hungry(8)
    ) as events:
        next(event for event in events if isinstance(event, Step))
    assert Run(out).config["micro_batch"] == 8
    again = []
    resumed = train(out, resume=True, on_event=again.append)
    assert not any("micro-batches" in e.text for e in again if isinstance(e, Note))
    assert resumed.config["micro_batch"] == 8
    assert [row["train_loss"] for row in resumed.history] == [
        row["train_loss"] for row in whole.history
    ]


def log(run):
    return (run.path / "log.txt").read_text()
