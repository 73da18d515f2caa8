import numpy as np
import pytest
import torch
from helpers import image_set, tiny_net
from tiny_training import CPU, run, whole_and_resumed

from seewhy.analysis import diagnostics
from seewhy.analysis.diagnostics import Setting
from seewhy.config.augment import AugmentConfig
from seewhy.config.training import TrainConfig
from seewhy.events import Step
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import load_checkpoint, save_checkpoint
from seewhy.training.hardest import Hardest
from seewhy.training.loop import TrainState

CONFIG = TrainConfig(epochs=5, batch_size=16, lr=0.05, hardest=0.4, hardest_after=0.4)
COUNT = 50  # so that batches span epochs: of 50, 50, 20, 20, 20 images


def job(config=CONFIG, seed=0):
    images = image_set(np.arange(COUNT) % 3)
    state = TrainState.start(tiny_net(seed), config)
    state.hardest = Hardest.start(config, COUNT, CPU)
    augmentation = AugmentConfig(flip=0.5, crop_padding=1)
    batches = Batches(
        images, 8, config.batch_size, config.epochs, 0, augmentation, hardest=state.hardest
    )
    return state, batches


def test_epochs_have_the_images_whose_last_loss_was_highest():
    state, batches = job()
    assert batches.total_images == 160 and batches.total_steps == 10
    assert [batches.epochs_done(step) for step in range(11)] == [0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5]
    events, last = run(state, batches, CONFIG), np.full(COUNT, np.inf)
    seen = []
    for step in range(10):
        rows = batches.rows(step)  # the choice is made when an epoch is first asked for
        before = state.hardest.losses.numpy().copy()
        event = next(events)
        while not hasattr(event, "total_steps"):
            event = next(events)
        after = state.hardest.losses.numpy()
        unseen = np.setdiff1d(np.arange(COUNT), rows)
        np.testing.assert_array_equal(before[unseen], after[unseen])
        assert np.isfinite(after[rows]).all()
        seen.append(rows)
        last = before
    rows = np.concatenate(seen)
    assert sorted(rows[:50]) == sorted(rows[50:100]) == list(range(COUNT))
    for epoch, start in ((2, 100), (3, 120), (4, 140)):
        mine = rows[start : start + 20]
        assert len(set(mine)) == 20, epoch
    chosen = state.hardest.chosen[4].numpy()
    assert sorted(rows[140:]) == chosen.tolist() and last.shape == (COUNT,)


def test_an_epoch_is_chosen_by_what_was_known_before_its_first_batch():
    state, batches = job()
    state.hardest.losses.copy_(torch.arange(COUNT, dtype=torch.float32))
    batches.at(5, 0)  # whose next batch begins the third epoch: not chosen ahead
    assert state.hardest.chosen == {}
    assert set(batches.rows(6)) >= set(range(30, 34)).intersection(batches.rows(6))
    assert state.hardest.chosen[2].tolist() == list(range(30, 50))
    state.hardest.losses.zero_()
    assert state.hardest.rows(2).tolist() == list(range(30, 50))


@pytest.mark.parametrize("stop_at", [1, 4, 5, 8, 9, 10, 12])
def test_a_resumed_run_has_the_same_bits(tmp_path, stop_at):
    whole, second = whole_and_resumed(job, CONFIG, tmp_path, stop_at)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    assert torch.equal(whole.hardest.losses, second.hardest.losses)


@pytest.mark.parametrize("changes", [{"batch_size": COUNT}, {"swa": 0.8, "epochs": 12}])
def test_the_images_of_earlier_steps_stay_known_as_long_as_they_are_needed(changes):
    """A batch of all images spans several epochs of few; `swa` looks at many steps again."""
    config = CONFIG.model_copy(update=changes)
    state, batches = job(config)
    for _ in run(state, batches, config):
        pass
    assert state.progress.step == batches.total_steps
    assert max(state.hardest.chosen) == config.epochs - 1


def test_each_epoch_has_a_step_where_the_hardest_images_are_fewer_than_a_batch(tmp_path):
    config = CONFIG.model_copy(update={"batch_size": 32, "epochs": 10})
    state, batches = job(config)
    steps = [event.epoch for event in run(state, batches, config) if isinstance(event, Step)]
    assert set(steps) == set(range(1, 11)) and state.hardest.count == 32
    # A checkpoint from before has epochs of 20 images: they are chosen again.
    old = state.hardest.chosen | {8: torch.arange(20)}
    state.hardest.chosen.clear()
    state.hardest.chosen.update(old)
    path = save_checkpoint(state, tmp_path)
    resumed, _ = job(config)
    load_checkpoint(resumed, path)
    assert {len(rows) for rows in resumed.hardest.chosen.values()} == {32}


def test_a_short_training_has_all_images_at_first():
    config = CONFIG.model_copy(update={"epochs": 1})
    _, batches = job(config)
    assert batches.total_images == COUNT


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hardest": 0.5, "sampling": "balanced"}, "hardest and sampling both choose images"),
        ({"hardest": 0.5, "curriculum": 0.5, "difficulty": "m"}, "hardest and curriculum both"),
        ({"hardest": 0.5, "shards": 2}, "hardest needs the losses of whole batches"),
        ({"hardest_after": 0.5}, "hardest_after has no effect without hardest"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(**settings)


def test_a_loss_that_rises_as_easy_images_are_left_out_is_no_divergence():
    config = TrainConfig(epochs=10, hardest=0.1)
    setting = Setting.of(np.array([50, 50]), np.array([9, 9]), config)
    rows = [
        {
            "epoch": n,
            "train_loss": loss,
            "train_accuracy": right,
            "val_loss": 0.3,
            "val_accuracy": 0.9,
        }
        for n, (loss, right) in enumerate([(0.5, 0.8), (0.3, 0.9), (0.2, 0.95), (0.9, 0.4)], 1)
    ]
    assert diagnostics.in_history(rows, setting) == []
    plain = Setting.of(np.array([50, 50]), np.array([9, 9]), TrainConfig(epochs=10))
    assert [one.kind for one in diagnostics.in_history(rows, plain)] == ["diverging"]
