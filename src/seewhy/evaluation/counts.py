"""What follows from counting: images of each class that were there, given, and recognised."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Images of each class: recognised, of the class, given the class; each (..., K)."""

    right: NDArray[np.int64]
    support: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @staticmethod
    def of(confusion: NDArray[np.int64]) -> "ClassCounts":
        """The counts of a confusion matrix (K, K), rows true."""
        return ClassCounts(np.diagonal(confusion).copy(), confusion.sum(1), confusion.sum(0))

    def precision(self) -> Floats:
        """The part of those given a class that are of it, (..., K); 0 where none was given it."""
        return ratio(self.right, self.predicted)

    def recall(self) -> Floats:
        """The part of a class that was recognised, (..., K); 0 where it has no image."""
        return ratio(self.right, self.support)

    def f1(self) -> Floats:
        """The harmonic mean of precision and recall, (..., K); 0 where neither counts an image."""
        return ratio(2 * self.right, self.support + self.predicted)

    def macro(self, rates: Floats) -> Floats:
        """The mean of rates (..., K) over the classes that have images."""
        present = self.support > 0
        return np.asarray(np.where(present, rates, 0).sum(-1) / present.sum(-1))

    def weighted(self, rates: Floats) -> Floats:
        """The mean of rates (..., K) in which each image counts once."""
        return np.asarray((rates * self.support).sum(-1) / self.support.sum(-1))

    def mcc(self) -> Floats:
        """Matthews' correlation for many classes, in [-1, 1]; 0 is chance (Gorodkin 2004)."""
        n = self.support.sum(-1).astype(float)
        support, predicted = self.support.astype(float), self.predicted.astype(float)
        agreement = self.right.sum(-1) * n - (support * predicted).sum(-1)
        spread = (n**2 - (support**2).sum(-1)) * (n**2 - (predicted**2).sum(-1))
        return ratio(agreement, np.sqrt(spread))


def ratio(above: NDArray[np.generic], below: NDArray[np.generic], undefined: float = 0.0) -> Floats:
    """above / below, element by element; `undefined` where below is 0."""
    result = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), undefined)
    return np.divide(above, below, out=result, where=np.asarray(below) > 0)
