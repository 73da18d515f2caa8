"""What several runs show together: means with their intervals, and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan, sqrt
from typing import Literal

import numpy as np

from seewhy.evaluation.stats.significance import SIGNIFICANT

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Several values, their mean and their std, which divides by n - 1 (NaN for one)."""

    values: tuple[float, ...]
    mean: float
    sd: float


@dataclass(frozen=True)
class Summary(Spread):
    """Several values and the 95% interval of their mean by Student's t; NaN for a single value."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference(Summary):
    """Differences pair by pair, and how likely a mean as far from 0 is if there is no difference.

    `p` is of the two-sided paired t-test. It is 1 where all pairs are equal, and NaN for a single pair
    or where all differ by the same, which says nothing about chance.
    """

    p: float


def summarise(values: Sequence[float], lowest: float = -inf, highest: float = inf) -> Summary:
    """The mean of `values` with its 95% interval, kept between `lowest` and `highest`.

    The interval takes the values as independent draws of one normal law: seeds, not folds.
    """
    n = len(values)
    assert n > 0
    mean = float(np.mean(values))
    if n == 1:
        return Summary(tuple(values), mean, nan, nan, nan)
    sd = float(np.std(values, ddof=1))
    half = t_quantile(n - 1) * sd / sqrt(n)
    return Summary(tuple(values), mean, sd, max(mean - half, lowest), min(mean + half, highest))


def difference(values: Sequence[float], others: Sequence[float]) -> Difference:
    """`values` less `others`, pair by pair: what a change did under the same seeds."""
    pairs = [value - other for value, other in zip(values, others, strict=True)]
    summary = summarise(pairs)
    if isnan(summary.sd):
        p = nan
    elif not any(pairs):
        p = 1.0
    elif summary.sd < 1e-12:
        p = nan
    else:
        p = _p_value(summary.mean / (summary.sd / sqrt(len(pairs))), len(pairs) - 1)
    return Difference(summary.values, summary.mean, summary.sd, summary.low, summary.high, p)


def verdict(change: Difference, p: float) -> Literal["higher", "lower", "no difference shown"]:
    """What may be said of a change, by its p-value, corrected for what else was tested."""
    if isnan(p) or p >= SIGNIFICANT:
        return "no difference shown"
    return "higher" if change.mean > 0 else "lower"


def t_quantile(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def _p_value(statistic: float, freedom: int) -> float:
    from scipy.stats import t

    return float(2 * t.sf(abs(statistic), freedom))
