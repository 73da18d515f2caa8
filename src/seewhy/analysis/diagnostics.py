"""Diagnostics of a training, each with advice: pure functions of its records.

`docs/troubleshooting.md` says more. Each is a heuristic whose threshold stands beside it, chosen so that
the shipped recipes on sound data raise none falsely.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.config.training import TrainConfig
from seewhy.events import Diagnostic
from seewhy.text import counted

IMBALANCE = 5  # times as many images in the largest class as in the smallest
FEW = 20  # training images of a class
FAR = 0.2  # of the range, between mean brightnesses; CIFAR-10 and ImageNet differ by 0.02
FLAT = 0.02  # std of all pixels
FEW_STEPS = 100  # in all; batch norm and averages of the weights need about as many to settle
ENOUGH = 300, 32  # steps in all that are advised instead, and the largest batch for so few images
LEARNT_BY = 3, 300  # epochs and steps after which something must have been learnt
OVERFIT = 1.1, 3, 0.05  # times the lowest validation loss, last epochs at least, gap in accuracy
GUESSING = 0.1  # of what is to be learnt: no more is no better than chance
LOST = 0.5  # share of what was learnt, in loss and in accuracy
EXPLODED = 5  # times the loss of equal probabilities
LEARNT = 0.2  # share of what is to be learnt from which validation must be better than guessing
FAST = 0.1  # PyTorch's momentum of batch norm: its averages follow within some ten steps
SETTLED = 3  # times 1 / momentum steps: less than 5% of the averages are those of the start
SMOOTH = 0.02  # largest fall of training accuracy between epochs
JUMPS = 2, 6, 0.1, 4  # falls of validation accuracy, among so many epochs, each at least; in std

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Setting:
    """What a history is judged by: its recipe, its images, and what takes no learning.

    `chance` is the training accuracy of always naming one class. `momentum` is that of the network's batch
    norm, as PyTorch defines it; None if it has none, or if it is not known.
    """

    config: TrainConfig
    classes: int
    images: int
    val_images: int
    chance: float
    momentum: float | None = None

    @classmethod
    def of(
        cls,
        train: NDArray[np.integer],
        val: NDArray[np.integer],
        config: TrainConfig,
        momentum: float | None = None,
    ) -> "Setting":
        """From the images per class of training and validation, (K,) each."""
        present = np.count_nonzero(train)
        chance = 1 / present if config.sampling else train.max() / train.sum()
        images, val_images = int(train.sum()), int(val.sum())
        return cls(config, len(train), images, val_images, float(chance), momentum)

    @property
    def steps(self) -> float:
        """Steps of an epoch."""
        return self.images / self.config.batch_size

    @property
    def uniform_loss(self) -> float:
        """The loss of equal probabilities, whatever the targets."""
        return math.log(self.classes)


def at_start(
    counts: NDArray[np.integer], classes: Sequence[str], config: TrainConfig
) -> list[Diagnostic]:
    """Whether classes are uneven or too small to learn, or steps too few; from the images per class, (K,)."""
    most, least = int(counts.argmax()), int(counts.argmin())
    seen = []
    if counts[most] >= IMBALANCE * counts[least] and not (config.sampling or config.class_weights):
        seen.append(
            Diagnostic(
                "imbalanced",
                f"imbalanced: {counted(counts[most], 'training image')} of {classes[most]}, "
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
    pretrained = config.unfreeze is None or config.freeze_batch_norm
    return seen if pretrained else seen + _few_steps(int(counts.sum()), config)


def _few_steps(images: int, config: TrainConfig) -> list[Diagnostic]:
    """Whether a training ends before batch norm, averages and schedule can do their work."""
    steps = math.ceil(config.epochs * images / config.batch_size)
    if steps >= FEW_STEPS:
        return []
    enough, largest = ENOUGH
    batch = min(config.batch_size, largest)
    epochs = math.ceil(enough * batch / images)
    smaller = f"--train.batch_size {batch} " if batch < config.batch_size else ""
    lower = f", and for sgd --train.lr {config.lr * batch / config.batch_size:.2g}"
    finding = (
        f"few steps: {steps:,} in all, {counted(config.epochs, 'epoch')} of "
        f"{counted(images, 'image')} in batches of "
        f"{config.batch_size}"
    )
    advice = f"try {smaller}--epochs {max(epochs, config.epochs)}" + (
        lower if smaller and config.optimizer == "sgd" else ""
    )
    return [Diagnostic("few steps", finding, advice)]


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
    if abs(float(np.mean(mean - expected))) > FAR:  # one colour alone: meadows, or sky
        finding = (
            f"wrong normalisation: the images' mean colour is {_colour(mean)}, and the network was made "
            f"for {_colour(expected)} (0 is black, 1 white)"
        )
        advice = f"are they of another kind, inverted or scaled twice? {look.capitalize()}"
        return [Diagnostic("wrong normalisation", finding, advice)]
    return []


def in_history(history: History, setting: Setting) -> list[Diagnostic]:
    """What the newest epoch shows and the one before did not: not learning, diverging, overfitting, unsteady.

    `history` are the rows of history.csv so far.
    """
    before = {one.kind for one in _of_newest(history[:-1], setting)}
    now = _of_newest(history, setting)
    return [one for one in now if one.kind not in before]


def in_run(
    history: History,
    train: NDArray[np.integer],
    val: NDArray[np.integer],
    classes: Sequence[str],
    config: TrainConfig,
) -> list[Diagnostic]:
    """What a training would have noticed as it went, of one that has kept none of it."""
    setting = Setting.of(train, val, config)
    rows = [history[:epoch] for epoch in range(1, len(history) + 1)]
    noticed = [one for past in rows for one in in_history(past, setting)]
    return at_start(train, classes, config) + noticed


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


def _of_newest(history: History, setting: Setting) -> list[Diagnostic]:
    if not history:
        return []
    # Loss and accuracy of the hardest images say nothing beside those of all, and of augmented ones nothing
    # beside those of a last layer that was fitted to images as they are, epoch 0.
    steps = [row for row in history if row["epoch"] > 0] or history
    alike = steps[setting.config.first_hardest :] or steps
    training = _diverging(alike, setting) or _not_learning(history, setting)
    validation = _lagging(history, setting) or _overfitting(history)
    return [*training, *validation, *_unsteady(history, setting)]


def _not_learning(history: History, setting: Setting) -> list[Diagnostic]:
    epochs, best = len(history), max(row["train_accuracy"] for row in history)
    early = epochs < LEARNT_BY[0] or epochs * setting.steps < LEARNT_BY[1]
    # A tenth of chance, or of what chance leaves, where a class has most of the images.
    if early or best - setting.chance >= GUESSING * min(setting.chance, 1 - setting.chance):
        return []
    finding = (
        f"not learning: after {counted(epochs, 'epoch')} {best:.1%} of the training images are "
        f"right, and naming "
        f"the largest class would give {setting.chance:.1%}"
    )
    lr = setting.config.lr
    advice = (
        f"try --train.lr {lr / 10:.2g} and {lr * 10:.2g} (`seewhy find-lr`), a network with batch norm, and "
        "look at the labels (`seewhy data check`)"
    )
    return [Diagnostic("not learning", finding, advice)]


def _diverging(history: History, setting: Setting) -> list[Diagnostic]:
    """Whether most of what was learnt is lost again, or the loss exploded and nothing is learnt since."""
    newest, uniform, chance = history[-1], setting.uniform_loss, setting.chance
    losses = [row["train_loss"] for row in history]
    best = max(row["train_accuracy"] for row in history)
    guessing = newest["train_accuracy"] < chance + GUESSING * (1 - chance)
    finding = ""
    if len(history) > 1 and max(losses) > EXPLODED * uniform and guessing:
        finding = (
            f"the training loss reached {max(losses):.3g}, where equal probabilities have {uniform:.3g}, and "
            f"{newest['train_accuracy']:.1%} of the training images are right"
        )
    elif best > chance + GUESSING * (1 - chance) and (
        newest["train_accuracy"] - chance < LOST * (best - chance)
        and uniform - newest["train_loss"] < LOST * (uniform - min(losses))
    ):
        finding = (
            f"the training loss rose from {min(losses):.3g} to {newest['train_loss']:.3g}, and training "
            f"accuracy fell from {best:.1%} to {newest['train_accuracy']:.1%}"
        )
    if not finding:
        return []
    advice = f"try --train.lr {setting.config.lr / 10:.2g}, --train.clip 1 or --train.warmup 1"
    return [Diagnostic("diverging", f"diverging: {finding}", advice)]


def _overfitting(history: History) -> list[Diagnostic]:
    since, newest = overfitting_since(history), history[-1]
    if since is None:
        return []
    finding = (
        f"overfitting since epoch {since}: {newest['train_accuracy']:.1%} of the training images are "
        f"right, {newest['val_accuracy']:.1%} of validation"
    )
    advice = (
        "add augmentation (--augment.flip 0.5, --augment.crop_padding 4), dropout or images, or stop "
        "early (--train.patience 5)"
    )
    return [Diagnostic("overfitting", finding, advice)]


def _lagging(history: History, setting: Setting) -> list[Diagnostic]:
    """Whether training learns and validation is worse than guessing, as batch norm has not settled."""
    newest, steps = history[-1], len(history) * setting.steps
    if setting.momentum is None or steps * setting.momentum > SETTLED:
        return []
    learnt = newest["train_accuracy"] - setting.chance >= LEARNT * (1 - setting.chance)
    guessed = newest["val_loss"] > setting.uniform_loss
    if len(history) < LEARNT_BY[0] or not (learnt and guessed):
        return []
    finding = (
        f"batch norm lags: {newest['train_accuracy']:.1%} of the training images are right and "
        f"{newest['val_accuracy']:.1%} of validation, whose running mean and variance (momentum "
        f"{setting.momentum:g}) have not settled in {steps:.0f} steps"
    )
    return [Diagnostic("batch norm lags", finding, f"try {_settling(setting)}")]


def _unsteady(history: History, setting: Setting) -> list[Diagnostic]:
    """Whether validation jumps while training is smooth, in a network with batch norm.

    Evaluation takes running averages of mean and variance, training those of the batch (Ioffe 2017): where
    the weights change faster than the averages follow, another network is evaluated.
    """
    if setting.momentum is None:
        return []
    least, window, fall, stds = JUMPS
    rows = history[-window:]
    falls = {name: -np.diff([row[f"{name}_accuracy"] for row in rows]) for name in ("train", "val")}
    noise = stds * math.sqrt(0.25 / max(setting.val_images, 1))
    jumps = falls["val"][falls["val"] > max(fall, noise)]
    if len(rows) < window or len(jumps) < least or falls["train"].max() > SMOOTH:
        return []
    finding = (
        f"unsteady validation: in the last {counted(window, 'epoch')} its accuracy fell "
        f"{counted(len(jumps), 'time')}, by up to "
        f"{100 * jumps.max():.0f} points, while training stayed smooth: likely the running mean and variance "
        f"of batch norm (momentum {setting.momentum:g})"
    )
    lower = f"--train.lr {setting.config.lr / 10:.2g}"
    if setting.momentum < FAST:
        advice = f"try {_settling(setting)}, or {lower}"
    elif setting.config.ema is None:
        advice = f"try --train.ema 0.99, which averages them and the weights, or {lower}"
    else:
        advice = f"try {lower}, or a larger --train.batch_size"
    return [Diagnostic("unsteady validation", finding, advice)]


def _settling(setting: Setting) -> str:
    """What makes batch norm's running averages follow the weights."""
    if setting.momentum is not None and setting.momentum < FAST:
        return f"--model.batch_norm_momentum {FAST}, so that they follow the weights"
    return "a smaller --train.batch_size or more --epochs"


def _colour(values: NDArray[np.floating]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
