"""The sentences at the head of a report and over its charts, derived from stored results."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from seewhy.analysis.confidence import Confidence
from seewhy.analysis.slices import Slice
from seewhy.analysis.training_curves import kept_row
from seewhy.evaluation.collapse import collapse
from seewhy.page.stored import Stored
from seewhy.text import counted

MISCALIBRATED = 0.03  # calibration error from which confidence is misleading
COVERAGE = 0.8  # share of images answered, in what is said of abstaining from the others


def verdict(stored: Stored) -> tuple[str, str, str]:
    """Accuracy, weakest classes and calibration: one or two sentences each."""
    return _how_good(stored), _where(stored), _how_sure(stored)


def _how_good(stored: Stored) -> str:
    val = stored.val.metrics
    accuracy = val.accuracy
    text = (
        f"The {stored.model.network} has an accuracy of {accuracy.value:.1%} on "
        f"{counted(val.n, 'validation image')} (95% confidence interval {accuracy.low:.1%} to "
        f"{accuracy.high:.1%})"
    )
    if stored.test:
        test = stored.test.metrics
        return f"{text}, and of {test.accuracy.value:.1%} on {counted(test.n, 'test image')}."
    if stored.test_readings:
        return f"{text}; the test split was evaluated by a model of fewer epochs."
    sealed = "the test split is still sealed" if stored.images("test") else "there is no test split"
    return f"{text}; {sealed}."


def _where(stored: Stored) -> str:
    for finding in collapsed(stored):
        return f"It has {finding}."
    recalls = stored.recalls
    best, worst = max(recalls.values()), min(recalls.values())
    if worst == 1:
        return "It makes no mistake on validation: check for leaks and try harder images before you trust it."
    high, low = f"{best:.1%}", f"{worst:.1%}"
    if len(recalls) == 1:
        name = next(iter(recalls))
        text = f"All these images are of {name}, so that they tell nothing about the other classes"
    elif high == low:
        text = f"It recognises all classes equally well (recall {high})"
    else:
        first, last = _who(recalls, best), _who(recalls, worst)
        text = f"It recognises {first} best (recall {high}) and {last} worst ({low})"
    pair = most_confused(stored)
    if pair.count < 2:
        return f"{text}."
    often = "Its most frequent confusion" if pair.alone else "One of its most frequent confusions"
    times = counted(pair.count, "time")
    return f"{text}. {often}: {pair.true} predicted as {pair.predicted} ({times})."


def _who(recalls: Mapping[str, float], recall: float) -> str:
    """The class of this recall, or how many classes have it."""
    names = [name for name, other in recalls.items() if other == recall]
    return names[0] if len(names) == 1 else counted(len(names), "class")


def _how_sure(stored: Stored) -> str:
    val, sure = stored.val.metrics, stored.confidence
    error = f"expected calibration error {100 * val.ece:.1f} percentage points"
    low = val.intervals["ece"].low  # NaN: too few images
    if collapsed(stored):
        text = f"Its confidence says nothing about the classes, whatever its calibration ({error})"
    elif val.ece <= MISCALIBRATED and isnan(low):
        text = (
            f"Its confidence seems reliable ({error}), but there are too few images to be certain"
        )
    elif val.ece <= MISCALIBRATED:
        text = f"Its confidence is reliable ({error})"
    elif low > 0:
        text = f"Its confidence is misleading ({error})"
    else:
        text = f"Its confidence may be misleading ({error}), but there are too few images to be certain"
    if sure is None or not sure.sure_mistakes:
        return f"{text}."
    return f"{text}; {counted(sure.sure_mistakes, 'mistake')} had more than 90% confidence."


def collapsed(stored: Stored) -> list[str]:
    """The finding that the model gives one class to nearly every image, if it does."""
    return [one.finding for one in collapse(stored.val.metrics.confusion, stored.classes)]


@dataclass(frozen=True)
class Confused:
    """The most frequent confusion; `alone` says that no other is as frequent."""

    true: str
    predicted: str
    count: int
    alone: bool


def most_confused(stored: Stored) -> Confused:
    """The most frequent confusion of a class with another; its count is 0 if there is none."""
    table = stored.val.metrics.confusion.copy()
    np.fill_diagonal(table, 0)
    true, predicted = np.unravel_index(table.argmax(), table.shape)
    count = int(table[true, predicted])
    names = stored.classes
    return Confused(names[true], names[predicted], count, int((table == count).sum()) == 1)


@dataclass(frozen=True)
class Headlines:
    """The headline of each chart or table: its main message. Without an analysis the last ones are ""."""

    curves: str
    confusion: str
    classes: str
    reliability: str
    confidence: str = ""
    risk: str = ""
    slices: str = ""


def headlines(stored: Stored) -> Headlines:
    """The headlines of a report."""
    sure = stored.confidence
    return Headlines(
        curves=_curves(stored),
        confusion=_confusion(most_confused(stored)),
        classes=_recalls(list(stored.recalls.values())),
        reliability=f"Expected calibration error (ECE) {stored.val.metrics.ece:.1%}",
        confidence=_sure(sure) if sure else "",
        risk=_risk(sure) if sure else "",
        slices=_slices(stored),
    )


def weak_slices(stored: Stored) -> tuple[Slice, ...]:
    """The slices that are significantly worse than the other images, strongest evidence first."""
    slices = stored.val.analysis.slices if stored.val.analysis else None
    return slices.weak if slices else ()


def _curves(stored: Stored) -> str:
    keep = stored.recipe.train.keep
    kept = stored.history[kept_row(stored.history, keep)]
    text = f"Validation accuracy {kept['val_accuracy']:.1%}"
    if not kept["epoch"]:
        return f"{text} by the last layer alone, on features of a frozen network"
    return f"{text} in epoch {kept['epoch']:.0f} of {stored.epochs}: the {keep}, which is kept"


def _confusion(pair: Confused) -> str:
    if not pair.count:
        return "No class was confused with another"
    if pair.count == 1:
        return "No confusion occurred twice"
    often = "Most frequent" if pair.alone else "Among the most frequent"
    return f"{often}: {pair.true} predicted as {pair.predicted}, {counted(pair.count, 'time')}"


def _recalls(recalls: list[float]) -> str:
    low, high = f"{min(recalls):.1%}", f"{max(recalls):.1%}"
    if len(recalls) == 1:
        return f"Recall {low} of the only class with images"
    return f"Recall {low} for every class" if low == high else f"Recall from {low} to {high}"


def answered(sure: Confidence) -> tuple[float, float]:
    """The share of images answered, 80% or the next more, and the error rate among these."""
    curve = sure.risk_coverage
    place = int(np.searchsorted(curve.coverage, COVERAGE - 1e-9))
    return float(curve.coverage[place]), float(curve.risk[place])


def _sure(sure: Confidence) -> str:
    count = counted(sure.sure_mistakes, "mistake") if sure.sure_mistakes else "No mistake"
    return f"{count} with more than 90% confidence"


def _slices(stored: Stored) -> str:
    weak, analysis = weak_slices(stored), stored.val.analysis
    if weak:
        return f"Weakest: {weak[0].name}"
    if analysis and analysis.slices and not analysis.slices.tested:
        return "No slice has enough images to be tested"
    return "No slice is significantly worse than the other images"


def _risk(sure: Confidence) -> str:
    coverage, risk = answered(sure)
    whole = sure.risk_coverage.chance
    if coverage == 1:
        return f"Error rate {whole:.1%}; confidence does not tell which answers to leave out"
    return f"Error rate {risk:.1%} on the most confident {coverage:.0%}, {whole:.1%} on all"
