"""Every metric of a classifier, as a pure function of its predictions.

Only images with a label count. A class without images has no rate: its own metrics
are None, and it is left out of balanced accuracy, of the macro means and of the ROC area.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import DataError, UsageError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.counts import ClassCounts, ratio
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import areas
from seewhy.evaluation.stats.bootstrap import AreaIntervals, area_intervals, ece_interval
from seewhy.evaluation.stats.intervals import (
    FEWEST_FOR_MEANS,
    FEWEST_FOR_SCORES,
    FEWEST_OF_A_CLASS,
    ONE_CLASS,
    Interval,
    exact,
    exact_bounds,
    mean_with_t,
)
from seewhy.evaluation.stats.over_classes import RATES, bounds_over_classes, over_classes
from seewhy.text import counted, no_such

BINS = 15  # of the calibration error, as in Guo et al. 2017


@dataclass(frozen=True)
class ClassMetrics:
    """The metrics of one class; all but `support` are NaN when it has no image.

    `accuracy` is the share of the class's images that are predicted correctly, which is `recall` too.
    `auroc` and `average_precision` are those of the class against the rest. `intervals` has those of
    precision, recall, f1 and the two areas, which need five images of the class and a hundred in all.
    """

    precision: float
    recall: float
    f1: float
    support: int
    accuracy: float
    auroc: float
    average_precision: float
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Averages:
    """Means of the classes' metrics: macro counts each class once, weighted each image once."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy: images, mean confidence and accuracy of each bin.

    `edges` (B + 1,), from 0 to 1; `counts`, `confidence`, `accuracy` and the ends of its exact 95%
    interval, `low` and `high`, (B,), all but `counts` NaN in empty bins. Early versions stored no intervals:
    these are then empty.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def ece(self) -> float:
        """The mean distance between confidence and accuracy over all images, in [0, 1]."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of one split. Higher is better, except for `nll` and `ece`; NaN means undefined.

    `top5` is None below six classes. `confusion` (K, K) counts images, rows are true classes,
    columns predicted ones. `nll` is the mean log loss in nats; `mcc` as in `ClassCounts.mcc`, but NaN where
    all images are of one class; `auroc` and `average_precision` are means over the classes, as in
    `roc_area`. `intervals` has the 95% intervals of the metrics beside accuracy, by name; `ece` is that of
    `reliability`, in [0, 1]. Rates have an interval for any n; means over classes and `mcc` from 30 images,
    `nll`, `ece` and the areas from 100; what is a mean over classes has none where a class has fewer than 5
    images. `reliability` is not stored in metrics.json: None where they were read from there.
    """

    split: str
    n: int
    accuracy: Interval
    balanced_accuracy: float
    top5: float | None
    macro: Averages
    weighted: Averages
    per_class: dict[str, ClassMetrics]
    confusion: NDArray[np.int64]
    classes: tuple[str, ...]
    nll: float
    ece: float
    auroc: float
    mcc: float
    average_precision: float
    intervals: dict[str, Interval]
    reliability: Reliability | None = None

    def json_form(self) -> dict[str, Any]:
        """All but the bins, under the names of `seewhy evaluate --json`; `diagnostics` if it collapsed."""
        kept = {name: value for name, value in vars(self).items() if name != "reliability"}
        found = collapse(self.confusion, self.classes)
        return {**kept, "diagnostics": found} if found else kept


def metrics(predictions: Predictions, split: str) -> Metrics:
    """All metrics of a split. Raises `DataError` when no image has a label, or a logit is NaN or infinite.

    The predictions' temperature changes `nll`, `ece` and the areas alone.
    """
    kept = labelled(predictions)
    if bad := int((~np.isfinite(kept.logits)).any(1).sum()):
        raise DataError(
            f"logits of {counted(bad, 'image')} are NaN or infinite: leave the images out, or name them in "
            "`errors`"
        )
    labels, table = _labels(kept), confusion(kept)
    by_confidence = reliability(kept.confidence(), kept.predicted == labels)
    areas_of = area_intervals(
        kept.log_probabilities(), labels[:, None] == np.arange(len(kept.classes))
    )
    top5 = None if len(kept.classes) < 6 else top_k_accuracy(kept, 5)
    accuracy_interval = exact(int(np.trace(table)), len(kept))
    intervals = {
        **_means_over_classes(table),
        "weighted_recall": accuracy_interval,  # the same number
        "nll": log_loss_interval(kept),
        "ece": calibration_interval(kept, by_confidence),
        "auroc": areas_of.mean_auroc,
        "average_precision": areas_of.mean_average_precision,
    }
    if top5 is not None:
        intervals["top5"] = exact(round(top5 * len(kept)), len(kept))
    return Metrics(
        split=split,
        n=len(kept),
        accuracy=accuracy_interval,
        balanced_accuracy=intervals["balanced_accuracy"].value,
        top5=top5,
        macro=Averages(*(intervals[f"macro_{rate}"].value for rate in RATES)),
        weighted=Averages(*(intervals[f"weighted_{rate}"].value for rate in RATES)),
        per_class=_class_metrics(kept.classes, ClassCounts.of(table), areas_of),
        confusion=table,
        classes=kept.classes,
        nll=intervals["nll"].value,
        ece=by_confidence.ece,
        auroc=areas_of.mean_auroc.value,
        mcc=intervals["mcc"].value,
        average_precision=areas_of.mean_average_precision.value,
        intervals=intervals,
        reliability=by_confidence,
    )


