"""Intervals by the bootstrap: the same images drawn again with replacement, from a fixed seed.

What follows from the confusion matrix is drawn as such: its cells are multinomial, which is the same
at a fraction of the cost. What needs each image is drawn as weights, how often each image came.
Intervals are percentiles of the replicates (Efron and Tibshirani 1993, chapter 13), save that of the
calibration error, which says why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.counts import ClassCounts
from seewhy.evaluation.ranking import ranked_classes
from seewhy.evaluation.stats.intervals import Interval

Floats = NDArray[np.float64]

REPLICATES = 1000  # of what follows from the confusion matrix
IMAGE_REPLICATES = 400  # of what needs each image: a bound rests on the tenth value
FEWEST = 100  # replicates, however many images and classes there are
WORK = 4e9  # images x classes x replicates, a minute's worth
CHUNK = 50  # replicates at a time


def percentiles(value: float, replicates: Floats, level: float = 0.95) -> Interval:
    """The percentile interval of a metric; replicates in which it is undefined (NaN) do not count."""
    defined = replicates[~np.isnan(replicates)]
    if np.isnan(value) or not len(defined):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, float(min(low, value)), float(max(high, value)))


def drawn_counts(
    confusion: NDArray[np.int64], replicates: int = REPLICATES, seed: int = 0
) -> ClassCounts:
    """The counts of as many images drawn with replacement, each (replicates, K)."""
    rows, columns = np.nonzero(confusion)
    counts = confusion[rows, columns]
    n, k = int(counts.sum()), len(confusion)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=replicates)
    own = rows == columns
    return ClassCounts(
        right=_summed(draws[:, own], rows[own], k),
        support=_summed(draws, rows, k),
        predicted=_summed(draws, columns, k),
    )


def paired_counts(
    labels: NDArray[np.int64],
    answers: Sequence[NDArray[np.int64]],
    k: int,
    replicates: int = REPLICATES,
) -> list[ClassCounts]:
    """The counts of several models' answers (N,) to the same images, drawn together.

    Each has (replicates, K) and is of the same draws, so that differences are those of pairs.
    """
    cells, counts = np.unique(np.stack([labels, *answers]), axis=1, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(labels), counts / len(labels), replicates)
    support = _summed(draws, cells[0], k)
    by_model = []
    for predicted in cells[1:]:
        own = predicted == cells[0]
        right = _summed(draws[:, own], predicted[own], k)
        by_model.append(ClassCounts(right, support, _summed(draws, predicted, k)))
    return by_model


def drawn_means(values: Floats) -> Floats:
    """The means of as many values (N,) drawn with replacement, (400,)."""
    n = len(values)
    return np.concatenate([values @ drawn for drawn in _weights(n, IMAGE_REPLICATES, 0)]) / n


@dataclass(frozen=True, eq=False)
class ImageReplicates:
    """Replicates of the metrics that need each image.

    `nll`, `ece` (B,); `ece_by_chance` (B,) what a perfectly calibrated model of the same confidences
    would show; `auroc`, `average_precision` (B, K), NaN for a class that no image drawn has, or all.
    """

    nll: Floats
    ece: Floats
    ece_by_chance: Floats
    auroc: Floats
    average_precision: Floats


def drawn_images(
    log_probabilities: Floats,
    labels: NDArray[np.int64],
    bins: NDArray[np.int64],
    seed: int = 0,
) -> ImageReplicates:
    """Draws N images with replacement, some hundred times, and computes the metrics of each draw.

    `log_probabilities` (N, K); `labels` (N,); `bins` (N,) the confidence bin of each image. A second
    for 10,000 images of ten classes.
    """
    n, k = log_probabilities.shape
    replicates = int(np.clip(WORK / (n * k), FEWEST, IMAGE_REPLICATES))
    losses = -log_probabilities[np.arange(n), labels]
    confidence = np.exp(log_probabilities.max(axis=1))
    gaps = np.zeros((bins.max() + 1, n))
    gaps[bins, np.arange(n)] = (log_probabilities.argmax(axis=1) == labels) - confidence
    rankings = ranked_classes(log_probabilities, labels)
    nll, ece, areas = [], [], []
    for drawn in _weights(n, replicates, seed):
        nll.append(losses @ drawn / n)
        ece.append(np.abs(gaps @ drawn).sum(0) / n)
        areas.append(np.array([ranking.areas(drawn) for ranking in rankings]))
    auroc, average_precision = np.concatenate(areas, axis=2).transpose(1, 2, 0)
    by_chance = _ece_by_chance(confidence, bins, replicates, seed)
    return ImageReplicates(
        np.concatenate(nll), np.concatenate(ece), by_chance, auroc, average_precision
    )


def ece_interval(value: float, drawn: ImageReplicates, level: float = 0.95) -> Interval:
    """The interval of a calibration error: percentiles reflected in it (the basic bootstrap).

    As a sum of absolute values it lies above the truth by chance alone, and each replicate above it in
    turn: percentiles would miss the truth. Where a perfectly calibrated model would often show as much
    (Bröcker and Smith 2007), the interval reaches down to 0.
    """
    outer = percentiles(value, drawn.ece, level)
    by_chance = float(np.quantile(drawn.ece_by_chance, (1 + level) / 2))
    low = 0.0 if value <= by_chance else max(0.0, 2 * value - outer.high)
    return Interval(value, low, max(value, 2 * value - outer.low))


def _weights(n: int, replicates: int, seed: int) -> Iterator[Floats]:
    """How often each of n images comes in a draw of n, (n, some replicates) at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, CHUNK):
        count = min(CHUNK, replicates - start)
        drawn = rng.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        yield np.ascontiguousarray(counts.T, np.float64)


def _ece_by_chance(
    confidence: Floats, bins: NDArray[np.int64], replicates: int, seed: int
) -> Floats:
    """Calibration errors of answers that are right exactly as often as they say, (B,)."""
    rng = np.random.default_rng((seed, 1))
    errors = np.empty(replicates)
    for b in range(replicates):
        gaps = (rng.random(len(confidence)) < confidence) - confidence
        errors[b] = np.abs(np.bincount(bins, gaps)).sum() / len(confidence)
    return errors


def _summed(draws: NDArray[np.int64], place: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Sums the cells of draws (B, C) that belong to one class, (B, K)."""
    order = np.argsort(place, kind="stable")
    names, starts = np.unique(place[order], return_index=True)
    summed = np.zeros((len(draws), k), np.int64)
    if len(names):
        summed[:, names] = np.add.reduceat(draws[:, order], starts, axis=1)
    return summed
