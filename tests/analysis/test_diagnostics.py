import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from seewhy.analysis import diagnostics
from seewhy.config.training import TrainConfig

CLASSES = ("ant", "bee", "cow")


def labels(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def history(
    train_loss: Sequence[float],
    val_loss: Sequence[float] | None = None,
    train_accuracy: float = 0.9,
) -> list[Mapping[str, float]]:
    val = val_loss or train_loss
    return [
        {
            "epoch": epoch,
            "train_loss": a,
            "val_loss": b,
            "train_accuracy": train_accuracy,
            "val_accuracy": 0.7,
            "lr": 0.1,
        }
        for epoch, (a, b) in enumerate(zip(train_loss, val, strict=True), 1)
    ]


def test_uneven_classes_are_named_until_they_are_balanced() -> None:
    uneven = labels(100, 20, 50)
    (seen,) = diagnostics.in_labels(uneven, CLASSES, TrainConfig())
    assert (
        "100 training images of ant, 20 of bee" in seen.text
        and "--train.sampling balanced" in seen.text
    )
    assert diagnostics.in_labels(uneven, CLASSES, TrainConfig(sampling="balanced")) == []
    assert diagnostics.in_labels(uneven, CLASSES, TrainConfig(class_weights="balanced")) == []
    assert diagnostics.in_labels(labels(99, 20, 50), CLASSES, TrainConfig()) == []


def test_a_class_of_few_images_is_named() -> None:
    (seen,) = diagnostics.in_labels(labels(19, 20, 20), CLASSES, TrainConfig())
    assert "19 of ant" in seen.text


def test_chance_is_the_largest_class_or_an_even_share() -> None:
    assert diagnostics.chance(labels(60, 20, 20), TrainConfig()) == 0.6
    assert diagnostics.chance(labels(60, 20, 20), TrainConfig(sampling="balanced")) == 1 / 3


def test_images_of_another_kind_are_recognised() -> None:
    expected, std = np.array([0.49, 0.48, 0.45]), np.full(3, 0.25)
    assert diagnostics.in_colours(expected + 0.19, std, expected) == []
    (inverted,) = diagnostics.in_colours(np.array([0.49, 0.48, 0.7]), std, expected)
    assert "wrong normalisation" in inverted.text and "(0.49, 0.48, 0.70)" in inverted.text
    (flat,) = diagnostics.in_colours(expected, np.full(3, 0.01), expected)
    assert "flat images" in flat.text


def test_not_learning_is_said_once_and_only_after_enough_steps() -> None:
    rows = history([2.3, 2.3, 2.3, 2.3], train_accuracy=0.105)
    (seen,) = diagnostics.in_history(rows[:3], 0.1, steps_per_epoch=100)
    assert "not learning" in seen.text and "10.5%" in seen.text and "10.0%" in seen.text
    assert diagnostics.in_history(rows, 0.1, steps_per_epoch=100) == []
    assert diagnostics.in_history(rows[:2], 0.1, steps_per_epoch=1000) == []
    assert diagnostics.in_history(rows[:3], 0.1, steps_per_epoch=99) == []
    learnt = history([2.3, 2.3, 2.3], train_accuracy=0.12)
    assert diagnostics.in_history(learnt, 0.1, steps_per_epoch=100) == []


def test_a_rising_training_loss_is_diverging() -> None:
    (seen,) = diagnostics.in_history(history([1.0, 0.8, 1.3]), 0.1, 10)
    assert "diverging" in seen.text and "0.8 to 1.3" in seen.text and "0.01" in seen.text
    assert diagnostics.in_history(history([1.0, 0.8, 1.1]), 0.1, 10) == []


def test_overfitting_is_dated_from_the_lowest_validation_loss() -> None:
    down = [1.0, 0.5, 0.4, 0.3, 0.2]
    (seen,) = diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.9, 1.0]), 0.1, 10)
    assert (
        "overfitting since epoch 2" in seen.text and "90.0%" in seen.text and "70.0%" in seen.text
    )
    assert diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.85, 1.0]), 0.1, 10) == []
    no_gap = history(down, [1.0, 0.8, 0.9, 0.9, 1.0], train_accuracy=0.74)
    assert diagnostics.in_history(no_gap, 0.1, 10) == []


