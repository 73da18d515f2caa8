"""Diagnostics of a training, each with advice: pure functions of its records.

`docs/troubleshooting.md` says more. Each is a heuristic whose threshold stands beside it, chosen so that
the shipped recipes on sound data raise none falsely.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seewhy.config.training import TrainConfig
from seewhy.events import Diagnostic

IMBALANCE = 5  # times as many images in the largest class as in the smallest
FEW = 20  # training images of a class
FAR = 0.2  # of the brightness range, between mean colours; CIFAR-10 and ImageNet differ by 0.03
FLAT = 0.02  # std of all pixels
LEARNT_BY = 3, 300  # epochs and steps after which something must have been learnt
OVERFIT = 1.1, 3, 0.05  # times the lowest validation loss, last epochs at least, gap in accuracy
JUMP = 1.5  # times the lowest training loss

History = Sequence[Mapping[str, float]]


def in_labels(
    labels: NDArray[np.int64], classes: Sequence[str], config: TrainConfig
) -> list[Diagnostic]:
    """Whether the classes are uneven, or too small to learn. `labels` are of training, `(N,)`."""
    counts = np.bincount(labels, minlength=len(classes))
    most, least = int(counts.argmax()), int(counts.argmin())
    seen = []
    if counts[most] >= IMBALANCE * counts[least] and not (config.sampling or config.class_weights):
        seen.append(
            Diagnostic(
                "imbalanced",
                f"imbalanced: {counts[most]:,} training images of {classes[most]}, "
                f"{counts[least]:,} of {classes[least]}",
                "try --train.sampling balanced, and --train.monitor balanced_accuracy",
            )
        )
    if counts[least] < FEW:
        seen.append(
            Diagnostic(
                "few images",
                f"few images: {counts[least]:,} of {classes[least]} to train on",
                f"with fewer than {FEW} a class, more images help more than any setting",
            )
        )
    return seen


def chance(labels: NDArray[np.int64], config: TrainConfig) -> float:
    """The share of right answers in training that takes no learning: naming one class always."""
    counts = np.bincount(labels)
    return float(1 / (counts > 0).sum() if config.sampling else counts.max() / counts.sum())


def in_colours(
    mean: NDArray[np.floating], std: NDArray[np.floating], expected: NDArray[np.floating]
) -> list[Diagnostic]:
    """Whether images cannot be what a network's normalisation was made for.

    `mean` and `std` `(3,)` are of the images in [0, 1], `expected` `(3,)` the network's own mean.
    """
    look = "look at `seewhy data preview`"
    if float(np.max(std)) < FLAT:
        finding = "flat images: all pixels are almost of one colour"
        return [Diagnostic("flat images", finding, look)]
    if float(np.abs(mean - expected).max()) > FAR:
        finding = (
            f"wrong normalisation: the images' mean colour is {_colour(mean)}, and the network was made "
            f"for {_colour(expected)} (0 is black, 1 white)"
        )
        advice = f"are they of another kind, inverted or scaled twice? {look.capitalize()}"
        return [Diagnostic("wrong normalisation", finding, advice)]
    return []


def in_history(history: History, chance: float, steps_per_epoch: int) -> list[Diagnostic]:
    """What the newest epoch shows and the one before did not: not learning, diverging, overfitting.

    `history` are the rows of history.csv so far; `chance` as the function of that name gives it.
    """
    before = {one.kind for one in _of_newest(history[:-1], chance, steps_per_epoch)}
    now = _of_newest(history, chance, steps_per_epoch)
    return [one for one in now if one.kind not in before]


def in_run(
    history: History, labels: NDArray[np.int64], classes: Sequence[str], config: TrainConfig
) -> list[Diagnostic]:
    """What a training would have noticed as it went, of one that has kept none of it."""
    steps, likely = len(labels) // config.batch_size, chance(labels, config)
    rows = [history[:epoch] for epoch in range(1, len(history) + 1)]
    noticed = [one for past in rows for one in in_history(past, likely, steps)]
    return in_labels(labels, classes, config) + noticed


def overfitting_since(history: History) -> int | None:
    """The epoch of the lowest validation loss, where what came after is overfitting; else None.

    It is when in the last tenth of the epochs, three at least, the validation loss is never within a
    tenth of its lowest, the training loss is lower than at that epoch, and training accuracy ends five
    points above validation's.
    """
    ratio, rows, least = OVERFIT
    tail = max(rows, len(history) // 10)
    val, train = (np.array([row[name] for row in history]) for name in ("val_loss", "train_loss"))
    if len(history) <= tail or not np.isfinite(val).all():
        return None
    lowest = int(val.argmin())
    rose = val[-tail:].min() > ratio * val[lowest] and train[-tail:].mean() < train[lowest]
    gap = history[-1]["train_accuracy"] - history[-1]["val_accuracy"]
    return int(history[lowest]["epoch"]) if rose and gap > least else None


def _of_newest(history: History, chance: float, steps_per_epoch: int) -> list[Diagnostic]:
    if not history:
        return []
    seen = []
    newest, epochs = history[-1], len(history)
    best = max(row["train_accuracy"] for row in history)
    if epochs >= LEARNT_BY[0] and epochs * steps_per_epoch >= LEARNT_BY[1] and best < 1.1 * chance:
        finding = (
            f"not learning: after {epochs} epochs {best:.1%} of the training images are right, and naming "
            f"the largest class would give {chance:.1%}"
        )
        advice = (
            "try a tenth and ten times of train.lr (`seewhy find-lr`), a network with batch norm, and look "
            "at the labels (`seewhy data check`)"
        )
        seen.append(Diagnostic("not learning", finding, advice))
    lowest = min(row["train_loss"] for row in history)
    if newest["train_loss"] > JUMP * lowest:
        finding = (
            f"diverging: the training loss rose from {lowest:.3g} to {newest['train_loss']:.3g}"
        )
        advice = (
            f"try a lower train.lr ({newest['lr'] / 10:.2g}), --train.clip 1 or --train.warmup 1"
        )
        seen.append(Diagnostic("diverging", finding, advice))
    since = overfitting_since(history)
    if since is not None:
        finding = (
            f"overfitting since epoch {since}: {newest['train_accuracy']:.1%} of the training images are "
            f"right, {newest['val_accuracy']:.1%} of validation"
        )
        advice = (
            "add augmentation (--augment.flip 0.5, --augment.crop_padding 4), dropout or images, or stop "
            "early (--train.patience 5)"
        )
        seen.append(Diagnostic("overfitting", finding, advice))
    return seen


def _colour(values: NDArray[np.floating]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
