"""Evidence that may be looked at after every label: which of two models is right more often.

A test for a fixed number of images gives false alarms when it is repeated while labels come in. These do not:
the chance that they are ever wrong, however often one looks, is at most 1 - `level`. Paired answers: the
beta-binomial mixture of Robbins (1970), as an e-process (Ramdas 2023, arXiv:2210.01948). Different images for
each model: the asymptotic confidence sequence of Waudby-Smith (2024, arXiv:2103.06476).
"""

from collections.abc import Callable
from math import inf, log, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
BISECTIONS = 40
TUNED_FOR = 5000  # observations for which `difference_half_width` is as narrow as it can be
MOST = 10**7  # labels; what needs more cannot be told


def log_evidence(wins: ArrayLike, pairs: ArrayLike) -> Floats:
    """The log of the evidence that two models are not equally often right, element by element.

    `pairs` counts the images that exactly one of them gets right, `wins` those of the second. At log(20) or
    more they differ, and the one with more wins is better: the chance of ever saying so wrongly is 5%.
    """
    from scipy.special import betaln

    k, m = np.asarray(wins, np.float64), np.asarray(pairs, np.float64)
    return np.asarray(m * log(2) + betaln(k + 0.5, m - k + 0.5) - log(pi))


def share_bounds(wins: ArrayLike, pairs: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The bounds of the share of pairs that the second model wins; they hold at every look.

    They leave out 1/2 exactly where `log_evidence` reaches log(1 / (1 - level)).
    """
    k, m = np.asarray(wins, np.float64), np.asarray(pairs, np.float64)
    return _lower(k, m, level), 1 - _lower(m - k, m, level)


def _lower(k: Floats, m: Floats, level: float) -> Floats:
    """The lower bounds: by bisection, since the likelihood of a share grows up to k / m."""
    from scipy.special import betaln, xlog1py, xlogy

    least = betaln(k + 0.5, m - k + 0.5) - log(pi) + log(1 - level)
    high = k / np.maximum(m, 1)
    low = np.zeros_like(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = xlogy(k, middle) + xlog1py(m - k, -middle) > least
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    return low


def difference_half_width(variance: ArrayLike, n: ArrayLike, level: float = LEVEL) -> Floats:
    """Half the width of an interval of a mean that holds at every look, for large n.

    `variance` is that of one of the n observations.
    """
    alpha = 1 - level
    rho = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / TUNED_FOR
    n = np.asarray(n, np.float64)
    grown = n * rho + 1
    return np.asarray(
        np.sqrt(variance) * np.sqrt(2 * grown / (n**2 * rho) * np.log(np.sqrt(grown) / alpha))
    )


def pairs_needed(wins: int, pairs: int, level: float = LEVEL) -> float:
    """How many pairs in all decide, if the second model goes on to win as often as so far.

    Infinite where that cannot be told, or would take more than `MOST`.
    """
    share = (wins + 0.5) / (pairs + 1)
    enough = log(1 / (1 - level))
    return _first(lambda m: float(log_evidence(share * m, m)) >= enough, pairs)


def observations_needed(difference: float, variance: float, n: int, level: float = LEVEL) -> float:
    """How many observations in all decide, if their mean and variance stay; infinite where none do."""
    reach = abs(difference)
    return _first(lambda m: float(difference_half_width(variance, m, level)) <= reach, max(n, 1))


def _first(decided: Callable[[float], bool], least: int) -> float:
    """The smallest whole number from `least` that is decided, where all above it are, too."""
    if decided(least):
        return least
    low, high = least, max(2 * least, 1)
    while not decided(high):
        low, high = high, 2 * high
        if high > MOST:
            return inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def difference_between_units(
    right: tuple[Floats, Floats], counts: tuple[Floats, Floats]
) -> tuple[float, float, int]:
    """The accuracy of the second model less that of the first, its variance, and the units of both.

    Of each model: how many answers of a unit were right and how many have a label, (units,). Answers of one
    unit may depend on each other: the variance is that between units, for one of them.
    """
    units = sum(map(len, counts))
    accuracies, variance = [], 0.0
    for one, n in zip(right, counts, strict=True):
        accuracies.append(one.sum() / max(n.sum(), 1))
        # A unit that is right and one that is wrong are added, so that no model looks certain.
        one, n = np.append(one, (1.0, 0.0)), np.append(n, (1.0, 1.0))
        variance += float(((one - one.sum() / n.sum() * n) ** 2).sum() / n.sum() ** 2)
    return accuracies[1] - accuracies[0], variance * units, units
