import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import image_set
from torch import nn

from seewhy.analysis import robustness
from seewhy.analysis.attacks import ATTACKS
from seewhy.analysis.corruptions import CORRUPTIONS
from seewhy.analysis.robustness import (
    MOST,
    TRANSFORMATIONS,
    gradient_masking,
    measure_robustness,
)
from seewhy.config.input_rule import InputRule
from seewhy.errors import DataError
from seewhy.events import Event, Note, Progress
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier
from seewhy.inference.pytorch import PyTorchPredictor


class Brightness(nn.Module):
    """Tells classes by the mean brightness alone: moving and turning is nothing to it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], 1) * 20


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    rule = InputRule(size=8, store=8)
    made = Bundle(Brightness(), ("dark", "light"), rule, views=("identity", "flip"))
    return Classifier(PyTorchPredictor.of(made, torch.device("cpu")))


@pytest.fixture(scope="module")
def images():
    made = image_set(np.arange(60) % 2, size=8, classes=("dark", "light"))
    rng = np.random.default_rng(0)
    level = np.where(made.labels == 1, 150, 100) + rng.integers(-20, 20, 60)
    noise = rng.integers(-30, 30, (60, 8, 8, 3))
    return replace(made, images=(level[:, None, None, None] + noise).astype(np.uint8))


@pytest.fixture(scope="module")
def tried(classifier, images):
    """What is found, the adversarial images, and what the progress bar was told.

    Every sixth image has no label: were one drawn, not all would be right as they are.
    """
    told: list[Event] = []
    some = replace(images, labels=np.where(np.arange(60) % 6, images.labels, -1))
    found, shown = measure_robustness(classifier, some, n=40, on_event=told.append)
    return found, shown, told


def test_what_is_measured_is_what_was_planted(tried) -> None:
    found, _, _ = tried
    assert found.diagnostics == ()
    assert found.n == 40 and found.clean.value == 1
    assert set(found.corruptions) == set(CORRUPTIONS)
    errors = {n: 1 - np.mean([i.value for i in a]) for n, a in found.corruptions.items()}
    assert found.worst == max(errors, key=errors.get) and errors["brightness"] > 0.1
    assert errors["pixelate"] == 0 and errors["contrast"] == 0
    assert found.mean_corruption_error.value == pytest.approx(np.mean(list(errors.values())))
    assert found.lost.value == pytest.approx(found.mean_corruption_error.value)  # clean is 100%
    for name, curve in found.transformations.items():
        assert len(curve.accuracy) == len(TRANSFORMATIONS[name][1])
    assert all(i.value == 1 for i in found.transformations["rotation"].accuracy)
    for curve in found.attacks.values():
        values = [i.value for i in curve.accuracy]
        assert values == sorted(values, reverse=True)
    assert set(found.attacks) == set(ATTACKS) and found.attacks["pgd"].accuracy[-1].value < 1


def test_the_bar_runs_once_from_beginning_to_end(tried) -> None:
    told = [event for event in tried[2] if isinstance(event, Progress)]
    assert len({event.total for event in told}) == 1 and told[-1].done == told[-1].total
    done = [event.done for event in told]
    assert done == sorted(done) and done.count(done[-1]) == 1


def test_the_cost_is_said_before_the_work(tried) -> None:
    notes = [place for place, event in enumerate(tried[2]) if isinstance(event, Note)]
    assert notes == [1], "after the first predictions, which tell the rate"
    text, total = tried[2][1].text, tried[2][0].total
    assert text.startswith(f"at most {total:,} predictions of 40 images: about ")
    assert re.search(r"about [\d,]+ (second|minute)s? at [\d,]+ a second; a smaller --n", text)


def test_adversarial_images_are_close_and_taken_for_another_class(classifier, tried) -> None:
    shown = tried[1]
    assert shown is not None and len(shown.labels) > 0
    assert (shown.answers != shown.labels).all()
    assert 0 < np.abs(shown.after.astype(int) - shown.before).max() <= shown.radius
    with torch.no_grad():  # a saved image deceives as well
        x = torch.from_numpy(shown.after).permute(0, 3, 1, 2) / 255
        assert torch.equal(classifier.module()(x).argmax(1), torch.from_numpy(shown.answers))


class Masked(Brightness):
    """As `Brightness`, rounded to whole levels: its gradient is zero everywhere."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward((255 * x).round().detach() / 255 + 0 * x)


class Always(Brightness):
    """Says "light", whatever it sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(0 * x + 1)


def doubts_of(network: nn.Module, images, monkeypatch):
    """What makes its robustness on 20 images doubtful; with fewer changes than usual, to be quick."""
    monkeypatch.setattr(robustness, "CORRUPTIONS", {"contrast": CORRUPTIONS["contrast"]})
    monkeypatch.setattr(robustness, "TRANSFORMATIONS", {})
    monkeypatch.setattr(robustness, "RADII", dict.fromkeys(ATTACKS, (8.0,)))
    monkeypatch.setattr(robustness, "WHOLE", (8.0,))
    made = Bundle(network, ("dark", "light"), InputRule(size=8, store=8))
    model = Classifier(PyTorchPredictor.of(made, torch.device("cpu")))
    found, _ = measure_robustness(model, images, n=20)
    return found


def test_a_black_box_that_beats_pgd_is_a_warning_about_pgd(images, monkeypatch) -> None:
    level = np.where(images.labels == 1, 131, 124)[:, None, None, None]
    near = replace(images, images=np.broadcast_to(level, (60, 8, 8, 3)).astype(np.uint8))
    assert doubts_of(Brightness(), near, monkeypatch).diagnostics == (), "its gradient is right"
    found = doubts_of(Masked(), near, monkeypatch)
    pgd, square = (found.attacks[name].accuracy[-1].value for name in ("pgd", "square"))
    (warning,) = found.diagnostics
    assert warning.kind == "gradient masking" and square < 0.5 < pgd
    assert (
        f"leaves {20 * square:.0f} of 20 images recognised, PGD {20 * pgd:.0f}" in warning.finding
    )


def test_by_chance_a_black_box_may_be_better_on_an_image_or_two() -> None:
    pgd, square = np.ones((6, 100), bool), np.ones((4, 100), bool)
    square[3, :5] = False
    assert gradient_masking(pgd, square) == []
    square[3, :6] = False
    assert "8 of 255" in gradient_masking(pgd, square)[0].finding
    pgd[5, 10:20] = False
    assert gradient_masking(pgd, square) == []


def test_a_model_that_gives_one_class_to_everything_has_collapsed(images, monkeypatch) -> None:
    (said,) = doubts_of(Always(), images, monkeypatch).diagnostics
    assert said.kind == "collapsed" and "20 of 20 images are predicted as light" in said.finding


def test_without_a_label_there_is_nothing_to_measure(classifier, images) -> None:
    with pytest.raises(DataError, match="no image has a label"):
        measure_robustness(classifier, replace(images, labels=np.full(60, -1)))


def test_of_images_sorted_by_class_an_attack_on_few_sees_every_class(
    classifier, images, monkeypatch
) -> None:
    """All are so bright that they are taken for light ones, half of them rightly, whatever is done."""
    monkeypatch.setitem(MOST, "square", 10)
    bright = replace(images, images=np.full_like(images.images, 250))
    found, _ = measure_robustness(classifier, bright.take(np.argsort(bright.labels, kind="stable")))
    assert found.attacked["square"] == 10
    assert {0 < interval.value < 1 for interval in found.attacks["square"].accuracy} == {True}
