"""Whether one model is better than another: on the same images, pair by pair, class by class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.training_curves import TrainingCurves
from seewhy.data import ImageSet
from seewhy.errors import DataError
from seewhy.evaluation.counts import ClassCounts
from seewhy.evaluation.metrics import (
    Metrics,
    confusion,
    enough_for_means,
    labelled,
    loss_if_wrong,
    metrics,
)
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import FEWEST_FOR_SCORES, Interval, mean_with_t
from seewhy.evaluation.stats.over_classes import influences, smoothed
from seewhy.evaluation.stats.significance import (
    SIGNIFICANT,
    corrected_level,
    holm,
    images_needed,
    mcnemar,
    mcnemar_interval,
)
from seewhy.text import counted, visible


@dataclass(frozen=True)
class ClassDifference:
    """A class's recall by the first model less that by the second, with its exact p-value.

    `p` is corrected over the classes (Holm), and the interval with it: it holds 0 unless p is below 5%.
    """

    recall: Interval
    p: float

    @property
    def real(self) -> bool:
        return self.p < SIGNIFICANT


@dataclass(frozen=True, eq=False)
class ModelDifference:
    """What the first model has over the second, on the same images.

    `accuracy`, `macro_f1` first less second, above 0 where the first is better; `nll` too, below 0 where
    it is. `first_only` and `second_only` are the rows that one alone gets right, the most confident
    first. `p` is McNemar's, exact, corrected over all pairs of models (Holm), and the interval of `accuracy`
    with it: it holds 0 unless p is below 5%.
    """

    first: str
    second: str
    n: int
    accuracy: Interval
    macro_f1: Interval
    nll: Interval
    per_class: dict[str, ClassDifference]
    first_only: NDArray[np.int64]
    second_only: NDArray[np.int64]
    p: float

    @property
    def real(self) -> bool:
        """Whether chance alone is an unlikely cause."""
        return self.p < SIGNIFICANT

    @property
    def verdict(self) -> str:
        """Says in a sentence or two which is better, or that it cannot be told."""
        better, worse = self.first, self.second
        gain = self.accuracy
        if gain.value < 0:
            better, worse = worse, better
            gain = replace(gain, value=-gain.value, low=-gain.high, high=-gain.low)
        points = (
            f"{100 * gain.value:.1f} points more right "
            f"({100 * gain.low:.1f} to {100 * gain.high:.1f}), p = {self.p:.2g}"
        )
        if self.real:
            return f"{better} is better than {worse}: {points}. The difference is real."
        sentence = (
            f"{self.first} and {self.second} cannot be told apart on {counted(self.n, 'image')}"
        )
        if gain.value == 0:
            return f"{sentence}: they are equally often right."
        alone = len(self.first_only), len(self.second_only)
        level = corrected_level(mcnemar(*alone), self.p)
        needed = images_needed(gain.value, sum(alone) / self.n, level)
        return (
            f"{sentence}: {better} has {points}, which may be chance; about {_rounded(needed):,} would tell "
            "so small a difference."
        )

    def json_form(self) -> dict[str, Any]:
        """All of it, with the numbers of images that one alone gets right in place of their rows."""
        alone = {name: len(getattr(self, name)) for name in ("first_only", "second_only")}
        return {**vars(self), **alone, "real": self.real, "verdict": self.verdict}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models or more on the same images.

    `rows` (M, N) are the rows of each model's own predictions, and `answers` (M, N) what it said, by
    place in `classes`; `metrics` of these images alone, by name; `differences` of all pairs, in the
    order of the models.
    """

    split: str
    n: int
    classes: tuple[str, ...]
    rows: NDArray[np.int64]
    answers: NDArray[np.int64]
    metrics: dict[str, Metrics]
    differences: tuple[ModelDifference, ...]


