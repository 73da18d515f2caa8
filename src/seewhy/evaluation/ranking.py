"""How well a class's probability ranks images: areas and curves, one class against the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.counts import ratio
from seewhy.evaluation.predictions import Predictions

Floats = NDArray[np.float64]

POINTS = 200  # of a curve as it is kept


@dataclass(frozen=True, eq=False)
class Ranked:
    """Images by falling score of one class.

    `order` (N,) the images; `own` (N,) whether each, in that order, is of the class; `before`, `upto`
    (P,) for each image of the class how many have a higher score, and how many the same or a higher.
    """

    order: NDArray[np.int64]
    own: NDArray[np.bool_]
    before: NDArray[np.int64]
    upto: NDArray[np.int64]

    @staticmethod
    def of(scores: Floats, own: NDArray[np.bool_]) -> "Ranked":
        order = np.argsort(-scores, kind="stable")
        falling, members = -scores[order], own[order]
        scored = falling[members]
        before = np.searchsorted(falling, scored, "left")
        return Ranked(order, members, before, np.searchsorted(falling, scored, "right"))

    def areas(self, weights: Floats) -> Floats:
        """The areas under the ROC and the precision-recall curve, (2, B), by weights (N, B).

        Of equal scores half are counted as beaten; the second area is the average precision, the sum
        of precision times gained recall. NaN where no weight, or all of it, is on the class.
        """
        drawn = weights[self.order]
        own = drawn[self.own]
        above = _running_sums(drawn)
        above_own = _running_sums(np.where(self.own[:, None], drawn, 0))
        others = above - above_own
        positive, negative = above_own[-1], others[-1]
        beaten = negative - (others[self.before] + others[self.upto]) / 2
        precision = ratio(above_own[self.upto], above[self.upto])
        return np.stack(
            [
                ratio((own * beaten).sum(0), positive * negative, np.nan),
                ratio((own * precision).sum(0), positive * (negative > 0), np.nan),
            ]
        )


def ranked_classes(scores: Floats, labels: NDArray[np.int64]) -> list[Ranked]:
    """The ranking by each class's score; `scores` (N, K), more is more likely."""
    return [Ranked.of(scores[:, k], labels == k) for k in range(scores.shape[1])]


def areas(scores: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """ROC area and average precision of each class against the rest, (K,) and (K,).

    0.5 is chance for the first and the class's share for the second, 1 perfect ranking for both. NaN for
    a class that no image has, or all have.
    """
    once = np.ones((len(labels), 1))
    both_areas = np.array([order.areas(once)[:, 0] for order in ranked_classes(scores, labels)])
    return both_areas[:, 0], both_areas[:, 1]


@dataclass(frozen=True, eq=False)
class ClassCurves:
    """ROC and precision-recall curves of one class, thinned to at most 200 points each.

    `fpr`, `tpr` rise from (0, 0) to (1, 1); `recall` rises with `precision` beside it. All empty for a
    class that no image has, or all have.
    """

    fpr: Floats
    tpr: Floats
    recall: Floats
    precision: Floats


def class_curves(predictions: Predictions) -> dict[str, ClassCurves]:
    """The curves of each class against the rest, by name. Every image must have a label."""
    assert predictions.labels is not None
    scores = predictions.log_probabilities()
    return {
        name: curves(scores[:, k], predictions.labels == k)
        for k, name in enumerate(predictions.classes)
    }


def curves(scores: Floats, own: NDArray[np.bool_]) -> ClassCurves:
    """The curves of images that are of a class, or are not, by a score (N,)."""
    if own.all() or not own.any():
        return ClassCurves(*(np.empty(0) for _ in range(4)))
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf))  # of runs of equal scores
    hits = np.cumsum(own[order])[ends]
    tpr = hits / hits[-1]
    fpr = (ends + 1 - hits) / (~own).sum()
    precision = hits / (ends + 1)
    kept = _thinned(fpr, tpr)
    recalled = _thinned(tpr, precision)
    return ClassCurves(
        np.insert(fpr[kept], 0, 0.0),
        np.insert(tpr[kept], 0, 0.0),
        np.insert(tpr[recalled], 0, 0.0),
        np.insert(precision[recalled], 0, precision[recalled[0]]),
    )


def _thinned(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Rows of a curve evenly spaced along it, the ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0, along[-1], min(POINTS - 1, len(x)))
    return np.unique(np.searchsorted(along, wanted))


def _running_sums(values: Floats) -> Floats:
    """Sums of the first 0, 1, ..., N rows, (N + 1, B)."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums
