"""Confused classes, and the most confident mistakes."""

from dataclasses import dataclass

import numpy as np

from seewhy.analysis.confidence import SURE
from seewhy.evaluation.metrics import confusion, labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, exact

PAIRS = 20  # kept of the confused pairs
EXAMPLES = 8  # kept of each
FEWEST, MOST = 100, 300  # kept of the mistakes: at least, and at most where more are confident


@dataclass(frozen=True)
class Missed:
    """A class's images that were predicted as another class."""

    count: int
    support: int
    rate: Interval


@dataclass(frozen=True)
class Mistake:
    """One image that was predicted as another class. `row` is its place among the predictions."""

    row: int
    id: str
    true: str
    predicted: str
    confidence: float
    true_probability: float


@dataclass(frozen=True)
class Pair:
    """One class predicted as another: how often, and how often of the true class's images.

    `examples` are the most confident, at most eight.
    """

    true: str
    predicted: str
    count: int
    rate: Interval
    examples: tuple[Mistake, ...]


@dataclass(frozen=True)
class Mistakes:
    """The mistakes of a split.

    `missed` by class, NaN rates where a class has no image; `pairs` the most frequent first, at most
    20; `worst` the most confident first: all confident ones, of 300 at most, and 100 in any case.
    """

    n: int
    count: int
    rate: Interval
    missed: dict[str, Missed]
    pairs: tuple[Pair, ...]
    worst: tuple[Mistake, ...]


def mistakes(predictions: Predictions) -> Mistakes:
    """Lists and counts the mistakes. Raises `DataError` when no image has a label."""
    kept = labelled(predictions)
    table = confusion(kept)
    support = table.sum(axis=1)
    right = np.diagonal(table)
    rows = mistaken_rows(predictions)
    sure = int((predictions.confidence()[rows] > SURE).sum())
    return Mistakes(
        n=len(kept),
        count=int(len(kept) - right.sum()),
        rate=exact(int(len(kept) - right.sum()), len(kept)),
        missed={
            name: Missed(int(n - r), int(n), exact(int(n - r), int(n)))
            for name, n, r in zip(kept.classes, support, right, strict=True)
        },
        pairs=_pairs(predictions, rows, table),
        worst=tuple(mistake_at(predictions, row) for row in rows[: min(MOST, max(FEWEST, sure))]),
    )


def mistaken_rows(predictions: Predictions) -> np.ndarray:
    """The rows of the mistakes, int64 (M,), the most confident first."""
    labels = predictions.labels
    assert labels is not None
    wrong = (predictions.predicted != labels) & (labels >= 0) & (predictions.predicted >= 0)
    rows = np.flatnonzero(wrong)
    return rows[np.argsort(-predictions.confidence()[rows], kind="stable")]


def mistake_at(predictions: Predictions, row: int) -> Mistake:
    """The mistake of one row."""
    assert predictions.labels is not None
    one = predictions.take(np.array([row]))
    label, predicted = int(predictions.labels[row]), int(predictions.predicted[row])
    probabilities = one.probabilities()[0]
    return Mistake(
        row=int(row),
        id=str(predictions.ids[row]),
        true=predictions.classes[label],
        predicted=predictions.classes[predicted],
        confidence=float(probabilities[predicted]),
        true_probability=float(probabilities[label]),
    )


def _pairs(predictions: Predictions, rows: np.ndarray, table: np.ndarray) -> tuple[Pair, ...]:
    """The confused pairs, by the rows of the mistakes and the confusion matrix."""
    assert predictions.labels is not None
    classes = predictions.classes
    confused = table - np.diag(np.diagonal(table))
    order = np.argsort(-confused, axis=None, kind="stable")[:PAIRS]
    pairs = []
    for true, predicted in zip(*np.unravel_index(order, table.shape), strict=True):
        count = int(confused[true, predicted])
        if count:
            own = (predictions.labels[rows] == true) & (predictions.predicted[rows] == predicted)
            examples = (mistake_at(predictions, row) for row in rows[own][:EXAMPLES])
            rate = exact(count, int(table[true].sum()))
            pairs.append(Pair(classes[true], classes[predicted], count, rate, tuple(examples)))
    return tuple(pairs)
