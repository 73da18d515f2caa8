"""Every figure of a classifier, as a pure function of its predictions.

Only pictures with a label count. A class of which there is no picture has no rate: its own figures
are None, and it is left out of balanced accuracy, of the macro means and of the ROC area.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import DataError, UsageError
from seewhy.evaluation.intervals import Interval, wilson
from seewhy.evaluation.predictions import Predictions

BINS = 15  # of the calibration error, as in Guo et al. 2017


@dataclass(frozen=True)
class ClassFigures:
    """How one class fared; all but `support` are NaN when it has no picture.

    `accuracy` is the part of the class's pictures that were recognised, with its interval, and
    `recall` the same figure under its other name.
    """

    precision: float
    recall: float
    f1: float
    support: int
    accuracy: Interval


@dataclass(frozen=True)
class Averages:
    """Means of the classes' figures: macro counts each class once, weighted each picture once."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against truth: pictures, mean confidence and accuracy of each bin.

    `edges` (B + 1,), from 0 to 1; `counts`, `confidence`, `accuracy` (B,), the last two NaN in
    empty bins.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """The mean distance between confidence and accuracy over all pictures, in [0, 1]."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


@dataclass(frozen=True, eq=False)
class Metrics:
    """The figures of one split. More is better, save for `nll` and `ece`; NaN means undefined.

    `top5` is None below six classes. `confusion` (K, K) counts pictures, rows are true classes,
    columns predicted ones. `nll` is the mean log loss in nats; `auroc` as in `roc_area`.
    """

    split: str
    n: int
    accuracy: Interval
    balanced_accuracy: float
    top5: float | None
    macro: Averages
    weighted: Averages
    per_class: dict[str, ClassFigures]
    confusion: NDArray[np.int64]
    classes: tuple[str, ...]
    nll: float
    auroc: float
    reliability: Reliability

    @property
    def ece(self) -> float:
        """The expected calibration error, in [0, 1]: that of `reliability`."""
        return self.reliability.ece

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of `seewhy evaluate --json`; what is undefined is None."""
        return {
            "split": self.split,
            "n": self.n,
            "accuracy": _interval_json(self.accuracy),
            "balanced_accuracy": _number(self.balanced_accuracy),
            "top5": None if self.top5 is None else _number(self.top5),
            "macro": _averages_json(self.macro),
            "weighted": _averages_json(self.weighted),
            "per_class": {
                name: {
                    "precision": _number(figures.precision),
                    "recall": _number(figures.recall),
                    "f1": _number(figures.f1),
                    "support": figures.support,
                    "accuracy": _number(figures.accuracy.value),
                }
                for name, figures in self.per_class.items()
            },
            "confusion": self.confusion.tolist(),
            "classes": list(self.classes),
            "nll": _number(self.nll),
            "ece": _number(self.ece),
            "auroc": _number(self.auroc),
        }


def metrics(predictions: Predictions, split: str) -> Metrics:
    """All figures of a split. Raises `DataError` when no picture has a label.

    The predictions' temperature changes `nll` and `ece` alone, and in rare ties `auroc`.
    """
    kept = labelled(predictions)
    labels, classes = _labels(kept), kept.classes
    table = confusion(kept)
    precision, recall, f1 = _rates(kept)
    support = table.sum(axis=1)
    present = support > 0
    return Metrics(
        split=split,
        n=len(kept),
        accuracy=wilson(int(np.trace(table)), len(kept)),
        balanced_accuracy=float(recall[present].mean()),
        top5=None if len(classes) < 6 else top_k_accuracy(kept, 5),
        macro=Averages(*(float(rate[present].mean()) for rate in (precision, recall, f1))),
        weighted=Averages(
            *(
                float(np.average(rate[present], weights=support[present]))
                for rate in (precision, recall, f1)
            )
        ),
        per_class={
            name: ClassFigures(
                float(precision[k]) if present[k] else nan,
                float(recall[k]) if present[k] else nan,
                float(f1[k]) if present[k] else nan,
                int(support[k]),
                wilson(int(table[k, k]), int(support[k])),
            )
            for k, name in enumerate(classes)
        },
        confusion=table,
        classes=classes,
        nll=log_loss(kept),
        auroc=roc_area(kept.probabilities(), labels),
        reliability=reliability(kept.confidence(), kept.predicted == labels),
    )


