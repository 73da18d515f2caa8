"""What the curves of a training tell: where it began to overfit, how steady it was, what it gave away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RISE = 0.05  # of the validation loss above its lowest, at the end, is overfitting


@dataclass(frozen=True)
class TrainingCurves:
    """The facts of one training's history.

    `kept` is the epoch of the best validation figure; `gap` training less validation accuracy there, as
    recorded (with augmentation and dropout, so it may be below 0). `onset` is the epoch after which the
    validation loss only rose while the training loss went on falling, or None. `unsteadiness` is the
    typical change of validation accuracy from one epoch to the next in the last half of the training.
    """

    epochs: int
    kept: int
    seconds: float | None
    gap: float
    onset: int | None
    unsteadiness: float


def training_curves(history: Sequence[Mapping[str, float]]) -> TrainingCurves:
    """Reads the rows of history.csv, one an epoch."""
    val_loss, train_loss, accuracy = (
        np.array([row[name] for row in history])
        for name in ("val_loss", "train_loss", "val_accuracy")
    )
    marked = [row for row, epoch in enumerate(history) if epoch.get("best")]
    kept = marked[-1] if marked else int(accuracy.argmax())
    later = np.diff(accuracy[len(accuracy) // 2 :])
    return TrainingCurves(
        epochs=len(history),
        kept=int(history[kept]["epoch"]),
        seconds=history[-1].get("seconds"),
        gap=float(history[kept]["train_accuracy"] - accuracy[kept]),
        onset=_onset(train_loss, val_loss, [int(row["epoch"]) for row in history]),
        unsteadiness=float(np.sqrt(np.mean(later**2))) if len(later) else 0.0,
    )


def _onset(train: np.ndarray, val: np.ndarray, epochs: Sequence[int]) -> int | None:
    """The epoch of the lowest validation loss, where what follows it is overfitting."""
    if not np.isfinite(val).all() or not len(val):
        return None
    smooth = np.array([np.median(val[max(0, e - 1) : e + 2]) for e in range(len(val))])
    lowest = int(smooth.argmin())
    tail = max(1, len(val) // 10)
    rose = val[-tail:].mean() > (1 + RISE) * smooth[lowest]
    return epochs[lowest] if rose and train[-tail:].mean() < train[lowest] else None
