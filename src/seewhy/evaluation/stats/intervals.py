"""How far a metric measured on n images can be trusted.

How often each interval holds the truth, and how wide it is, was simulated: `benchmarks/intervals.py`.
"""

from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z = 1.96  # standard errors on either side of a 95% interval
TOO_FEW = "too few images"
ONE_CLASS = "only one class has images"
FEWEST_OF_A_CLASS = (
    5  # images; below, nothing that rests on a class but a plain rate has an interval
)
FEWEST_FOR_MEANS = 30  # images, of means over classes
FEWEST_FOR_SCORES = 100  # images, of log loss, calibration error and ROC areas


@dataclass(frozen=True)
class Interval:
    """A value between the bounds of its confidence interval, NaN where there is none.

    `reason` says why there is no interval, or is None.
    """

    value: float
    low: float
    high: float
    reason: str | None = None

    @staticmethod
    def without(value: float, reason: str = TOO_FEW) -> "Interval":
        """A value of which no interval can be given."""
        return Interval(value, nan, nan, reason)

    def json_form(self) -> dict[str, Any]:
        """The value and its bounds, and why it has none where it has none."""
        stored = {"value": self.value, "low": self.low, "high": self.high}
        return stored if self.reason is None else {**stored, "reason": self.reason}


def exact(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of the rate `successes / n` (Clopper and Pearson 1934).

    It holds the true rate with probability `level` (between 0 and 1) at least, for any n and any rate. All
    three numbers are NaN when n is 0.
    """
    assert 0 <= successes <= n and 0 < level < 1, (successes, n, level)
    if n == 0:
        return Interval.without(nan, "no images")
    low, high = exact_bounds(successes, n, level)
    return Interval(successes / n, float(low), float(high))


def exact_bounds(successes: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """The bounds of `exact`, element by element; neither count needs to be whole."""
    from scipy.special import betaincinv

    right, all_of_them = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    wrong, tail = all_of_them - right, (1 - level) / 2
    tiny = np.finfo(np.float64).tiny
    low = np.where(right <= 0, 0.0, betaincinv(np.maximum(right, tiny), wrong + 1, tail))
    high = np.where(wrong <= 0, 1.0, betaincinv(right + 1, np.maximum(wrong, tiny), 1 - tail))
    rate = right / all_of_them  # rounding must not put the value outside its own interval
    return np.minimum(low, rate), np.maximum(high, rate)


def effective_bounds(
    value: ArrayLike, variance: ArrayLike, smoothed: ArrayLike
) -> tuple[Floats, Floats]:
    """The 95% bounds of a metric in [0, 1] with this sampling variance (Korn and Graubard 1998).

    They are exact for a rate of as many images as have this variance. `smoothed` and `variance` are those
    of the sample with a few images added, right and wrong ones, so that they are defined at 0 and 1 too.
    """
    value, smoothed = (np.clip(np.asarray(rate, np.float64), 0, 1) for rate in (value, smoothed))
    variance = np.maximum(np.asarray(variance, np.float64), np.finfo(np.float64).tiny)
    n = np.maximum(smoothed * (1 - smoothed) / variance, 1)
    return exact_bounds(value * n, n)


def mean_of_shares(values: Floats) -> Interval:
    """The mean of numbers (N,) in [0, 1] with its interval; for the variance a 0 and a 1 are added."""
    if not len(values):
        return Interval.without(nan, "no images")
    value = float(values.mean())
    if len(values) < FEWEST_OF_A_CLASS:
        return Interval.without(value)
    widened = np.append(values, (0.0, 1.0))
    low, high = effective_bounds(value, widened.var() / len(values), widened.mean())
    return Interval(value, float(low), float(high))


def mean_with_t(values: Floats, added: ArrayLike) -> Interval:
    """The mean of numbers (N,) with Student's interval, for which the values `added` count too.

    They stand for what a few images more might show, such as a first mistake. The mean is without them. One
    number has no interval.
    """
    from scipy.stats import t

    widened = np.append(values, added)
    value, middle = float(values.mean()), widened.mean()
    if len(widened) < 2:
        return Interval.without(value)
    half = float(t.ppf(0.975, len(widened) - 1) * widened.std(ddof=1) / sqrt(len(widened)))
    return Interval(value, float(min(value, middle - half)), float(max(value, middle + half)))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The Wilson score interval of the rate `successes / n`.

    It keeps to [0, 1] and holds its level on average over true rates, but not for each one near 0 or 1
    (Wilson 1927; Brown, Cai and DasGupta 2001): `difference` is built on it, other rates have `exact`.
    `level` lies between 0 and 1. All three numbers are NaN when n is 0.
    """
    assert 0 <= successes <= n and 0 < level < 1, (successes, n, level)
    if n == 0:
        return Interval(nan, nan, nan)
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The bounds are exact at the ends; rounding must not put the value outside its own interval.
    return Interval(rate, min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate))


def paired_difference(lost: int, gained: int, n: int) -> Interval:
    """What a rate lost over the same n images, after Agresti and Min (2005): half an image a cell.

    `lost` of them counted before alone, `gained` after alone. Unlike the usual interval it has a width
    also where nothing changed.
    """
    value = (lost - gained) / n
    middle = (lost - gained) / (n + 2)
    half = Z * sqrt((lost + gained + 1) - (lost - gained) ** 2 / (n + 2)) / (n + 2)
    return Interval(value, min(value, middle - half), max(value, middle + half))


def difference(first: Interval, second: Interval) -> Interval:
    """The interval of the difference of two rates measured on different images (Newcombe 1998).

    `first` less `second`, each with its Wilson interval.
    """
    value = first.value - second.value
    below = sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    above = sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Interval(value, value - below, value + above)
