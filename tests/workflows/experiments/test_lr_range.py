import getpass
import os
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from helpers import QUICK

from seewhy.analysis.experiments.lr_range import own_losses, read, smooth
from seewhy.errors import UsageError
from seewhy.events import Step
from seewhy.workflows.experiments.lr_range import find_lr
from seewhy.workflows.experiments.task import LOCK

HOME = Path("found")


def step(number, epoch, loss):
    return Step(number, 10, epoch, loss, 0.0, 0.1, 1.0, 1.0)


def test_the_loss_of_each_step_is_won_back_from_the_means():
    own = [2.0, 1.5, 1.0, 0.5, 4.0]
    steps = [step(n, 1, np.mean(own[: n + 1])) for n in range(3)]
    steps += [step(n, 2, np.mean(own[3 : n + 1])) for n in (3, 4)]
    assert own_losses(steps) == pytest.approx(own)


def test_smoothing_keeps_a_line_and_calms_noise():
    rates = np.geomspace(1e-5, 10, 200)
    line = 3 + 0.2 * np.log10(rates)
    assert smooth(list(rates), list(line))[50:150] == pytest.approx(line[50:150], abs=1e-3)
    noise = np.random.default_rng(0).normal(0, 1, 200)
    assert smooth(list(rates), list(noise))[20:180].std() < 0.4


def test_the_suggestion_is_the_steepest_place_and_the_cautious_one_a_tenth_of_the_lowest():
    rates = np.geomspace(1e-5, 10, 300)
    x = np.log10(rates)
    fall, rise = 2 / (1 + np.exp(4 * (x + 3))), np.exp(3 * (x + 0.5))
    found = read(HOME, "mine", list(rates), list(0.3 + fall + rise))
    assert found.suggested == pytest.approx(1e-3, rel=0.15)
    assert found.lowest == pytest.approx(rates[np.argmin(fall + rise)], rel=0.3)
    assert found.cautious == found.lowest / 10


@pytest.mark.parametrize("losses", [np.full(100, 2.3), np.linspace(2, 9, 100)])
def test_a_loss_that_never_falls_is_said_so(losses):
    with pytest.raises(UsageError, match="falls at no learning rate"):
        read(HOME, "mine", list(np.geomspace(1e-5, 10, 100)), list(losses))


def test_the_range_test_runs_the_recipes_own_training_and_leaves_its_plot_alone(
    photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    overrides = {**QUICK, "data.size": 16, "train.patience": 1, "train.time_limit": 1e-9}
    overrides |= {"train.schedule": "cosine", "train.final_lr": 1e-5, "train.warmup": 1}
    first, again = (
        find_lr(photos, "regularized-cnn", steps=60, overrides=overrides) for _ in range(2)
    )
    assert np.array_equal(first.losses, again.losses) and first.suggested == again.suggested
    assert first.rates[0] == pytest.approx(1e-5) and 30 <= len(first.rates) <= 63
    ratios = first.rates[1:] / first.rates[:-1]
    assert ratios == pytest.approx(ratios[0])
    assert 1e-4 < first.suggested < 1
    assert set(os.listdir(tmp_path)) <= {
        "runs",
        f"torchinductor_{getpass.getuser()}",
    }  # PyTorch's own
    assert first.path == Path("runs", "regularized-cnn-find-lr") and os.listdir("runs") == [
        first.path.name
    ]
    assert sorted(os.listdir(first.path)) == [LOCK, "find-lr.json", "find-lr.png"]


def test_many_images_are_limited_to_one_epoch(photos, tmp_path):
    seen = []
    settings = {"overrides": {**QUICK, "train.batch_size": 2}, "on_event": seen.append}
    with suppress(UsageError):  # so few images a step are mostly noise
        find_lr(photos, "regularized-cnn", steps=20, out=tmp_path / "found", **settings)
    steps = [event for event in seen if isinstance(event, Step)]
    assert {(one.epoch, one.total_steps) for one in steps} == {(1, 20)}


def test_too_few_steps_are_refused(photos):
    with pytest.raises(UsageError, match="20 or more"):
        find_lr(photos, "regularized-cnn", steps=5)


def test_a_training_that_makes_no_step_is_said_so(photos, tmp_path, monkeypatch):
    def events(*arguments, **options):
        return nullcontext(iter([]))

    monkeypatch.setattr("seewhy.workflows.experiments.lr_range.training_events", events)
    with pytest.raises(UsageError, match="fits the last layer alone"):
        find_lr(photos, "regularized-cnn", steps=20, out=tmp_path / "found")