def test_one_noisy_epoch_is_no_overfitting() -> None:
    noisy = history([1.0, 0.8, 0.6, 0.5, 0.4, 0.3], [1.0, 0.9, 0.8, 0.81, 0.8, 1.5])
    assert diagnostics.overfitting_since(noisy) is None


def test_a_diverging_training_is_not_called_overfitting() -> None:
    rows = history([1.0, 0.5, 2.0, 2.0, 2.0], [1.0, 0.8, 2.0, 2.0, 2.0])
    assert [one.kind for one in diagnostics.in_history(rows[:3], 0.1, 10)] == ["diverging"]
    assert diagnostics.overfitting_since(rows) is None


def test_an_undefined_validation_loss_is_no_overfitting() -> None:
    rows = history([1.0, 0.8, 0.6, 0.5, 0.4], [0.5, np.nan, 0.8, 0.9, 0.9])
    assert diagnostics.overfitting_since(rows) is None


def test_in_a_long_training_a_tenth_of_its_epochs_must_be_worse() -> None:
    falling = list(np.linspace(1, 0.1, 60))
    late, longer = ([1.0] * (60 - n) + [1.2] * n for n in (5, 6))
    assert diagnostics.overfitting_since(history(falling, late)) is None
    assert diagnostics.overfitting_since(history(falling, longer)) == 1


def test_every_diagnostic_has_its_kind_what_is_seen_and_the_advice() -> None:
    down = [1.0, 0.5, 0.4, 0.3, 0.2]
    grey = np.full(3, 0.5)
    seen = [
        *diagnostics.in_labels(labels(100, 12), ("ants: red", "bees; black"), TrainConfig()),
        *diagnostics.in_colours(grey, np.zeros(3), grey),
        *diagnostics.in_colours(np.zeros(3), grey, grey),
        *diagnostics.in_history(history([2.3] * 3, train_accuracy=0.1), 0.1, 100),
        *diagnostics.in_history(history([1.0, 0.8, 1.3]), 0.1, 10),
        *diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.9, 1.0]), 0.1, 10),
    ]
    assert [one.kind for one in seen] == [
        *("imbalanced", "few images", "flat images", "wrong normalisation"),
        *("not learning", "diverging", "overfitting"),
    ]
    for one in seen:
        assert one.finding and one.advice and "\n" not in one.text
        assert one.text == f"{one.finding}; advice: {one.advice}"


def test_a_run_that_kept_nothing_gives_what_it_would_have_noticed() -> None:
    rows = history([1.0, 0.5, 0.9, 0.9, 0.4, 0.9])
    uneven, config = labels(100, 12), TrainConfig(batch_size=16)
    seen = diagnostics.in_run(rows, uneven, ("ants", "bees"), config)
    as_it_went = [
        one
        for epoch in range(1, 7)
        for one in diagnostics.in_history(rows[:epoch], diagnostics.chance(uneven, config), 7)
    ]
    assert [one.kind for one in as_it_went] == ["diverging", "diverging"]
    assert seen == diagnostics.in_labels(uneven, ("ants", "bees"), config) + as_it_went


def test_the_shipped_recipe_raises_no_sign_on_sound_data() -> None:
    """The history of `fast` on CIFAR-10's JPEG copy, seed 0, rounded."""
    with open(Path(__file__).with_name("fast-history.csv"), newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    for epoch in range(1, len(rows) + 1):
        assert diagnostics.in_history(rows[:epoch], 0.1, 88) == []


@pytest.mark.parametrize("sign", ["imbalanced", "not learning", "diverging", "overfitting"])
def test_the_page_on_troubles_speaks_of_each_sign(sign: str) -> None:
    page = Path(__file__).parents[2] / "docs/troubleshooting.md"
    assert sign in page.read_text(encoding="utf-8").lower()
