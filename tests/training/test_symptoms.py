import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from seewhy.training import TrainConfig, symptoms

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
            "train_loss": a,
            "val_loss": b,
            "train_accuracy": train_accuracy,
            "val_accuracy": 0.7,
            "lr": 0.1,
        }
        for a, b in zip(train_loss, val, strict=True)
    ]


def test_uneven_classes_are_named_until_they_are_balanced() -> None:
    uneven = labels(100, 20, 50)
    (line,) = symptoms.in_labels(uneven, CLASSES, TrainConfig())
    assert "100 training pictures of ant, 20 of bee" in line and "--train.sampling balanced" in line
    assert symptoms.in_labels(uneven, CLASSES, TrainConfig(sampling="balanced")) == []
    assert symptoms.in_labels(uneven, CLASSES, TrainConfig(class_weights="balanced")) == []
    assert symptoms.in_labels(labels(99, 20, 50), CLASSES, TrainConfig()) == []


def test_a_class_of_few_pictures_is_named() -> None:
    (line,) = symptoms.in_labels(labels(19, 20, 20), CLASSES, TrainConfig())
    assert "19 of ant" in line


def test_chance_is_the_largest_class_or_an_even_share() -> None:
    assert symptoms.chance(labels(60, 20, 20), TrainConfig()) == 0.6
    assert symptoms.chance(labels(60, 20, 20), TrainConfig(sampling="balanced")) == 1 / 3


def test_pictures_of_another_kind_are_recognised() -> None:
    expected, std = np.array([0.49, 0.48, 0.45]), np.full(3, 0.25)
    assert symptoms.in_colours(expected + 0.19, std, expected) == []
    (inverted,) = symptoms.in_colours(np.array([0.49, 0.48, 0.7]), std, expected)
    assert "wrong normalisation" in inverted and "(0.49, 0.48, 0.70)" in inverted
    (flat,) = symptoms.in_colours(expected, np.full(3, 0.01), expected)
    assert "flat pictures" in flat


def test_not_learning_is_said_once_and_only_after_enough_steps() -> None:
    rows = history([2.3, 2.3, 2.3, 2.3], train_accuracy=0.105)
    (line,) = symptoms.in_history(rows[:3], 0.1, steps_per_epoch=100)
    assert "not learning" in line and "10.5%" in line and "10.0%" in line
    assert symptoms.in_history(rows, 0.1, steps_per_epoch=100) == []
    assert symptoms.in_history(rows[:2], 0.1, steps_per_epoch=1000) == []
    assert symptoms.in_history(rows[:3], 0.1, steps_per_epoch=99) == []
    learnt = history([2.3, 2.3, 2.3], train_accuracy=0.12)
    assert symptoms.in_history(learnt, 0.1, steps_per_epoch=100) == []


def test_a_rising_training_loss_is_diverging() -> None:
    (line,) = symptoms.in_history(history([1.0, 0.8, 1.3]), 0.1, 10)
    assert "diverging" in line and "0.8 to 1.3" in line and "0.01" in line
    assert symptoms.in_history(history([1.0, 0.8, 1.1]), 0.1, 10) == []


def test_overfitting_is_dated_from_the_lowest_validation_loss() -> None:
    down = [1.0, 0.5, 0.4, 0.3, 0.2]
    (line,) = symptoms.in_history(history(down, [1.0, 0.8, 0.9, 0.9, 1.0]), 0.1, 10)
    assert "overfitting since epoch 2" in line and "90.0%" in line and "70.0%" in line
    assert symptoms.in_history(history(down, [1.0, 0.8, 0.9, 0.85, 1.0]), 0.1, 10) == []
    no_gap = history(down, [1.0, 0.8, 0.9, 0.9, 1.0], train_accuracy=0.74)
    assert symptoms.in_history(no_gap, 0.1, 10) == []


def test_the_shipped_recipe_raises_no_sign_on_sound_data() -> None:
    """The history of `fast` on CIFAR-10's JPEG copy, seed 0, rounded."""
    with open(Path(__file__).with_name("fast-history.csv"), newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    for epoch in range(1, len(rows) + 1):
        assert symptoms.in_history(rows[:epoch], 0.1, 88) == []


@pytest.mark.parametrize("sign", ["imbalanced", "not learning", "diverging", "overfitting"])
def test_the_page_on_troubles_speaks_of_each_sign(sign: str) -> None:
    page = Path(__file__).parents[2] / "docs/troubleshooting.md"
    assert sign in page.read_text(encoding="utf-8").lower()
