"""Abstention: the trade-off between precision and coverage."""

from dataclasses import dataclass
from math import ceil, floor, log

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.evaluation.stats.intervals import Interval, exact, exact_bounds
from seewhy.text import counted

Floats = NDArray[np.float64]

POINTS = 200  # of the curve as it is kept
TESTED = 50  # thresholds tested for a precision, evenly spaced in coverage
STARTS = 4  # parts that they are cut into, and a rest; each starts with as much of the 5%


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The error among the images answered, when only the surest are (Geifman and El-Yaniv 2017).

    `coverage` rises to 1; `risk` is the share of those answered that is wrong, `threshold` the least
    confidence among them. `aurc` is the mean risk over all coverages, less is better; `oracle` what it
    would be if every mistake were less confident than every right answer, `chance` if confidence said
    nothing.
    """

    coverage: Floats
    risk: Floats
    threshold: Floats
    aurc: float
    oracle: float
    chance: float


@dataclass(frozen=True)
class Threshold:
    """The least confidence for an answer, and what it gives on the images it was fitted on."""

    confidence: float
    coverage: Interval
    precision: Interval


def risk_coverage(confidence: Floats, correct: NDArray[np.bool_]) -> RiskCoverage:
    """The risk at each coverage, by (N,) confidences and whether each answer is right."""
    n = len(confidence)
    answered, wrong, threshold = _runs(confidence, correct)
    # Within a run of equal confidences mistakes come evenly.
    each = np.interp(np.arange(1, n + 1), np.append(0, answered), np.append(0, wrong))
    places = np.arange(1, n + 1)
    mistakes = int(n - correct.sum())
    best = np.maximum(0, places - (n - mistakes)) / places
    kept = np.unique(np.linspace(0, len(answered) - 1, POINTS).round().astype(int))
    return RiskCoverage(
        coverage=answered[kept] / n,
        risk=wrong[kept] / answered[kept],
        threshold=threshold[kept],
        aurc=float(np.mean(each / places)),
        oracle=float(np.mean(best)),
        chance=mistakes / n,
    )


def threshold_for_coverage(
    confidence: Floats, correct: NDArray[np.bool_], coverage: float
) -> Threshold:
    """The highest threshold at which at least this share (0 to 1) of the images is answered."""
    answered, wrong, threshold = _runs(confidence, correct)
    place = int(np.searchsorted(answered, coverage * len(confidence) - 1e-9))
    return _threshold(answered[place], wrong[place], threshold[place], len(confidence))


def threshold_for_precision(
    confidence: Floats, correct: NDArray[np.bool_], precision: float, level: float = 0.95
) -> Threshold:
    """The lowest tested threshold at which the precision (0 to 1) holds for new images, with 95% confidence.

    Thresholds are chosen by coverage alone and tested exactly, from the surest images to all of them, by the
    fallback procedure (Wiens 2003), as in Learn then Test (Angelopoulos et al. 2021): so the chance that any
    accepted one is below the precision is 5% at most, however many are tested. Raises `UsageError` when none
    is accepted.
    """
    n = len(confidence)
    answered, wrong, threshold = _runs(confidence, correct)
    fewest = ceil(log(1 - level) / log(precision)) if 0 < precision < 1 else n  # without a mistake
    sizes = np.linspace(min(fewest, n), n, TESTED).round()
    places = np.unique(np.searchsorted(answered, sizes))
    accepted = _accepted(answered[places], wrong[places], precision, level)
    if accepted is None:
        raise UsageError(_unreachable(answered[places], wrong[places], n, precision, level))
    place = int(places[accepted])
    return _threshold(answered[place], wrong[place], threshold[place], n)


def _accepted(
    answered: NDArray[np.int64], wrong: NDArray[np.int64], precision: float, level: float
) -> int | None:
    """The last of the tests that is passed, by the fallback procedure: a passed one hands on its risk."""
    from scipy.stats import binom

    ps = binom.cdf(
        wrong, answered, 1 - precision
    )  # so few mistakes, if the precision were just missed
    starts = _starts(answered, precision, level)
    last, risk = None, 0.0
    for place, p in enumerate(ps):
        risk += (1 - level) / len(starts) if place in starts else 0.0
        if p <= risk:
            last = place
        else:
            risk = 0.0
    return last


def _starts(answered: NDArray[np.int64], precision: float, level: float) -> range:
    """The tests among which the risk is divided: the first alone, where too few images for a part of it."""
    tests = len(answered)
    starts = range(0, tests, max(1, tests // STARTS))
    # The chance of no mistake, if the precision were just missed.
    faultless = precision ** answered[starts[-1]]
    return starts if faultless <= (1 - level) / len(starts) else range(1)


def _unreachable(
    answered: NDArray[np.int64], wrong: NDArray[np.int64], n: int, precision: float, level: float
) -> str:
    """Why no threshold is given: the most that a test shows with which the testing starts."""
    starts = _starts(answered, precision, level)
    answered, wrong = answered[starts], wrong[starts]
    lows = exact_bounds(answered - wrong, answered, 1 - 2 * (1 - level) / len(starts))[0]
    best = int(np.argmax(lows))
    return (
        f"no threshold gives {precision:.1%} precision with 95% confidence: on "
        f"{counted(n, 'image')} {floor(1000 * lows[best]) / 1000:.1%} "
        f"is the most, at {answered[best] / n:.0%} coverage; ask for less, or for a share of the images to "
        "be answered (--coverage 0.8), or calibrate with more images"
    )


def _runs(
    confidence: Floats, correct: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Images answered, mistakes among them and least confidence, at each threshold, falling."""
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.diff(falling, append=-np.inf))
    wrong = np.cumsum(~correct[order], dtype=np.int64)
    return ends + 1, wrong[ends], falling[ends]


def _threshold(answered: int, wrong: int, confidence: float, n: int) -> Threshold:
    return Threshold(
        float(confidence),
        exact(int(answered), n),
        exact(int(answered - wrong), int(answered)),
    )
