from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seewhy.analysis import diagnostics
from seewhy.config.training import TrainConfig
from seewhy.events import Diagnostic

CLASSES = ("ant", "bee", "cow")


SETTING = diagnostics.Setting.of(
    np.full(10, 100), np.full(10, 100), TrainConfig(epochs=30, batch_size=10, lr=0.1), 0.1
)


def start(config: TrainConfig, *counts: int) -> list[Diagnostic]:
    return diagnostics.at_start(np.array(counts), CLASSES, config)


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
    small = {"batch_size": 8}
    (seen,) = start(TrainConfig(**small), 100, 20, 50)
    assert (
        "100 training images of ant, 20 of bee" in seen.text
        and "--train.sampling balanced" in seen.text
    )
    assert start(TrainConfig(**small, sampling="balanced"), 100, 20, 50) == []
    assert start(TrainConfig(**small, class_weights="balanced"), 100, 20, 50) == []
    assert start(TrainConfig(**small), 99, 20, 50) == []


def test_a_class_of_few_images_is_named() -> None:
    (seen,) = start(TrainConfig(batch_size=4), 19, 20, 20)
    assert "19 of ant" in seen.text


def test_too_few_steps_in_all_are_named_with_settings_that_give_enough() -> None:
    config = TrainConfig(epochs=13, batch_size=240, optimizer="sgd", lr=1.0)
    (seen,) = start(config, 80, 80, 80)
    assert "13 in all, 13 epochs of 240 images in batches of 240" in seen.finding
    assert "--train.batch_size 32 --epochs 40, and for sgd --train.lr 0.13" in seen.advice
    better = TrainConfig(epochs=40, batch_size=32, optimizer="sgd", lr=0.13)
    assert start(better, 80, 80, 80) == []
    (few,) = start(TrainConfig(epochs=1, batch_size=16, optimizer="adam"), 80, 80, 80)
    assert "1 epoch of" in few.finding and few.advice == "try --epochs 20"


def test_chance_is_the_largest_class_or_an_even_share() -> None:
    counts = np.array([60, 20, 20])
    assert diagnostics.Setting.of(counts, counts, TrainConfig()).chance == 0.6
    even = diagnostics.Setting.of(counts, counts, TrainConfig(sampling="balanced"))
    assert even.chance == 1 / 3


def test_images_of_another_kind_are_recognised() -> None:
    expected, std = np.array([0.49, 0.48, 0.45]), np.full(3, 0.25)
    assert diagnostics.in_colours(expected + 0.19, std, expected) == []
    assert diagnostics.in_colours(np.array([0.49, 0.48, 0.15]), std, expected) == []  # meadows
    (inverted,) = diagnostics.in_colours(np.array([0.69, 0.68, 0.7]), std, expected)
    assert "wrong normalisation" in inverted.text and "(0.69, 0.68, 0.70)" in inverted.text
    (flat,) = diagnostics.in_colours(expected, np.full(3, 0.01), expected)
    assert "flat images" in flat.text


@pytest.mark.parametrize(("right", "learns"), [(0.93, False), (0.95, True), (1.0, True)])
def test_learning_is_seen_where_one_class_has_nearly_all_images(right: float, learns: bool) -> None:
    setting = replace(SETTING, classes=2, chance=0.94, config=TrainConfig(batch_size=1))
    seen = diagnostics.in_history(history([0.2] * 3, train_accuracy=right), setting)
    assert ("not learning" in [one.kind for one in seen]) != learns


def test_not_learning_is_said_once_and_only_after_enough_steps() -> None:
    def said(rows: list[Mapping[str, float]], batch: int = 10) -> list[Diagnostic]:
        config = SETTING.config.model_copy(update={"batch_size": batch})
        return diagnostics.in_history(rows, replace(SETTING, config=config))

    rows = history([2.3, 2.3, 2.3, 2.3], train_accuracy=0.105)
    (seen,) = said(rows[:3])
    assert "not learning" in seen.text and "10.5%" in seen.text and "10.0%" in seen.text
    assert "--train.lr 0.01 and 1 " in seen.advice
    assert said(rows) == [] and said(rows[:2], batch=1) == [] and said(rows[:3], batch=11) == []
    assert said(history([2.3, 2.3, 2.3], train_accuracy=0.12)) == []


def test_losing_most_of_what_was_learnt_is_diverging() -> None:
    learnt = history([1.0, 0.4], train_accuracy=0.9)
    (seen,) = diagnostics.in_history([*learnt, *history([2.0], train_accuracy=0.3)], SETTING)
    assert seen.kind == "diverging" and "0.4 to 2, " in seen.text and "90.0% to 30.0%" in seen.text
    assert "--train.lr 0.01," in seen.advice
    for loss, accuracy in ((0.8, 0.75), (2.0, 0.75), (0.8, 0.3)):
        rows = [*learnt, *history([loss], train_accuracy=accuracy)]
        assert diagnostics.in_history(rows, SETTING) == []


def test_epochs_after_a_fitted_last_layer_are_not_compared_with_it() -> None:
    """It sees images as they are, and they see small ones, warped and mixed."""
    fitted = {**history([0.0003], train_accuracy=1.0)[0], "epoch": 0}
    rows = [fitted, *history([3.0], train_accuracy=0.3)]
    assert diagnostics.in_history(rows, SETTING) == []
    lost = [*history([1.0, 0.4], train_accuracy=0.9), *history([2.0], train_accuracy=0.3)]
    (seen,) = diagnostics.in_history([fitted, *lost], SETTING)
    assert seen.kind == "diverging" and "0.4 to 2, " in seen.text


