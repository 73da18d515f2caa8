"""Intervals of the metrics that follow from the whole confusion matrix: means over classes, correlation.

Each metric's sampling variance comes from its influence function, the derivative of the metric by the share
of each cell (the delta method). Two right and two wrong images, spread over the classes that have images,
are added for the variance alone, so that it is above 0 for a perfect and for a collapsed model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.counts import ClassCounts, ratio
from seewhy.evaluation.stats.intervals import Floats, effective_bounds

RATES = ("precision", "recall", "f1")
ADDED = 2.0  # right images, and as many wrong ones


@dataclass(frozen=True, eq=False)
class _Influence:
    """The derivative of a metric by the share of the cell (true i, predicted j), up to a constant.

    It is row[i] + column[j], and diagonal[i] more where i is j; each (..., K).
    """

    row: Floats
    column: Floats
    diagonal: Floats

    def __sub__(self, other: "_Influence") -> "_Influence":
        return _Influence(
            self.row - other.row, self.column - other.column, self.diagonal - other.diagonal
        )

    def at(self, true: NDArray[np.int64], predicted: NDArray[np.int64]) -> Floats:
        """The influence of images, (N,), of a single confusion matrix."""
        own = true == predicted
        return self.row[true] + self.column[predicted] + np.where(own, self.diagonal[true], 0)

    def variance(self, shares: Floats) -> Floats:
        """The variance of the influence of one image, by the shares (..., K, K) of the cells."""
        table = self.row[..., :, None] + self.column[..., None, :]
        diagonal = np.arange(shares.shape[-1])
        table[..., diagonal, diagonal] += self.diagonal
        mean = (shares * table).sum((-1, -2))
        return np.asarray((shares * table**2).sum((-1, -2)) - mean**2)


def over_classes(counts: ClassCounts) -> dict[str, Floats]:
    """The metrics over all classes that follow from counts (..., K), each (...)."""
    rates = dict(zip(RATES, (counts.precision(), counts.recall(), counts.f1()), strict=True))
    return {
        "balanced_accuracy": counts.macro(rates["recall"]),
        "mcc": counts.mcc(),
        **{f"macro_{name}": counts.macro(rate) for name, rate in rates.items()},
        **{f"weighted_{name}": counts.weighted(rate) for name, rate in rates.items()},
    }


def bounds_over_classes(confusion: NDArray[np.int64]) -> dict[str, tuple[Floats, Floats]]:
    """The 95% bounds of each of `over_classes`, of confusion matrices (..., K, K) with rows true."""
    n = confusion.sum((-1, -2))
    shares = smoothed(confusion)
    values, middles = over_classes(_counts(confusion)), over_classes(_counts(shares))
    bounds = {}
    for name, influence in influences(shares, confusion.sum(-1) > 0).items():
        value, middle, variance = values[name], middles[name], influence.variance(shares) / n
        if name == "mcc":  # of [-1, 1]
            ends = effective_bounds((value + 1) / 2, variance / 4, (middle + 1) / 2)
            bounds[name] = (2 * ends[0] - 1, 2 * ends[1] - 1)
        else:
            bounds[name] = effective_bounds(value, variance, middle)
    return bounds


def smoothed(confusion: NDArray[np.int64]) -> Floats:
    """The shares of the cells, (..., K, K), with the images added that the module names."""
    k = confusion.shape[-1]
    present = confusion.sum(-1) > 0
    each = ADDED * present / present.sum(-1)[..., None]
    wrong = (1 - np.eye(k)) / max(1, k - 1)
    table = confusion + each[..., :, None] * (np.eye(k) + wrong)
    return np.asarray(table / table.sum((-1, -2))[..., None, None])


def influences(shares: Floats, present: NDArray[np.bool_]) -> dict[str, _Influence]:
    """The influence functions of `over_classes` at these shares; `present` (..., K) classes count."""
    counts = _counts(shares)
    right, support, predicted = (
        np.asarray(part, np.float64) for part in (counts.right, counts.support, counts.predicted)
    )
    precision, recall, f1 = counts.precision(), counts.recall(), counts.f1()
    part = present / present.sum(-1)[..., None]
    by_support, by_predicted = ratio(part, support), ratio(part, predicted)
    by_both = ratio(part, support + predicted)
    own, both = ratio(support, predicted), ratio(support, support + predicted)
    nothing = np.zeros_like(support)
    macro_recall = _Influence(-recall * by_support, nothing, by_support)
    agreement = right.sum(-1)[..., None] - (support * predicted).sum(-1)[..., None]
    true_spread, predicted_spread = (
        np.maximum(1 - (s**2).sum(-1)[..., None], 0) for s in (support, predicted)
    )
    root = np.sqrt(true_spread * predicted_spread)
    mcc = ratio(agreement, root)
    return {
        "balanced_accuracy": macro_recall,
        "macro_recall": macro_recall,
        "macro_precision": _Influence(nothing, -precision * by_predicted, by_predicted),
        "macro_f1": _Influence(-f1 * by_both, -f1 * by_both, 2 * by_both),
        "weighted_recall": _Influence(nothing, nothing, np.ones_like(support)),
        "weighted_precision": _Influence(precision, -precision * own, own),
        "weighted_f1": _Influence(f1 - f1 * both, -f1 * both, 2 * both),
        "mcc": _Influence(
            ratio(mcc * support, true_spread) - ratio(predicted, root),
            ratio(mcc * predicted, predicted_spread) - ratio(support, root),
            ratio(np.ones_like(support), root),
        ),
    }


def _counts(table: NDArray[np.generic]) -> ClassCounts:
    """The counts of confusion matrices (..., K, K), of images or of shares."""
    numbers = np.asarray(table)
    right = np.diagonal(numbers, axis1=-2, axis2=-1)
    return ClassCounts(right, numbers.sum(-1), numbers.sum(-2))
