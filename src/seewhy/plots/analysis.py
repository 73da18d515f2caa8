"""Figures of the analysis of a split, and of a fitted out-of-distribution score."""

from collections.abc import Mapping
from math import isnan
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from seewhy.analysis.causes import NAMES, Causes
from seewhy.analysis.confidence import Confidence
from seewhy.analysis.slices import Slices
from seewhy.evaluation.decision.ood import OodFit
from seewhy.evaluation.decision.threshold import RiskCoverage
from seewhy.evaluation.metrics import Averages, ClassMetrics, Metrics
from seewhy.evaluation.ranking import ClassCurves
from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    LIGHT_BLUE,
    LIGHT_VERMILION,
    PAGE,
    PALE,
    VERMILION,
    headline,
    hide_lines,
    name_rows,
    png,
    short_names,
    with_interval,
)
from seewhy.text import counted, visible

MOST_ROWS = 100  # of more classes, only the worst are drawn
MOST_SLICES = 15
NAMED = 3  # curves with a name: the worst classes
RATES = {"precision": "precision", "recall": "recall", "f1": "F1"}


@png
def class_heat_map(metrics: Metrics) -> Figure:
    """Precision, recall and F1 of each class with 95% confidence intervals, and their means below.

    Of more than 100 classes, the 100 with the lowest F1 are drawn.
    """
    rows = list(metrics.per_class.items())
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: np.nan_to_num(row[1].f1, nan=2))[:MOST_ROWS]
    names = short_names([name for name, _ in rows])
    lines: list[tuple[str, ClassMetrics | Averages, Mapping[str, Interval]]] = [
        (name, row, row.intervals) for name, (_, row) in zip(names, rows, strict=True)
    ]
    for kind, averages in (("macro", metrics.macro), ("weighted", metrics.weighted)):
        means = {rate: metrics.intervals[f"{kind}_{rate}"] for rate in RATES}
        lines.append((f"{kind} mean", averages, means))
    values = np.array([[getattr(row, rate) for rate in RATES] for _, row, _ in lines])
    figure = Figure(figsize=(6.4, 1.3 + 0.34 * len(lines)))
    axes = figure.add_subplot()
    lowest = min(0.9, float(np.nanmin(values)))
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=PALE)
    # A wider range than that of the values keeps black text readable on the darkest cell.
    room = 1 - lowest
    norm = Normalize(lowest - 0.2 * room, 1 + 0.8 * room)
    axes.imshow(values, cmap=colours, norm=norm, aspect="auto")
    for y, (_, _, intervals) in enumerate(lines):
        for x, rate in enumerate(RATES):
            _write_rate(axes, x, y, values[y, x], intervals[rate])
    axes.axhline(len(rows) - 0.5, color="white", linewidth=4)
    axes.set_xticks(range(3), list(RATES.values()))
    axes.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    axes.tick_params(labeltop=True, labelbottom=False)
    hide_lines(axes)
    part = (
        f"\nthe {counted(len(rows), 'worst class')}" if len(rows) < len(metrics.per_class) else ""
    )
    figure.suptitle(f"Metrics of each class in percent, with 95% confidence intervals{part}")
    return figure


def _write_rate(axes: Axes, x: int, y: int, value: float, interval: Interval) -> None:
    if np.isnan(value):
        axes.text(x, y, "no images", ha="center", va="center", color=GREY, fontsize=8)
        return
    axes.text(x - 0.04, y, f"{value:.1%}".rstrip("%"), ha="right", va="center")
    if not isnan(interval.low):
        span = f"{100 * interval.low:.0f} to {100 * interval.high:.0f}"
        axes.text(x + 0.04, y, span, ha="left", va="center", fontsize=8, color="#333333")


