"""Abstention: the trade-off between precision and coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.evaluation.stats.intervals import Interval, wilson

Floats = NDArray[np.float64]

POINTS = 200  # of the curve as it is kept


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
    """The lowest threshold at which the precision (0 to 1) holds with 95% one-sided confidence.

    The one-sided Wilson bound of that level holds, so that the precision can be expected on new images
    too. Raises `UsageError` when no threshold reaches it.
    """
    answered, wrong, threshold = _runs(confidence, correct)
    counts = zip(answered.tolist(), wrong.tolist(), strict=True)
    bounds = np.array([wilson(n - w, n, 2 * level - 1).low for n, w in counts])
    enough = np.flatnonzero(bounds >= precision)
    if not len(enough):
        best = int(np.argmax(bounds))
        raise UsageError(
            f"no threshold gives {precision:.1%} precision with 95% confidence: on {len(confidence):,} "
            f"images {bounds[best]:.1%} is the most, at {answered[best] / len(confidence):.0%} "
            "coverage; ask for less, or calibrate with more images"
        )
    place = int(enough[-1])
    return _threshold(answered[place], wrong[place], threshold[place], len(confidence))


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
        wilson(int(answered), n),
        wilson(int(answered - wrong), int(answered)),
    )
