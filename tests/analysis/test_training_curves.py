import numpy as np
import pytest

from seewhy.analysis import diagnostics
from seewhy.analysis.training_curves import best_row, kept_row, training_curves
from seewhy.config.training import TrainConfig


def history(val_loss, train_loss=None, val_accuracy=None, **columns):
    n = len(val_loss)
    train_loss = train_loss or [1 / (e + 1) for e in range(n)]
    val_accuracy = val_accuracy or [0.5 + 0.02 * e for e in range(n)]
    return [
        {
            "epoch": e + 1,
            "val_loss": val_loss[e],
            "train_loss": train_loss[e],
            "val_accuracy": val_accuracy[e],
            "train_accuracy": 0.99,
            "lr": 0.1,
            **columns,
        }
        for e in range(n)
    ]


def test_the_onset_is_where_the_validation_loss_begins_to_rise_for_good() -> None:
    rows = history([2, 1.5, 1.2, 1.0, 0.9, 0.95, 1.0, 1.1, 1.2, 1.3])
    assert training_curves(rows).onset == 5


@pytest.mark.parametrize(
    "loss",
    [
        [2, 1.5, 1.2, 1.0, 0.9, 0.85],  # still falling
        [2, 1.5, 1.0, 0.9, 0.91, 0.89, 0.92, 0.9],  # level
        [2, 1.5, 1.0, 5.0, 0.9, 0.8, 0.7, 0.65],  # one jump
        [2, 1.5, 1.0, 0.9, 0.8, 0.79, 0.8, 1.0],  # one noisy last epoch
        [2, 1.5, float("nan"), 1.0],
    ],
)
def test_a_training_that_does_not_overfit_has_no_onset(loss) -> None:
    assert training_curves(history(loss)).onset is None


@pytest.mark.parametrize(
    "loss",
    [
        [1.0, 0.9, 0.8, 0.89, 0.9, 0.9],
        [1.0, 0.9, 0.8, 0.86, 0.86, 0.86],
        [1.0, 0.9, 0.8, 0.81, 0.8, 0.9],
        [1.0, 0.9, 0.5, 0.8, 0.7, 0.75],
    ],
)
def test_what_the_training_said_is_what_its_curves_tell(loss) -> None:
    rows = history(loss)
    counts = np.full(10, 100)
    setting = diagnostics.Setting.of(counts, counts, TrainConfig())
    said = [line for n in range(1, 7) for line in diagnostics.in_history(rows[:n], setting)]
    onset = training_curves(rows).onset
    assert [line.finding.partition(":")[0] for line in said] == (
        [] if onset is None else [f"overfitting since epoch {onset}"]
    )


def test_a_training_that_diverges_is_no_overfitting() -> None:
    loss = [2, 1.5, 1.0, 2, 3, 4]
    assert training_curves(history(loss, train_loss=loss)).onset is None


def test_gap_and_steadiness_by_hand() -> None:
    rows = history([1] * 6, val_accuracy=[0.1, 0.2, 0.3, 0.7, 0.6, 0.7], seconds=12.0)
    found = training_curves(rows)
    assert (found.epochs, found.kept, found.seconds) == (6, 4, 12.0)
    assert found.gap == pytest.approx(0.29) and found.unsteadiness == pytest.approx(0.1)
    rows[1]["best"] = 1.0
    assert training_curves(rows).kept == 2


def test_the_best_row_is_the_last_marked_or_the_most_accurate() -> None:
    history = [{"best": 1, "val_accuracy": 0.9}, {"best": 1, "val_accuracy": 0.8}]
    assert best_row(history) == 1
    assert best_row([{"val_accuracy": 0.9}, {"val_accuracy": 0.8}]) == 0


def test_one_epoch_has_no_unsteadiness() -> None:
    assert training_curves(history([1.0])).unsteadiness is None


def test_a_last_layer_fitted_before_all_layers_is_no_epoch() -> None:
    rows = [{**row, "epoch": row["epoch"] - 1} for row in history([1.0, 0.9, 0.8])]
    assert training_curves(rows).epochs == 2 and training_curves(rows[:1]).epochs == 0


def test_the_kept_epoch_is_the_best_or_the_last_as_the_recipe_says() -> None:
    rows = history([0.3, 0.2, 0.4], val_accuracy=[0.5, 0.9, 0.7])
    assert (kept_row(rows, "best"), kept_row(rows, "last")) == (1, 2)
    assert training_curves(rows, "last").kept == 3 and training_curves(rows).kept == 2