def _means_over_classes(table: NDArray[np.int64]) -> dict[str, Interval]:
    """The metrics of `over_classes`, without intervals where there are too few images."""
    values = {name: float(value) for name, value in over_classes(ClassCounts.of(table)).items()}
    means = {name: Interval.without(value) for name, value in values.items()}
    support = table.sum(1)
    if enough_for_means(support):
        bounds = bounds_over_classes(table)
        means = {
            name: Interval(value, float(bounds[name][0]), float(bounds[name][1]))
            for name, value in values.items()
        }
    if np.count_nonzero(support) == 1:  # nothing to correlate with
        means["mcc"] = Interval.without(nan, ONE_CLASS)
    return means


def enough_for_means(support: NDArray[np.int64]) -> bool:
    """Whether means over the classes that have images, (K,) each, have an interval."""
    smallest = support[support > 0].min()
    return bool(support.sum() >= FEWEST_FOR_MEANS and smallest >= FEWEST_OF_A_CLASS)


def log_loss_interval(predictions: Predictions) -> Interval:
    """The log loss with its interval; for the variance a mistake of the usual loss is added."""
    labels, scores = _labels(predictions), predictions.log_probabilities()
    losses = -scores[np.arange(len(labels)), labels]
    if len(labels) < FEWEST_FOR_SCORES:
        return Interval.without(float(losses.mean()))
    interval = mean_with_t(losses, loss_if_wrong(scores))
    return replace(interval, low=max(interval.low, 0.0))  # no log loss is negative


def calibration_interval(predictions: Predictions, bins: Reliability) -> Interval:
    """The expected calibration error of `reliability` with its interval."""
    confidence, correct = predictions.confidence(), predictions.predicted == _labels(predictions)
    return ece_interval(bins.ece, correct, confidence, confidence_bins(confidence))


def loss_if_wrong(scores: NDArray[np.float64]) -> float:
    """The mean log loss if the second likeliest class were the true one, by log probabilities (N, K)."""
    return float(-np.partition(scores, -2, axis=1)[:, -2].mean())


def _class_metrics(
    classes: tuple[str, ...], counts: ClassCounts, areas_of: AreaIntervals
) -> dict[str, ClassMetrics]:
    """The metrics of each class with their intervals."""
    by_class = {}
    for k, name in enumerate(classes):
        right, support = int(counts.right[k]), int(counts.support[k])
        predicted = int(counts.predicted[k])
        precision = exact(right, predicted if support else 0)
        if support and not predicted:  # 0, as in scikit-learn
            precision = Interval.without(0.0, "never predicted")
        intervals = {
            "precision": precision,
            "recall": exact(right, support),
            "f1": _f1(right, support, predicted),
            "auroc": areas_of.auroc[k],
            "average_precision": areas_of.average_precision[k],
        }
        values = {name: interval.value for name, interval in intervals.items()}
        by_class[name] = ClassMetrics(
            **values, support=support, accuracy=values["recall"], intervals=intervals
        )
    return by_class


def _f1(right: int, support: int, predicted: int) -> Interval:
    """F1 rises with the share of `right` among the images that are of the class or given it: a plain rate."""
    share = exact(right, support + predicted - right if support else 0)
    low, value, high = (2 * x / (1 + x) for x in (share.low, share.value, share.high))
    return Interval(value, low, high, share.reason)


def labelled(predictions: Predictions) -> Predictions:
    """The images that have a label and could be read. Raises `DataError` when there is none."""
    keep = np.zeros(len(predictions), bool)
    if predictions.labels is not None:
        keep = (predictions.labels >= 0) & (predictions.predicted >= 0)
    if not keep.any():
        raise DataError(
            "no image has a label, so there is nothing to measure: give labelled images"
        )
    return predictions if keep.all() else predictions.take(keep)


