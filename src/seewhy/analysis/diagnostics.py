"""Signs that a training goes wrong, each with what to do about it: pure functions of what is known.

Each is one line, what is seen and then what to do, parted by `ADVICE`; `docs/troubleshooting.md` says
more. Each sign is a heuristic whose threshold stands beside it, chosen so that the shipped recipes on
sound data raise none falsely.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seewhy.config.training import TrainConfig

IMBALANCE = 5  # times as many pictures in the largest class as in the smallest
FEW = 20  # training pictures of a class
FAR = 0.2  # of the brightness range, between mean colours; CIFAR-10 and ImageNet differ by 0.03
FLAT = 0.02  # deviation of all pixels
LEARNT_BY = 3, 300  # epochs and steps after which something must have been learnt
OVERFIT = 1.1, 3, 0.05  # times the lowest validation loss, last epochs at least, gap in accuracy
JUMP = 1.5  # times the lowest training loss
ADVICE = "; advice: "

History = Sequence[Mapping[str, float]]


def in_labels(labels: NDArray[np.int64], classes: Sequence[str], config: TrainConfig) -> list[str]:
    """Says whether the classes are uneven, or too small to learn. `labels` are of training, `(N,)`."""
    counts = np.bincount(labels, minlength=len(classes))
    most, least = int(counts.argmax()), int(counts.argmin())
    found = []
    if counts[most] >= IMBALANCE * counts[least] and not (config.sampling or config.class_weights):
        found.append(
            f"imbalanced: {counts[most]:,} training pictures of {classes[most]}, {counts[least]:,} of "
            f"{classes[least]}{ADVICE}try --train.sampling balanced, and --train.monitor balanced_accuracy"
        )
    if counts[least] < FEW:
        found.append(
            f"few pictures: {counts[least]:,} of {classes[least]} to train on{ADVICE}with fewer than {FEW} "
            "a class, more pictures help more than any setting"
        )
    return found


def chance(labels: NDArray[np.int64], config: TrainConfig) -> float:
    """The share of right answers in training that takes no learning: naming one class always."""
    counts = np.bincount(labels)
    return float(1 / (counts > 0).sum() if config.sampling else counts.max() / counts.sum())


def in_colours(
    mean: NDArray[np.floating], std: NDArray[np.floating], expected: NDArray[np.floating]
) -> list[str]:
    """Says whether pictures cannot be what a network's normalisation was made for.

    `mean` and `std` `(3,)` are of the pictures in [0, 1], `expected` `(3,)` the network's own mean.
    """
    if float(np.max(std)) < FLAT:
        return [
            f"flat pictures: all pixels are almost of one colour{ADVICE}look at `seewhy data preview`"
        ]
    if float(np.abs(mean - expected).max()) > FAR:
        return [
            f"wrong normalisation: the pictures' mean colour is {_colour(mean)}, and the network was made "
            f"for {_colour(expected)} (0 is black, 1 white){ADVICE}are they of another kind, inverted or "
            "scaled twice? Look at `seewhy data preview`"
        ]
    return []


def in_history(history: History, chance: float, steps_per_epoch: int) -> list[str]:
    """Says what the newest epoch shows and the one before did not: not learning, diverging, overfitting.

    `history` are the rows of history.csv so far; `chance` as the function of that name gives it.
    """
    before = _signs(history[:-1], chance, steps_per_epoch)
    now = _signs(history, chance, steps_per_epoch)
    return [text for sign, text in now.items() if sign not in before]


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


def _signs(history: History, chance: float, steps_per_epoch: int) -> dict[str, str]:
    if not history:
        return {}
    found = {}
    newest, epochs = history[-1], len(history)
    best = max(row["train_accuracy"] for row in history)
    if epochs >= LEARNT_BY[0] and epochs * steps_per_epoch >= LEARNT_BY[1] and best < 1.1 * chance:
        found["not learning"] = (
            f"not learning: after {epochs} epochs {best:.1%} of the training pictures are right, and naming "
            f"the largest class would give {chance:.1%}{ADVICE}try a tenth and ten times of train.lr "
            "(`seewhy find-lr`), a net with batch norm, and look at the labels (`seewhy data check`)"
        )
    lowest = min(row["train_loss"] for row in history)
    if newest["train_loss"] > JUMP * lowest:
        found["diverging"] = (
            f"diverging: the training loss rose from {lowest:.3g} to {newest['train_loss']:.3g}{ADVICE}try a "
            f"lower train.lr ({newest['lr'] / 10:.2g}), --train.clip 1 or --train.warmup 1"
        )
    since = overfitting_since(history)
    if since is not None:
        found["overfitting"] = (
            f"overfitting since epoch {since}: {newest['train_accuracy']:.1%} of the training pictures are "
            f"right, {newest['val_accuracy']:.1%} of validation{ADVICE}add augmentation (--augment.flip 0.5, "
            "--augment.crop_padding 4), dropout or pictures, or stop early (--train.patience 5)"
        )
    return found


def _colour(values: NDArray[np.floating]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