@png
def ranking_curves(curves: Mapping[str, ClassCurves], metrics: Metrics) -> Figure:
    """ROC and precision-recall curves, one line per class; the three of smallest area are named."""
    shown = dict(zip(curves, short_names(list(curves)), strict=True))
    figure = Figure(figsize=(10.4, 6.4))
    panels = (("fpr", "tpr", "auroc"), ("recall", "precision", "average_precision"))
    for axes, (x, y, area) in zip(figure.subplots(1, 2), panels, strict=True):
        drawn = {name: curve for name, curve in curves.items() if len(getattr(curve, x))}
        worst = sorted(drawn, key=lambda name: getattr(metrics.per_class[name], area))[:NAMED]
        others = [name for name in drawn if name not in worst]
        step = "default" if area == "auroc" else "steps-pre"
        for curve in (drawn[name] for name in others):
            axes.plot(
                getattr(curve, x),
                getattr(curve, y),
                color=LIGHT_BLUE,
                linewidth=1.1,
                drawstyle=step,
            )
        for name, colour, order in zip(worst, (VERMILION, BLUE, "black"), (5, 4, 3), strict=False):
            label = f"{shown[name]}  {with_interval(metrics.per_class[name].intervals[area])}"
            line: dict[str, Any] = {"color": colour, "zorder": order, "drawstyle": step}
            axes.plot(getattr(drawn[name], x), getattr(drawn[name], y), label=label, **line)
        if others:
            axes.plot([], [], color=LIGHT_BLUE, label=f"the other {len(others)}")
        ticks = np.linspace(0, 1, 6)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal", xticks=ticks, yticks=ticks)
        _in_percent(axes)
        if drawn:
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.14), fontsize=9)
    roc, recall = figure.axes
    roc.plot((0, 1), (0, 1), **DASHED)
    roc.set(xlabel="false positive rate", ylabel="recall (true positive rate)")
    recall.set(xlabel="recall", ylabel="precision")
    roc.set_title(f"ROC curves: {_mean_area(metrics.auroc)}")
    recall.set_title(f"Precision-recall curves: {_mean_area(metrics.average_precision)}")
    figure.suptitle(
        "How well each class is ranked by its probability; the classes of smallest area are named"
    )
    return figure


def _mean_area(value: float) -> str:
    return "needs images of two classes" if isnan(value) else f"mean area {value:.3f}"


def _in_percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


@png
def confidence_histograms(confidence: Confidence) -> Figure:
    """Histograms of the confidence of correct and wrong answers, each on a scale of its own."""
    figure = Figure(figsize=(PAGE, 4.8))
    edges = confidence.edges
    upper, lower = figure.subplots(2, 1, sharex=True)
    kinds = (
        ("correct", confidence.right_counts, confidence.right, upper, BLUE),
        ("wrong", confidence.wrong_counts, confidence.wrong, lower, VERMILION),
    )
    for word, counts, mean, axes, colour in kinds:
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.92, align="edge", color=colour)
        title = f"{counts.sum():,} {word}"
        if not isnan(mean.value):
            axes.axvline(mean.value, **DASHED)
            title += f", mean confidence {mean.value:.1%} (dashed)"
        axes.set(title=title, ylabel="images", ylim=(0, 1.05 * max(counts.max(), 1)))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    lower.axvspan(0.9, 1, color=VERMILION, alpha=0.12, linewidth=0)
    lower.set(xlim=(0, 1), xlabel="confidence")
    lower.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    headline(figure, f"Mistakes with more than 90% confidence: {confidence.sure_mistakes:,}")
    return figure


@png
def risk_coverage_curve(curve: RiskCoverage) -> Figure:
    """The error rate when only the most confident predictions are kept."""
    figure = Figure(figsize=(PAGE, 4.8))
    axes = figure.add_subplot()
    chance = curve.chance
    share = np.linspace(0.001, 1, 200)
    best = np.maximum(0, share - (1 - chance)) / share
    axes.plot(curve.coverage, curve.risk, color=BLUE, label="ranked by confidence")
    axes.plot(share, best, color=GREY, linewidth=1, label="perfect ranking")
    axes.axhline(chance, **DASHED, label="random ranking")
    places = np.searchsorted(curve.coverage, np.array([0.8, 0.9]) - 1e-9).tolist()
    for place, marker in dict(zip(places, "so", strict=True)).items():
        x, y = curve.coverage[place], curve.risk[place]
        label = f"{x:.0%} answered, {y:.1%} wrong"
        axes.plot(x, y, marker, color=VERMILION, label=label, clip_on=False, zorder=4)
    axes.set(xlim=(0, 1), ylim=(0, 1.05 * max(curve.risk.max(), chance, 0.01)))
    axes.set(xlabel="coverage: share answered, most confident first", ylabel="error rate")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    headline(figure, f"Risk-coverage curve: mean error rate {curve.aurc:.2%} (AURC)")
    return figure


