"""Intervals of what needs each image's scores: areas by the Bayesian bootstrap, and the calibration error.

The Bayesian bootstrap (Rubin 1981) weighs the images at random, from a fixed seed. Its percentiles have no
width where every draw ranks perfectly, and miss the truth there. So to each ranking two images are added for
the variance, an own one below all others and another one above all, and the interval is the exact one
of as many images as have that variance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.ranking import Ranked
from seewhy.evaluation.stats.intervals import (
    FEWEST_FOR_SCORES,
    FEWEST_OF_A_CLASS,
    ONE_CLASS,
    Floats,
    Interval,
    effective_bounds,
    exact,
)

REPLICATES = 400
FEWEST = 100  # replicates, however many images and classes there are
WORK = 4e9  # images x classes x replicates, a minute's worth
CHUNK = 50  # replicates at a time


@dataclass(frozen=True, eq=False)
class AreaIntervals:
    """ROC area and average precision of each of K rankings, (K,), and their means over those defined."""

    auroc: tuple[Interval, ...]
    average_precision: tuple[Interval, ...]
    mean_auroc: Interval
    mean_average_precision: Interval


def area_intervals(scores: Floats, own: NDArray[np.bool_], seed: int = 0) -> AreaIntervals:
    """The areas of K rankings of N images with their intervals.

    `scores` (N, K), higher is likelier; `own` (N, K) says which images should come first. NaN where none
    should, or all. No interval below 100 images, or below 5 on either side. A second for 10,000 images of
    ten classes.
    """
    n, k = scores.shape
    replicates = int(np.clip(WORK / (n * k), FEWEST, REPLICATES))
    ends, sides = np.array([-np.inf, np.inf]), np.array([True, False])
    widened = [
        Ranked.of(np.append(scores[:, c], ends), np.append(own[:, c], sides)) for c in range(k)
    ]
    plain = (Ranked.of(scores[:, c], own[:, c]) for c in range(k))  # one at a time
    values = np.stack([ranking.areas(np.ones((n, 1)))[:, 0] for ranking in plain], axis=1)
    smoothed = np.stack([ranking.areas(np.ones((n + 2, 1)))[:, 0] for ranking in widened], axis=1)
    rng, drawn = np.random.default_rng(seed), []
    for start in range(0, replicates, CHUNK):
        weights = rng.standard_exponential((n + 2, min(CHUNK, replicates - start)))
        drawn.append(np.stack([ranking.areas(weights) for ranking in widened], axis=1))
    draws = np.concatenate(drawn, axis=2)  # (2, K, replicates)
    counts = own.sum(0)
    enough = (np.minimum(counts, n - counts) >= FEWEST_OF_A_CLASS) & (n >= FEWEST_FOR_SCORES)
    defined = (counts > 0) & (counts < n)
    single, means = [], []
    for value, middle, draw in zip(values, smoothed, draws, strict=True):
        rows = zip(value, middle, draw, enough, strict=True)
        single.append(tuple(_interval(*row) for row in rows))
        if defined.any():
            over = (value[defined].mean(), middle[defined].mean(), draw[defined].mean(0))
            means.append(_interval(*over, enough=bool(enough[defined].all())))
        else:
            means.append(Interval.without(np.nan, ONE_CLASS))
    return AreaIntervals(single[0], single[1], means[0], means[1])


def ece_interval(
    value: float, correct: NDArray[np.bool_], confidence: Floats, bins: NDArray[np.int64]
) -> Interval:
    """The interval of a calibration error: as far to either side as that of the accuracy reaches.

    For a single bin the error is the distance from accuracy to confidence, so this is its interval; several
    bins change it less. As a sum of absolute values it lies above the truth by chance alone: where a
    perfectly calibrated model would often show as much (Bröcker and Smith 2007), the interval reaches down
    to 0. None below 100 images.
    """
    if len(correct) < FEWEST_FOR_SCORES:
        return Interval.without(value)
    accuracy = exact(int(correct.sum()), len(correct))
    reach = max(accuracy.value - accuracy.low, accuracy.high - accuracy.value)
    by_chance = np.quantile(_ece_by_chance(confidence, bins), 0.975)
    low = 0.0 if value <= by_chance else max(0.0, value - reach)
    return Interval(value, low, min(1.0, value + reach))


def _interval(value: float, smoothed: float, draws: Floats, enough: bool) -> Interval:
    """The interval of an area by that of the ranking with two images more, and by its draws (B,)."""
    if np.isnan(value):
        return Interval.without(np.nan, "no images")
    if not enough:
        return Interval.without(float(value))
    low, high = effective_bounds(value, draws.var(), smoothed)
    # The average precision of few images lies above the truth, and the draws above it in turn.
    excess = max(0.0, float(draws.mean() - smoothed))
    return Interval(float(value), max(0.0, float(low) - excess), float(high))


def _ece_by_chance(confidence: Floats, bins: NDArray[np.int64]) -> Floats:
    """Calibration errors of answers that are right exactly as often as their confidence says, (400,)."""
    rng = np.random.default_rng(1)
    errors = np.empty(REPLICATES)
    for b in range(REPLICATES):
        gaps = (rng.random(len(confidence)) < confidence) - confidence
        errors[b] = np.abs(np.bincount(bins, gaps)).sum() / len(confidence)
    return errors