def compare_predictions(
    predictions: dict[str, Predictions], hashes: Sequence[NDArray[np.bytes_]], split: str
) -> Comparison:
    """Compares models, by name, on the images that all of them have.

    `hashes` (N,) are the content of each model's images, in the order of its predictions; identical
    images count once. Classes are aligned by name. Raises `DataError` where the classes differ, or no
    image is common.
    """
    assert len(predictions) == len(hashes) >= 2
    names = list(predictions)
    _require_same_classes(predictions)
    classes = predictions[names[0]].classes
    sets = [_in_order(found, classes) for found in predictions.values()]
    rows = common_rows([_labelled_hashes(p, h) for p, h in zip(sets, hashes, strict=True)])
    if rows.shape[1] == 0:
        raise DataError(
            f"{' and '.join(names)} have no labelled image in common in {split}: they need the same "
            "--data, split alike (one --data.split_seed)"
        )
    paired = [p.take(own) for p, own in zip(sets, rows, strict=True)]
    labels = paired[0].labels
    for name, other in zip(names, paired, strict=True):
        if not np.array_equal(other.labels, labels):  # type: ignore[arg-type]
            raise DataError(f"{names[0]} and {name} have other labels for the same images")
    found = [
        _difference(names[a], names[b], paired[a], paired[b])
        for a, b in combinations(range(len(names)), 2)
    ]
    corrected = holm([difference.p for difference in found])
    return Comparison(
        split=split,
        n=rows.shape[1],
        classes=classes,
        rows=rows,
        answers=np.stack([p.predicted for p in paired]),
        metrics={n: metrics(p, split) for n, p in zip(names, paired, strict=True)},
        differences=tuple(
            replace(
                d,
                p=p,
                accuracy=mcnemar_interval(
                    len(d.first_only), len(d.second_only), d.n, corrected_level(d.p, p)
                ),
            )
            for d, p in zip(found, corrected, strict=True)
        ),
    )


def common_rows(hashes: Sequence[NDArray[np.bytes_]]) -> NDArray[np.int64]:
    """The rows (M, N) at which M sets have the same image, in the order of the first; b"" is none."""
    firsts = [dict(zip(reversed(h.tolist()), reversed(range(len(h))), strict=True)) for h in hashes]
    shared = set.intersection(*(set(first) for first in firsts)) - {b""}
    order = sorted(shared, key=lambda digest: firsts[0][digest])
    rows = [[first[digest] for digest in order] for first in firsts]
    return np.array(rows, np.int64).reshape(len(hashes), -1)


def _difference(first: str, second: str, a: Predictions, b: Predictions) -> ModelDifference:
    """The difference of two models on the same images; its p-value is not yet corrected."""
    assert a.labels is not None
    labels = a.labels
    right = [p.predicted == labels for p in (a, b)]
    alone = [right[0] & ~right[1], right[1] & ~right[0]]
    first_only, second_only = (_surest(p, one) for p, one in zip((a, b), alone, strict=True))
    return ModelDifference(
        first=first,
        second=second,
        n=len(labels),
        accuracy=mcnemar_interval(len(first_only), len(second_only), len(labels)),
        macro_f1=_macro_f1_difference(a, b),
        nll=_log_loss_difference(a, b),
        per_class=_class_differences(a.classes, labels, alone),
        first_only=first_only,
        second_only=second_only,
        p=mcnemar(len(first_only), len(second_only)),
    )


def _macro_f1_difference(a: Predictions, b: Predictions) -> Interval:
    """The difference in macro F1, by the influence of each image; for the variance two are added."""
    labels, tables = a.labels, [confusion(p) for p in (a, b)]
    assert labels is not None
    counts = [ClassCounts.of(table) for table in tables]
    value = float(counts[0].macro(counts[0].f1()) - counts[1].macro(counts[1].f1()))
    present = counts[0].support > 0
    if not enough_for_means(counts[0].support):
        return Interval.without(value)
    first, second = (influences(smoothed(table), present)["macro_f1"] for table in tables)
    apart = first.at(labels, a.predicted) - second.at(labels, b.predicted)
    one_more = first.diagonal[present].mean(), -second.diagonal[present].mean()
    return mean_with_t(value + apart - apart.mean(), np.add(value, one_more))