def labelled(predictions: Predictions) -> Predictions:
    """The pictures that have a label and could be read. Raises `DataError` when there is none."""
    keep = np.zeros(len(predictions), bool)
    if predictions.labels is not None:
        keep = (predictions.labels >= 0) & (predictions.predicted >= 0)
    if not keep.any():
        raise DataError(
            "no picture has a label, so there is nothing to measure: give labelled pictures"
        )
    return predictions if keep.all() else predictions.take(keep)


def accuracy(predictions: Predictions) -> float:
    """The part of the pictures whose predicted class is theirs."""
    return float((predictions.predicted == predictions.labels).mean())


def balanced_accuracy(predictions: Predictions) -> float:
    """The mean recall of the classes that have pictures."""
    labels = _labels(predictions)
    support = np.bincount(labels, minlength=len(predictions.classes))
    right = np.bincount(labels[predictions.predicted == labels], minlength=len(predictions.classes))
    return float((right[support > 0] / support[support > 0]).mean())


def top_k_accuracy(predictions: Predictions, k: int) -> float:
    """The part of the pictures whose class is among the k largest logits (of equals, the first)."""
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
    """The mean F1 of the classes that have pictures."""
    f1 = _rates(predictions)[2]
    return float(f1[np.bincount(_labels(predictions), minlength=len(f1)) > 0].mean())


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """How many pictures of each true class (row) were given each class (column), (K, K)."""
    from sklearn.metrics import confusion_matrix

    names = np.arange(len(predictions.classes))
    table = confusion_matrix(_labels(predictions), predictions.predicted, labels=names)
    return np.asarray(table, np.int64)


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Reliability:
    """Sorts pictures by top confidence into 15 equal bins (low, high] (Guo et al. 2017)."""
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, values, BINS) for values in (confidence, correct))
    means = (np.divide(s, counts, out=np.full(BINS, nan), where=counts > 0) for s in sums)
    return Reliability(edges, counts, *means)


def roc_area(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The area under the ROC curve, one class against the rest, mean over the classes.

    Only classes that have pictures count. 0.5 is chance, 1 is perfect ranking. NaN when fewer than
    two classes have pictures.
    """
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return nan
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


Mode = Literal["max", "min"]

METRICS: dict[str, tuple[Callable[[Predictions], float], Mode]] = {
    "accuracy": (accuracy, "max"),
    "balanced_accuracy": (balanced_accuracy, "max"),
    "loss": (log_loss, "min"),
    "macro_f1": (macro_f1, "max"),
    "top5": (lambda predictions: top_k_accuracy(predictions, 5), "max"),
    "ece": (lambda p: reliability(p.confidence(), p.predicted == p.labels).ece, "min"),
    "auroc": (
        lambda predictions: roc_area(predictions.probabilities(), _labels(predictions)),
        "max",
    ),
}


def score(name: str, predictions: Predictions) -> float:
    """One figure of `METRICS`, computed alone: what early stopping and the choice of the best read.

    Raises `UsageError` for a name that is not there, or for top5 below six classes, and `DataError`
    when no picture has a label.
    """
    if name not in METRICS:
        raise UsageError(f"there is no metric {name!r}: choose one of {', '.join(METRICS)}")
    if name == "top5" and len(predictions.classes) < 6:
        raise UsageError("top5 says nothing below six classes: choose another metric")
    return METRICS[name][0](labelled(predictions))


def _labels(predictions: Predictions) -> NDArray[np.int64]:
    assert predictions.labels is not None
    return predictions.labels


def _rates(predictions: Predictions) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1 by class, each (K,); 0 where the divisor is."""
    from sklearn.metrics import precision_recall_fscore_support

    names = np.arange(len(predictions.classes))
    rates = precision_recall_fscore_support(
        _labels(predictions), predictions.predicted, labels=names, zero_division=0
    )
    return tuple(np.asarray(rate, np.float64) for rate in rates[:3])


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _interval_json(interval: Interval) -> dict[str, float | None]:
    return {name: _number(getattr(interval, name)) for name in ("value", "low", "high")}


def _averages_json(averages: Averages) -> dict[str, float | None]:
    return {name: _number(getattr(averages, name)) for name in ("precision", "recall", "f1")}
