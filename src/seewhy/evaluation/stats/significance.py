"""Whether a difference is more than chance: tests on paired answers, and many tests at once."""

from collections.abc import Sequence
from math import isnan, nan

SIGNIFICANT = 0.05  # corrected p-value below which chance alone is an unlikely cause


def mcnemar(first_only: int, second_only: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947): that two models are equally often right.

    `first_only`, `second_only` count the images that one alone gets right; the others tell nothing.
    """
    from scipy.stats import binomtest

    n = first_only + second_only
    return float(binomtest(first_only, n, 0.5).pvalue) if n else 1.0


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


def images_needed(difference: float, disagreement: float) -> float:
    """Images at which McNemar's test finds a difference four times in five (Connor 1987).

    `difference` in the share of right answers, `disagreement` the share of images that one model alone
    gets right; infinite for no difference.
    """
    if difference == 0:
        return float("inf")
    spread = max(disagreement - difference**2, 0.0) ** 0.5
    return ((1.960 * disagreement**0.5 + 0.842 * spread) / difference) ** 2
