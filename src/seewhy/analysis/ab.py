"""Which of two served models is right more often, by labels that come in one by one.

Shadow: both models answer every image, one answer is shown. An image on which they agree cannot tell them
apart, so the labels of disagreements decide. Which of them get a label, and when, may depend on who is right:
clients complain of wrong answers, and only the champion's are shown. So the test counts the disagreements up
to some point in time, and takes each that has no label against the model that it would favour; any point may
be chosen, since what is shown by any holds at all of them together.

Split: each unit (a user, a device) is shown one of the models. What makes a client send a label is the same
on both sides, unless they differ.
"""

from dataclasses import dataclass
from math import ceil, inf, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.stats.intervals import Interval, exact
from seewhy.evaluation.stats.sequential import (
    LEVEL,
    difference_between_units,
    difference_half_width,
    log_evidence,
    observations_needed,
    pairs_needed,
    share_bounds,
)

Floats = NDArray[np.float64]
Verdict = Literal["challenger", "champion", "equal", "open"]

ENOUGH = round(1 / (1 - LEVEL))  # evidence that decides
MARGIN = 0.01  # difference in accuracy that does not matter
FEWEST_UNITS = 100  # of either model; below, the interval of a split does not hold
LOOKS = 60  # of the course that is kept
POINTS = 100  # in time up to which disagreements are counted
SURE = 0.99  # level of the shares of disagreements, and of those that only one model gets right
HARDLY = 0.1  # share of disagreements without a label
LARGEST = 700  # log of evidence that is told


@dataclass(frozen=True)
class Look:
    """What was known after so many labels; evidence is that of `ABTest`."""

    labels: int
    evidence: float | None
    difference: Interval


@dataclass(frozen=True, eq=False)
class ABTest:
    """What a comparison of two served models shows so far.

    `images` were answered by both (shadow) or by either (split). `labels` are those that tell something: of
    disagreements in a shadow. `pairs` are images that only the champion gets right, and only the challenger.
    `difference` is the challenger's accuracy less the champion's, with an interval that holds at every look;
    `accuracies` are those of the audit share. `evidence` decides at `enough`. `verdict`: which is better,
    "equal" where the interval lies within `margin`, else "open". `labels_needed` and `images_needed` are how
    many more decide if all goes on as so far, None where that cannot be told.
    """

    kind: Literal["shadow", "split"]
    images: int
    disagreements: int | None
    labels: int
    pairs: tuple[int, int] | None
    evidence: float | None
    difference: Interval
    accuracies: tuple[Interval, Interval] | None
    margin: float
    verdict: Verdict
    labels_needed: int | None
    images_needed: int | None
    course: tuple[Look, ...]
    enough: int = ENOUGH


def shadow_test(
    images: int,
    disagreements: int,
    outcomes: Floats,
    order: NDArray[np.int64],
    audited: NDArray[np.bool_],
    *,
    margin: float = MARGIN,
) -> ABTest:
    """The test of two models that both answered `images`, and otherwise than each other `disagreements`.

    `outcomes` are those of disagreements in the order of the answers: 1 where only the challenger is right,
    -1 where only the champion is, 0 where neither, NaN without a label. `order` are the places of those with
    a label, in the order in which labels came. `audited` says of the labelled images of the audit share
    whether the champion and the challenger were right, (images, 2).
    """
    known, course = np.full(len(outcomes), np.nan), []
    rates = _rates(disagreements, images)
    seen = 0
    for labels in _some(len(order)):
        known[order[seen:labels]] = outcomes[order[seen:labels]]
        course.append(_look(known, rates, labels))
        seen = labels
    now = course[-1] if course else _look(known, rates, 0)
    verdict = _verdict(now.difference, margin)
    lost, won = int((known == -1).sum()), int((known == 1).sum())
    more = _more(known) if verdict == "open" else None
    beyond = None if more is None else max(more - (disagreements - len(order)), 0) / rates[0]
    return ABTest(
        kind="shadow",
        images=images,
        disagreements=disagreements,
        labels=len(order),
        pairs=(lost, won),
        evidence=now.evidence,
        difference=now.difference,
        accuracies=_accuracies(audited),
        margin=margin,
        verdict=verdict,
        labels_needed=_whole(more),
        images_needed=_whole(beyond),
        course=tuple(course),
    )


def _more(outcomes: Floats) -> float | None:
    """The labels that decide if the rest is like what is known: up to where hardly one is missing."""
    lost, won, missing = counted(outcomes)
    complete = np.flatnonzero(missing <= HARDLY * np.arange(len(missing)))
    for point in (complete[-1], len(outcomes)):
        pairs = int(lost[point] + won[point])
        if pairs:
            labels = point - missing[point]
            more = (pairs_needed(int(won[point]), pairs) / pairs - 1) * labels + missing[point]
            return float(max(more, 1))
    return None


def counted(outcomes: Floats) -> tuple[Floats, Floats, Floats]:
    """Of the first 0, 1, 2, ... disagreements: how many each model wins, and how many have no label."""
    sides = (outcomes == -1, outcomes == 1, np.isnan(outcomes))
    lost, won, missing = (np.append(0.0, np.cumsum(side)) for side in sides)
    return lost, won, missing