def _log_loss_difference(a: Predictions, b: Predictions) -> Interval:
    """The difference in log loss; for the variance two images are added, each wrong by one model alone."""
    assert a.labels is not None
    rows, scores = np.arange(len(a)), [p.log_probabilities() for p in (a, b)]
    losses = [-score[rows, a.labels] for score in scores]
    gained = losses[0] - losses[1]
    if len(a) < FEWEST_FOR_SCORES:
        return Interval.without(float(gained.mean()))
    one_more = [loss_if_wrong(score) for score in scores]
    return mean_with_t(gained, (one_more[0] - losses[1].mean(), losses[0].mean() - one_more[1]))


def _class_differences(
    classes: tuple[str, ...], labels: NDArray[np.int64], alone: Sequence[NDArray[np.bool_]]
) -> dict[str, ClassDifference]:
    """The differences in recall of the classes that have images."""
    support = np.bincount(labels, minlength=len(classes))
    present = np.flatnonzero(support)
    first, second = (np.bincount(labels[one], minlength=len(classes)).tolist() for one in alone)
    ps = [mcnemar(first[k], second[k]) for k in present]
    return {
        classes[k]: ClassDifference(
            mcnemar_interval(first[k], second[k], int(support[k]), corrected_level(p, corrected)),
            corrected,
        )
        for k, p, corrected in zip(present, ps, holm(ps), strict=True)
    }


def _surest(predictions: Predictions, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(-predictions.confidence()[rows], kind="stable")]


def _in_order(predictions: Predictions, classes: tuple[str, ...]) -> Predictions:
    """The same predictions, with the classes in this order."""
    order = [predictions.classes.index(name) for name in classes]
    labels = predictions.labels
    return replace(
        predictions,
        logits=predictions.logits[:, order],
        labels=None if labels is None else np.where(labels >= 0, np.argsort(order)[labels], -1),
        classes=classes,
    )


def _labelled_hashes(predictions: Predictions, hashes: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """The hashes, empty where an image has no label or could not be read."""
    labelled(predictions)
    assert predictions.labels is not None
    counts = (predictions.labels >= 0) & (predictions.predicted >= 0)
    return np.where(counts, hashes, b"")


def _require_same_classes(predictions: dict[str, Predictions]) -> None:
    (first, reference), *others = predictions.items()
    for name, other in others:
        apart = sorted(set(reference.classes) ^ set(other.classes))
        if apart:
            shown = ", ".join(visible(c) for c in apart[:10])
            raise DataError(
                f"{first} and {name} do not know the same classes ({shown}): only models of the same "
                "classes can be compared"
            )


def _rounded(count: float) -> int:
    """Two digits of a number, upwards: it is an estimate."""
    step = 10 ** max(0, len(str(int(count))) - 2)
    return int(-(-count // step) * step)


@dataclass(frozen=True)
class Latency:
    """Milliseconds to answer one image: the median, and the quartiles about it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class ComparedModel:
    """A model that is compared: what it weighs, how fast it answers, how it was trained.

    `gap` is its accuracy on training images, seen as in use, less that on the split; None where the
    split is test or train. `curves` and `history` are there for a run directory.
    """

    name: str
    megabytes: float
    parameters: int
    latency: Latency
    gap: Interval | None
    curves: TrainingCurves | None
    history: list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Models compared on one split, with what they cost. `images` are those compared; None of test."""

    contenders: tuple[ComparedModel, ...]
    comparison: Comparison
    images: ImageSet | None

    def json_form(self) -> dict[str, Any]:
        """The models with what they cost and their metrics, and the differences of all pairs."""
        metrics = self.comparison.metrics
        return {
            "split": self.comparison.split,
            "n": self.comparison.n,
            "models": [{**vars(one), "metrics": metrics[one.name]} for one in self.contenders],
            "differences": self.comparison.differences,
        }