@png
def weak_slices(result: Slices) -> Figure:
    """The error rate of the weakest slices with 95% confidence intervals, and that of the other images.

    Slices that are significantly worse are red.
    """
    parts = result.slices[:MOST_SLICES]
    figure = Figure(figsize=(9.6, 1.7 + 0.42 * len(parts)))
    axes = figure.add_subplot()
    note: dict[str, Any] = {"color": GREY, "fontsize": 9}
    for y, part in enumerate(parts):
        rate = part.rate
        pale, strong = (LIGHT_VERMILION, VERMILION) if part.weak else (LIGHT_BLUE, BLUE)
        axes.barh(y, rate.value, height=0.62, color=pale)
        axes.plot((rate.low, rate.high), (y, y), color=strong, linewidth=2.2)
        axes.plot(part.rest.value, y, "|", color="black", markersize=13, markeredgewidth=1.6)
        counts = f"{part.errors:,} of {part.n:,}"
        axes.text(1.02, y, counts, transform=axes.get_yaxis_transform(), va="center", **note)
    names = [wrap(visible(part.name), 52, max_lines=2, placeholder="…") for part in parts]
    name_rows(axes, ["\n".join(lines) for lines in names], (len(parts) - 0.4, -0.6), 9)
    axes.set_xlim(0, min(1, 1.05 * max(part.rate.high for part in parts)))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.text(1.02, 1, "wrong", transform=axes.transAxes, va="bottom", **note)
    axes.set_xlabel("error rate")
    axes.axvline(result.rate.value, **DASHED)
    handles = [
        Patch(color=LIGHT_VERMILION, label="significantly worse"),
        Patch(color=LIGHT_BLUE, label="not significant"),
        Line2D(
            [], [], color="black", marker="|", markersize=11, linestyle="", label="other images"
        ),
        Line2D([], [], **DASHED, label="all images"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    weak, tested = len(result.weak), result.tested
    rest = f"\nthe {len(parts)} with the strongest evidence" if len(parts) < tested else ""
    figure.suptitle(
        f"{weak:,} of {tested:,} tested slices significantly worse than the other images{rest}"
    )
    return figure


@png
def mistakes_by_cause(causes: Causes) -> Figure:
    """The number of most confident mistakes by cause."""
    counts = {cause: n for cause, n in causes.counts.items() if cause not in causes.unknown}
    order = [*sorted(counts, key=lambda cause: -counts[cause]), *causes.unknown]
    figure = Figure(figsize=(7.2, 2.6))
    axes = figure.add_subplot()
    for y, cause in enumerate(order):
        n = counts.get(cause, 0)
        axes.barh(y, n, height=0.62, color=BLUE)
        count = f"{n:,}" if cause in counts else "not checked"
        axes.annotate(count, (n, y), (5, 0), textcoords="offset points", va="center", color=GREY)
    name_rows(axes, [NAMES[cause].capitalize() for cause in order], (len(order) - 0.5, -0.5))
    axes.set_xlim(0, 1.12 * max(*counts.values(), 1))
    axes.xaxis.set_visible(False)
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    count = counted(len(causes.mistakes), "most confident mistake")
    figure.suptitle(f"Most likely causes of the {count}")
    return figure


@png
def ood_curve(scope: OodFit) -> Figure:
    """ROC curve of the out-of-distribution score."""
    figure = Figure(figsize=(5.6, 5.4))
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), **DASHED)
    axes.plot(scope.curve.fpr, scope.curve.tpr, color=BLUE)
    x, y = 1 - scope.caught.value, scope.kept.value
    axes.plot(x, y, "o", color=VERMILION)
    note = f"threshold: {y:.0%} of in-distribution kept,\n{scope.caught.value:.0%} of OOD detected"
    arrow = {"arrowstyle": "-", "color": VERMILION}
    axes.annotate(note, (x, y), (0.97, 0.08), ha="right", arrowprops=arrow)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axes.set(xlabel="OOD images accepted", ylabel="in-distribution images accepted")
    _in_percent(axes)
    score = scope.score.replace("_", " ")
    figure.suptitle(f"Out-of-distribution score: {score}\nAUROC {with_interval(scope.auroc)}")
    return figure