def evidence_for(wins: Floats, losses: Floats, missing: Floats) -> Floats:
    """The log of the evidence that a model wins more often, where each that is missing counts against it."""
    pairs = wins + losses + missing
    return np.where(wins > losses + missing, log_evidence(wins, pairs), -inf)


def _look(outcomes: Floats, rates: tuple[float, float, float], labels: int) -> Look:
    """What these outcomes show of disagreements, which are so large a share of the images, with bounds."""
    lost, won, missing = counted(outcomes)
    best = [evidence_for(won, lost, missing), evidence_for(lost, won, missing)]
    points = np.linspace(0, len(outcomes), min(len(outcomes) + 1, POINTS)).astype(int)
    strongest = max(best, key=lambda one: float(one.max()))
    points = np.append(points, int(strongest.argmax()))
    evidence = float(strongest.max())
    lost, won, missing = lost[points], won[points], missing[points]
    pairs = lost + won
    low = 2 * share_bounds(won, pairs + missing)[0] - 1
    high = 2 * share_bounds(won + missing, pairs + missing)[1] - 1
    # How many of the disagreements are pairs: those without a label may be, or not.
    least = rates[1] * share_bounds(pairs, points, SURE)[0]
    most = rates[2] * share_bounds(pairs + missing, points, SURE)[1]
    low, high = low * np.where(low < 0, most, least), high * np.where(high > 0, most, least)
    # The point that decides, or else the one that tells most.
    at = -1 if evidence >= log(ENOUGH) else int((high - low).argmin())
    value = rates[0] * (won[at] - lost[at]) / max(points[at] - missing[at], 1)
    difference = Interval(float(np.clip(value, low[at], high[at])), float(low[at]), float(high[at]))
    return Look(labels, float(np.exp(np.clip(evidence, 0, LARGEST))), difference)


def _rates(disagreements: int, images: int) -> tuple[float, float, float]:
    """The share of images on which the models disagree, with bounds."""
    low, high = share_bounds(disagreements, images, SURE)
    return disagreements / max(images, 1), float(low), float(high)


def split_test(
    units: NDArray[np.int64],
    challenger: NDArray[np.bool_],
    right: NDArray[np.bool_],
    images: int,
    *,
    margin: float = MARGIN,
) -> ABTest:
    """The test of two models that were each shown to their own units.

    Of each label, in the order in which they came: the number of its unit, whether the challenger answered,
    and whether the answer was right; (labels,). `images` were answered in all.
    """
    course = tuple(
        Look(n, None, _between(units, challenger, right, n)[0]) for n in _some(len(right))
    )
    labels = len(right)
    difference, variance, n = _between(units, challenger, right, labels)
    verdict = _verdict(difference, margin)
    more = None
    if verdict == "open" and difference.low > -1:
        more = (observations_needed(difference.value, variance, n) / n - 1) * labels
    return ABTest(
        kind="split",
        images=images,
        disagreements=None,
        labels=labels,
        pairs=None,
        evidence=None,
        difference=difference,
        accuracies=None,
        margin=margin,
        verdict=verdict,
        labels_needed=_whole(more),
        images_needed=_whole(None if more is None else more * images / labels),
        course=course,
    )


def _between(
    units: NDArray[np.int64],
    challenger: NDArray[np.bool_],
    right: NDArray[np.bool_],
    labels: int,
) -> tuple[Interval, float, int]:
    """The difference by the first labels, with its interval; its variance, and how many units there are."""
    sums, counts = [], []
    for side in (~challenger[:labels], challenger[:labels]):
        _, rows = np.unique(units[:labels][side], return_inverse=True)
        sums.append(np.bincount(rows, right[:labels][side]).astype(np.float64))
        counts.append(np.bincount(rows).astype(np.float64))
    value, variance, n = difference_between_units((sums[0], sums[1]), (counts[0], counts[1]))
    if min(map(len, counts)) < FEWEST_UNITS:
        return (
            Interval(value, -1.0, 1.0, f"fewer than {FEWEST_UNITS} units of a model"),
            variance,
            n,
        )
    half = float(difference_half_width(variance, n))
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0)), variance, n


def _verdict(difference: Interval, margin: float) -> Verdict:
    if difference.low > 0:
        return "challenger"
    if difference.high < 0:
        return "champion"
    return "equal" if -margin <= difference.low and difference.high <= margin else "open"


def _accuracies(audited: NDArray[np.bool_]) -> tuple[Interval, Interval] | None:
    if not len(audited):
        return None
    champion, challenger = (exact(int(side.sum()), len(side)) for side in audited.T)
    return champion, challenger


def _some(labels: int) -> list[int]:
    """The numbers of labels after which the course is kept: all, or `LOOKS` of them, the last included."""
    return np.unique(np.linspace(1, labels, min(labels, LOOKS)).astype(int)).tolist()


def _whole(number: float | None) -> int | None:
    return None if number is None or number == inf else ceil(number)
