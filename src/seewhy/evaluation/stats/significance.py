"""Whether a difference is more than chance: tests on paired answers, and many tests at once."""

from collections.abc import Sequence
from math import isnan, nan, sqrt
from statistics import NormalDist

from seewhy.evaluation.stats.intervals import Interval, exact

SIGNIFICANT = 0.05  # corrected p-value below which chance alone is an unlikely cause


def mcnemar(first_only: int, second_only: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947): that two models are equally often right.

    `first_only`, `second_only` count the images that one alone gets right; the others tell nothing.
    """
    from scipy.stats import binomtest

    n = first_only + second_only
    return float(binomtest(first_only, n, 0.5).pvalue) if n else 1.0


def mcnemar_interval(first_only: int, second_only: int, n: int, level: float = 0.95) -> Interval:
    """The interval of the difference of two rates over the same n images; it agrees with `mcnemar`.

    That of Agresti and Min (2005), with an image more that the first alone gets right and one that the
    second does: so it has a width where the models never disagree, and holds the truth for few images. It
    holds 0 where the p-value is 1 - `level` or more, and does not where it is less.
    """
    value, disagreed = (first_only - second_only) / n, first_only + second_only
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (first_only - second_only) / (n + 2)
    half = z * sqrt(disagreed + 2 - (first_only - second_only) ** 2 / (n + 2)) / (n + 2)
    low, high = min(value, middle - half), max(value, middle + half)
    if mcnemar(first_only, second_only) >= 1 - level:
        return Interval(value, min(low, 0.0), max(high, 0.0))
    if low <= 0 <= high:  # a handful of images at a high level: the test's own bound
        least = (2 * exact(max(first_only, second_only), disagreed, level).low - 1) * disagreed / n
        low, high = (least, high) if value > 0 else (low, -least)
    return Interval(value, low, high)


def corrected_level(p: float, corrected: float) -> float:
    """The level of an interval that agrees with a corrected p-value, as the plain one does at 95%."""
    return 1 - SIGNIFICANT * (p / corrected if corrected > 0 else 1.0)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for being several, so that 5% is the chance of any false alarm (Holm 1979).

    NaN stays NaN, and is not counted.
    """
    corrected, highest = [nan] * len(ps), 0.0
    order = sorted((p, place) for place, p in enumerate(ps) if not isnan(p))
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[place] = highest
    return corrected


def images_needed(difference: float, disagreement: float, level: float = 0.95) -> float:
    """Images at which McNemar's test finds a difference four times in five (Connor 1987).

    `difference` in the share of right answers, `disagreement` the share of images that one model alone
    gets right; the test is at 1 - `level`. Infinite for no difference.
    """
    if difference == 0:
        return float("inf")
    spread = max(disagreement - difference**2, 0.0) ** 0.5
    z, power = NormalDist().inv_cdf((1 + level) / 2), NormalDist().inv_cdf(0.8)
    return ((z * disagreement**0.5 + power * spread) / difference) ** 2
