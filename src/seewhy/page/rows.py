"""The rows of a report's tables, from stored results."""

from dataclasses import dataclass, replace
from math import ceil, isnan, nan

import numpy as np

from seewhy.analysis.causes import NAMES, Cause, Causes
from seewhy.evaluation.metrics import ClassMetrics, Metrics
from seewhy.evaluation.stats.intervals import Interval
from seewhy.page.stored import Stored
from seewhy.plots.style import short_names
from seewhy.text import counted

NAME = 18  # columns of a name in the confusion matrix, which has two lines for it
SHADES = 9  # levels of colour in the confusion matrix
# Metrics over all classes: name on the page, meaning.
METRICS = {
    "accuracy": ("Accuracy", "share of correct predictions"),
    "balanced_accuracy": ("Balanced accuracy", "mean recall over the classes"),
    "top5": ("Top-5 accuracy", "the true class is among the five most probable"),
    "macro_f1": ("Macro F1", "harmonic mean of precision and recall, mean over the classes"),
    "mcc": ("Matthews correlation", "correlation of prediction and truth: 0 is chance, 1 perfect"),
    "nll": ("Log loss", "negative log-likelihood in nats: lower is better"),
    "ece": ("Calibration error", "mean gap between confidence and accuracy: lower is better"),
    "auroc": ("AUROC", "how well probabilities rank the classes: 0.5 is chance, 1 perfect"),
}
PLAIN = {"mcc", "nll", "auroc"}  # not shown as percentages
# What to do about mistakes, by their cause.
CURES: dict[Cause, str] = {
    "duplicate": "Keep the correct label.",
    "label": "Check the label and correct it.",
    "picture": "Replace the image, or remove it if a human could not label it.",
    "scope": "If such images are expected in use, collect some.",
    "confusion": "Collect more images that show the difference between the two classes.",
}


@dataclass(frozen=True)
class KeyMetric:
    """A main metric, at the top of the page."""

    name: str
    interval: Interval
    note: str


def key_metrics(stored: Stored) -> list[KeyMetric]:
    """Accuracy by split, and the lowest recall of a class if there are several."""
    val = stored.val.metrics
    rows = [KeyMetric("validation accuracy", val.accuracy, counted(val.n, "image"))]
    if stored.test:
        test = stored.test.metrics
        note = f"{counted(test.n, 'image')}, evaluation {stored.test.reading}"
        rows.append(KeyMetric("test accuracy", test.accuracy, note))
    recalls = stored.recalls
    lowest = [name for name in recalls if recalls[name] == min(recalls.values())]
    recall = val.per_class[lowest[0]].intervals["recall"]
    if len(recalls) == 1:
        return rows
    if len(lowest) == 1:
        return [*rows, KeyMetric(f"recall of {lowest[0]}", recall, "the weakest class")]
    shared = replace(recall, low=nan, high=nan)  # each class has an interval of its own
    if len(lowest) == len(recalls):
        return [*rows, KeyMetric("recall of every class", shared, counted(len(recalls), "class"))]
    note = f"{len(lowest)} of {counted(len(recalls), 'class')}"
    return [*rows, KeyMetric("lowest recall", shared, note)]


@dataclass(frozen=True)
class MetricRow:
    """A metric over all classes: for each split its value and confidence interval as text."""

    name: str
    about: str
    cells: tuple[tuple[str, str], ...]


def metric_rows(stored: Stored) -> list[MetricRow]:
    """Each metric over all classes, for validation and, if evaluated, for test."""
    splits = [one.metrics for one in (stored.val, stored.test) if one]
    rows = []
    for metric, (name, about) in METRICS.items():
        cells = tuple(_written(metric, metrics) for metrics in splits)
        if any(value for value, _ in cells):
            rows.append(MetricRow(name, about, cells))
    return rows


def _written(name: str, metrics: Metrics) -> tuple[str, str]:
    """A metric and its 95% confidence interval as text; empty if not known."""

    def write(number: float) -> str:
        if isnan(number):
            return ""
        return f"{number:.3f}" if name in PLAIN else f"{number:.1%}"

    interval = metrics.accuracy if name == "accuracy" else metrics.intervals.get(name)
    if interval is None:  # top-5 accuracy of few classes
        return "", ""
    low, high = write(interval.low), write(interval.high)
    return write(interval.value), f"{low} to {high}" if low and high else interval.reason or ""


def class_rows(metrics: Metrics) -> list[tuple[str, ClassMetrics]]:
    """The classes that have images with their metrics, lowest recall first."""
    rows = [(name, row) for name, row in metrics.per_class.items() if row.support]
    return sorted(rows, key=lambda row: row[1].recall)


def lowest_mark(metrics: Metrics) -> float:
    """The start of the axis that the recalls of all classes share."""
    lowest = min(row.intervals["recall"].low for _, row in class_rows(metrics))
    return min(0.9, int(lowest * 10) / 10)


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: its count, class of colour, and what it counts."""

    count: int
    kind: str
    label: str


@dataclass(frozen=True)
class MatrixRow:
    """A class of the confusion matrix: its name, the name that fits, and its cells."""

    name: str
    short: str
    cells: tuple[Cell, ...]


def matrix(metrics: Metrics) -> list[MatrixRow]:
    """The confusion matrix by rows."""
    table, names = metrics.confusion, metrics.classes
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    most = float((shares - np.diag(np.diagonal(shares))).max()) or 1.0
    rows = []
    for true, (name, short) in enumerate(zip(names, short_names(names, NAME), strict=True)):
        cells = []
        for predicted, (count, share) in enumerate(zip(table[true], shares[true], strict=True)):
            right = true == predicted
            shade = SHADES * float(share if right else (share / most) ** 0.5)
            level = round(shade) if right else ceil(round(shade, 6))
            answer = "predicted correctly" if right else f"predicted as {names[predicted]}"
            label = f"{count} {name} {answer}, {share:.1%}: show"
            cells.append(Cell(int(count), f"{'r' if right else 'w'}{level}", label))
        rows.append(MatrixRow(name, short, tuple(cells)))
    return rows


@dataclass(frozen=True)
class CauseRow:
    """A cause of the most confident mistakes: its name, what to do, and the count, None if not known."""

    cause: str
    name: str
    action: str
    count: int | None


def cause_rows(causes: Causes | None) -> list[CauseRow]:
    """Each cause, in the order in which they are looked for; empty if no mistake was explained."""
    if not causes or not causes.mistakes:
        return []
    return [
        CauseRow(
            cause,
            NAMES[cause].capitalize(),
            CURES[cause],
            None if cause in causes.unknown else count,
        )
        for cause, count in causes.counts.items()
    ]
