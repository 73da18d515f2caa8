"""Facts from training curves: where overfitting began, how steady training was, and the gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seewhy.analysis.diagnostics import overfitting_since


@dataclass(frozen=True)
class TrainingCurves:
    """The facts of one training's history.

    `kept` is the epoch whose weights are kept; `gap` training less validation accuracy there, as
    recorded (with augmentation and dropout, so it may be below 0). `onset` is the epoch since
    which it overfits, as `overfitting_since` finds it, or None. `unsteadiness` is the
    typical change of validation accuracy from one epoch to the next in the last half of the training,
    None for a training too short to have one. Where the last layer alone was fitted, `epochs` is 0.
    """

    epochs: int
    kept: int
    seconds: float | None
    gap: float
    onset: int | None
    unsteadiness: float | None


def training_curves(history: Sequence[Mapping[str, float]], keep: str = "best") -> TrainingCurves:
    """Reads the rows of history.csv, one an epoch; `keep` is that of the recipe."""
    accuracy = np.array([row["val_accuracy"] for row in history])
    kept = kept_row(history, keep)
    later = np.diff(accuracy[len(accuracy) // 2 :])
    return TrainingCurves(
        epochs=int(history[-1]["epoch"]),
        kept=int(history[kept]["epoch"]),
        seconds=history[-1].get("seconds"),
        gap=float(history[kept]["train_accuracy"] - accuracy[kept]),
        onset=overfitting_since(history),
        unsteadiness=float(np.sqrt(np.mean(later**2))) if len(later) else None,
    )


def kept_row(history: Sequence[Mapping[str, float]], keep: str) -> int:
    """The row of the epoch whose weights a recipe keeps: the best or the last."""
    return best_row(history) if keep == "best" else len(history) - 1


def best_row(history: Sequence[Mapping[str, float]]) -> int:
    """The row of the best epoch: the last that is marked, or the one of highest validation accuracy."""
    marked = [row for row, epoch in enumerate(history) if epoch.get("best")]
    return marked[-1] if marked else int(np.argmax([row["val_accuracy"] for row in history]))