def test_a_loss_that_doubles_where_all_is_right_is_no_divergence() -> None:
    rows = history([0.1, 0.018, 0.035], train_accuracy=0.993)
    assert diagnostics.in_history(rows, SETTING) == []


def test_validation_that_jumps_beside_a_smooth_training_names_batch_norm() -> None:
    accuracies = [0.6, 0.3, 0.65, 0.66, 0.35, 0.7]
    rows = history([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    jumping = [{**row, "val_accuracy": a} for row, a in zip(rows, accuracies, strict=True)]
    (seen,) = diagnostics.in_history(jumping, SETTING)
    assert seen.kind == "unsteady validation" and "2 times, by up to 31 points" in seen.finding
    assert "batch norm (momentum 0.1)" in seen.finding and "--train.ema 0.99" in seen.advice
    (slow,) = diagnostics.in_history(jumping, replace(SETTING, momentum=0.01))
    assert "--model.batch_norm_momentum 0.1" in slow.advice and "--train.lr 0.01" in slow.advice
    few = replace(SETTING, val_images=40)  # whose accuracy jumps by itself
    for setting in (few, replace(SETTING, momentum=None)):
        assert diagnostics.in_history(jumping, setting) == []
    rough = [{**row, "train_accuracy": 0.9 - 0.05 * (n % 2)} for n, row in enumerate(jumping)]
    assert diagnostics.in_history(rough, SETTING) == []


def test_validation_at_chance_while_batch_norm_settles_is_not_called_overfitting() -> None:
    """The first five epochs of `advanced-cnn` on the digits, momentum 0.01."""
    config = TrainConfig(epochs=50, batch_size=64)
    setting = diagnostics.Setting.of(np.full(10, 121), np.full(10, 13), config, 0.01)
    rows = history([2.35, 1.79, 1.63, 1.37, 1.2], [2.12, 2.45, 2.99, 3.76, 4.12], 0.54)
    rows = [{**row, "val_accuracy": 0.1} for row in rows]
    (seen,) = diagnostics._of_newest(rows, setting)
    assert seen.kind == "batch norm lags" and "in 95 steps" in seen.finding
    assert "--model.batch_norm_momentum 0.1" in seen.advice
    settled = replace(setting, momentum=0.1)
    assert [one.kind for one in diagnostics._of_newest(rows, settled)] == ["overfitting"]


def test_overfitting_is_dated_from_the_lowest_validation_loss() -> None:
    down = [1.0, 0.5, 0.4, 0.3, 0.2]
    (seen,) = diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.9, 1.0]), SETTING)
    assert (
        "overfitting since epoch 2" in seen.text and "90.0%" in seen.text and "70.0%" in seen.text
    )
    assert diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.85, 1.0]), SETTING) == []
    no_gap = history(down, [1.0, 0.8, 0.9, 0.9, 1.0], train_accuracy=0.74)
    assert diagnostics.in_history(no_gap, SETTING) == []


def test_one_noisy_epoch_is_no_overfitting() -> None:
    noisy = history([1.0, 0.8, 0.6, 0.5, 0.4, 0.3], [1.0, 0.9, 0.8, 0.81, 0.8, 1.5])
    assert diagnostics.overfitting_since(noisy) is None


def test_a_diverging_training_is_not_called_overfitting() -> None:
    rows = history([1.0, 0.5, 2.0, 2.0, 2.0], [1.0, 0.8, 2.0, 2.0, 2.0])
    rows[2:] = [{**row, "train_accuracy": 0.2} for row in rows[2:]]
    assert [one.kind for one in diagnostics.in_history(rows[:3], SETTING)] == ["diverging"]
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
        *diagnostics.at_start(np.array([100, 12]), ("ants: red", "bees; black"), TrainConfig()),
        *diagnostics.in_colours(grey, np.zeros(3), grey),
        *diagnostics.in_colours(np.zeros(3), grey, grey),
        *diagnostics.in_history(history([2.3] * 3, train_accuracy=0.1), SETTING),
        *diagnostics.in_history([*history([0.8]), *history([2.3], train_accuracy=0.1)], SETTING),
        *diagnostics.in_history(history(down, [1.0, 0.8, 0.9, 0.9, 1.0]), SETTING),
    ]
    assert [one.kind for one in seen] == [
        *("imbalanced", "few images", "few steps", "flat images", "wrong normalisation"),
        *("not learning", "diverging", "overfitting"),
    ]
    for one in seen:
        assert one.finding and one.advice and "\n" not in one.text
        assert one.text == f"{one.finding}; advice: {one.advice}"


def test_a_run_that_kept_nothing_gives_what_it_would_have_noticed() -> None:
    rows = [*history([1.0, 0.5]), *history([2.0, 2.0], train_accuracy=0.9), *history([0.4, 0.9])]
    rows[2:4] = [{**row, "train_accuracy": 0.1} for row in rows[2:4]]
    counts, config = np.array([100, 12, 100]), TrainConfig(batch_size=16)
    seen = diagnostics.in_run(rows, counts, counts, CLASSES, config)
    setting = diagnostics.Setting.of(counts, counts, config)
    as_it_went = [
        one for epoch in range(1, 7) for one in diagnostics.in_history(rows[:epoch], setting)
    ]
    assert [one.kind for one in as_it_went] == ["diverging"]
    assert seen == diagnostics.at_start(counts, CLASSES, config) + as_it_went


@pytest.mark.parametrize(
    "sign",
    [
        "imbalanced",
        "few steps",
        "not learning",
        "diverging",
        "overfitting",
        "unsteady validation",
        "batch norm lags",
    ],
)
def test_the_page_on_troubles_speaks_of_each_sign(sign: str) -> None:
    page = Path(__file__).parents[2] / "docs/troubleshooting.md"
    assert sign in page.read_text(encoding="utf-8").lower()