def accuracy(predictions: Predictions) -> float:
    """The share of images whose predicted class is the true one."""
    return float((predictions.predicted == predictions.labels).mean())


def balanced_accuracy(predictions: Predictions) -> float:
    """The mean recall of the classes that have images."""
    counts = ClassCounts.of(confusion(predictions))
    return float(counts.macro(counts.recall()))


def top_k_accuracy(predictions: Predictions, k: int) -> float:
    """The part of the images whose class is among the k largest logits (of equals, the first)."""
    logits, labels = predictions.logits, _labels(predictions)
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1])[None] < labels[:, None]
    ahead = (logits > own) | ((logits == own) & earlier)
    return float((ahead.sum(axis=1) < k).mean())


def log_loss(predictions: Predictions) -> float:
    """The mean of -log(probability of the true class), in nats; less is better."""
    labels = _labels(predictions)
    return float(-predictions.log_probabilities()[np.arange(len(labels)), labels].mean())


def macro_f1(predictions: Predictions) -> float:
    """The mean F1 of the classes that have images."""
    counts = ClassCounts.of(confusion(predictions))
    return float(counts.macro(counts.f1()))


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """How many images of each true class (row) were given each class (column), (K, K)."""
    k = len(predictions.classes)
    cells = _labels(predictions) * k + predictions.predicted
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each confidence, (N,): 15 equal ones, (low, high] (Guo et al. 2017)."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Reliability:
    """Sorts images by their top confidence into bins."""
    bins = confidence_bins(confidence)
    counts = np.bincount(bins, minlength=BINS)
    sure, right = (np.bincount(bins, values, BINS) for values in (confidence, correct))
    low, high = (
        ratio(ends, counts > 0, nan) for ends in exact_bounds(right, np.maximum(counts, 1))
    )
    return Reliability(
        edges=np.linspace(0, 1, BINS + 1),
        counts=counts,
        confidence=ratio(sure, counts, nan),
        accuracy=ratio(right, counts, nan),
        low=low,
        high=high,
    )


def roc_area(predictions: Predictions) -> float:
    """The area under the ROC curve, one class against the rest, mean over the classes.

    Only classes that have images count. 0.5 is chance, 1 is perfect ranking. NaN when fewer than
    two classes have images.
    """
    return _mean(areas(predictions.log_probabilities(), _labels(predictions))[0])


METRICS: dict[str, Callable[[Predictions], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "loss": log_loss,
    "macro_f1": macro_f1,
    "top5": lambda predictions: top_k_accuracy(predictions, 5),
    "ece": lambda p: reliability(p.confidence(), p.predicted == p.labels).ece,
    "auroc": roc_area,
}


def score(name: str, predictions: Predictions) -> float:
    """One metric of `METRICS`, computed alone: early stopping and the choice of the best epoch use it.

    Raises `UsageError` as `require_metric` does, and `DataError` when no image has a label.
    """
    require_metric(name, predictions.classes)
    return METRICS[name](labelled(predictions))


def require_metric(name: str, classes: Sequence[str]) -> None:
    """Raises `UsageError` for an unknown metric, or for top5 below six classes."""
    if name not in METRICS:
        raise UsageError(no_such("metric", name, METRICS))
    if name == "top5" and len(classes) < 6:
        raise UsageError("top5 needs at least six classes: choose another metric")


def by_name(stored: Mapping[str, Any]) -> dict[str, float]:
    """The stored metrics of a split, under their names in `METRICS`; without those that are undefined."""
    named = {
        **stored,
        "accuracy": stored["accuracy"]["value"],
        "macro_f1": stored["macro"]["f1"],
        "loss": stored["nll"],
    }
    return {name: named[name] for name in METRICS if named.get(name) is not None}


def value_of(stored: Mapping[str, Any], name: str) -> float:
    """One of `by_name`. Raises `DataError` if the images of the split do not define it."""
    values = by_name(stored)
    if name not in values:
        raise DataError(
            f"{name} is not defined by the images of {stored['split']}, as of a single class: add images of "
            f"others, or choose another metric: {', '.join(values)}"
        )
    return values[name]


def _labels(predictions: Predictions) -> NDArray[np.int64]:
    assert predictions.labels is not None
    return predictions.labels


def _mean(values: NDArray[np.float64]) -> float:
    """The mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else nan
