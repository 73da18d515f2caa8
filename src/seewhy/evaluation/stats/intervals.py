"""How far a rate measured on n images can be trusted."""

from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist

Z = 1.96  # standard errors on either side of a 95% interval


@dataclass(frozen=True)
class Interval:
    """A value between the bounds of its confidence interval; NaN where nothing was counted."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The Wilson score interval of the rate `successes / n`.

    It keeps to [0, 1] and holds its level for few images and for rates near 0 and 1, where the
    usual value ± 1.96 standard errors does not (Wilson 1927; Brown, Cai and DasGupta 2001). `level`
    lies between 0 and 1. All three numbers are NaN when n is 0.
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


def mean_interval(value: float, std: float, n: int) -> Interval:
    """The interval of the mean `value` of n numbers with the given std, for large n."""
    half = Z * std / sqrt(n)
    return Interval(value, value - half, value + half)


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
