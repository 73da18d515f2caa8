"""Drawings of the analysis: what is stored under analysis/ in, PNG out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from seewhy.files import write_atomic
from seewhy.report.figures import confusion_matrix
from seewhy.report.style import BLUE, DASHED, GREY, LIGHT_BLUE, PALE, VERMILION, png, short

MOST_ROWS = 100  # more classes are drawn in part: the worst
NAMED = 3  # curves that are named: the worst classes
RATES = {"precision": "precision", "recall": "recall", "f1": "F1"}


def draw_analysis(metrics: Mapping[str, Any], folder: Path) -> None:
    """Draws the analysis of a split as PNG files in `folder`, which are written over.

    `metrics` as in metrics.json, with the parts of analysis/ under "analysis".
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, split = metrics["analysis"], metrics["split"]
    pictures = {
        "confusion-rates": confusion_matrix(metrics, rates=True),
        "class-heat-map": class_heat_map(metrics),
        "ranking": ranking_curves(found["curves"], metrics),
        "confidence": confidence_histograms(found["confidence"]),
        "risk-coverage": risk_coverage_curve(found["confidence"]["risk_coverage"]),
    }
    for name, picture in pictures.items():
        write_atomic(folder / f"{name}-{split}.png", picture)


@png
def class_heat_map(metrics: Mapping[str, Any]) -> Figure:
    """Precision, recall and F1 of each class, with their 95% intervals, and the means below.

    `metrics` as in metrics.json. Beyond a hundred classes the hundred of lowest F1 are drawn.
    """
    rows = list(metrics["per_class"].items())
    if len(rows) > MOST_ROWS:
        rows = sorted(rows, key=lambda row: _number(row[1]["f1"]))[:MOST_ROWS]
    lines = [(short(name), row, row["intervals"]) for name, row in rows]
    for kind in ("macro", "weighted"):
        means = {rate: metrics["intervals"][f"{kind}_{rate}"] for rate in RATES}
        lines.append((f"{kind} mean", metrics[kind], means))
    values = np.array([[_number(row[rate]) for rate in RATES] for _, row, _ in lines])
    figure = Figure(figsize=(6.4, 1.3 + 0.34 * len(lines)))
    axes = figure.add_subplot()
    lowest = min(0.9, float(np.nanmin(values)))
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=PALE)
    # Wider than the values, so that black letters can be read on the darkest.
    room = 1 - lowest
    norm = Normalize(lowest - 0.2 * room, 1 + 0.8 * room)
    axes.imshow(values, cmap=colours, norm=norm, aspect="auto")
    for y, (_, _, intervals) in enumerate(lines):
        for x, rate in enumerate(RATES):
            _write_rate(axes, x, y, values[y, x], intervals[rate])
    axes.axhline(len(rows) - 0.5, color="white", linewidth=4)
    axes.set_xticks(range(3), list(RATES.values()))
    axes.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    part = f"\nthe {len(rows)} worst classes" if len(rows) < len(metrics["per_class"]) else ""
    figure.suptitle(f"How each class fares, in percent with 95% intervals{part}")
    return figure


def _write_rate(axes: Axes, x: int, y: int, value: float, interval: Mapping[str, Any]) -> None:
    if np.isnan(value):
        axes.text(x, y, "no pictures", ha="center", va="center", color=GREY, fontsize=8)
        return
    axes.text(x - 0.04, y, f"{value:.1%}".rstrip("%"), ha="right", va="center")
    if interval["low"] is not None:
        span = f"{100 * interval['low']:.0f} to {100 * interval['high']:.0f}"
        axes.text(x + 0.04, y, span, ha="left", va="center", fontsize=8, color="#333333")


@png
def ranking_curves(curves: Mapping[str, Any], metrics: Mapping[str, Any]) -> Figure:
    """ROC and precision-recall curves, a class a line; the three of smallest area are named.

    `curves` as in analysis/curves.json, `metrics` as in metrics.json.
    """
    figure = Figure(figsize=(10.4, 5.4))
    panels = (("fpr", "tpr", "auroc"), ("recall", "precision", "average_precision"))
    for axes, (x, y, area) in zip(figure.subplots(1, 2), panels, strict=True):
        drawn = {name: curve for name, curve in curves.items() if curve[x]}
        worst = sorted(drawn, key=lambda name: metrics["per_class"][name][area])[:NAMED]
        others = [name for name in drawn if name not in worst]
        step = "default" if area == "auroc" else "steps-pre"
        for name in others:
            curve = drawn[name]
            axes.plot(curve[x], curve[y], color=LIGHT_BLUE, linewidth=1.1, drawstyle=step)
        for name, colour, order in zip(worst, (VERMILION, BLUE, "black"), (5, 4, 3), strict=False):
            found = metrics["per_class"][name]["intervals"][area]
            said = f"{found['value']:.3f} ({_bound(found['low'])} to {_bound(found['high'])})"
            line: dict[str, Any] = {"color": colour, "zorder": order, "drawstyle": step}
            axes.plot(drawn[name][x], drawn[name][y], label=f"{short(name)}  {said}", **line)
        if others:
            axes.plot([], [], color=LIGHT_BLUE, label=f"the other {len(others)}")
        ticks = np.linspace(0, 1, 6)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal", xticks=ticks, yticks=ticks)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        if drawn:
            axes.legend(loc="lower right" if area == "auroc" else "lower left", fontsize=9)
    roc, recall = figure.axes
    roc.plot((0, 1), (0, 1), **DASHED)
    roc.set(xlabel="others taken for the class", ylabel="of the class, found")
    recall.set(xlabel="of the class, found (recall)", ylabel="of those found, right (precision)")
    roc.set_title(f"ROC: mean area {_number(metrics['auroc']):.3f}")
    recall.set_title(f"Precision and recall: mean area {_number(metrics['average_precision']):.3f}")
    figure.suptitle("How well each class's probability ranks the pictures; the weakest are named")
    return figure


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _bound(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@png
def confidence_histograms(confidence: Mapping[str, Any]) -> Figure:
    """How sure the right and the wrong answers were; `confidence` as in analysis/confidence.json."""
    figure = Figure(figsize=(7.2, 5.6))
    edges = np.array(confidence["edges"])
    upper, lower = figure.subplots(2, 1, sharex=True)
    kinds = (("right", upper, BLUE), ("wrong", lower, VERMILION))
    for kind, axes, colour in kinds:
        counts = np.array(confidence[f"{kind}_counts"])
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.92, align="edge", color=colour)
        mean = confidence[kind]
        title = f"{counts.sum():,} {kind} answers"
        if mean["value"] is not None:
            axes.axvline(mean["value"], **DASHED)
            title += f", {mean['value']:.1%} sure on average"
        axes.set_title(title)
        axes.set_ylabel("pictures")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    lower.axvspan(0.9, 1, color=VERMILION, alpha=0.12, linewidth=0)
    lower.set(xlim=(0, 1), xlabel="confidence")
    lower.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(f"Mistakes made with more than 90% confidence: {confidence['sure_mistakes']:,}")
    return figure


@png
def risk_coverage_curve(curve: Mapping[str, Any]) -> Figure:
    """The error among the pictures answered, when only the surest are.

    `curve` as `risk_coverage` in analysis/confidence.json.
    """
    figure = Figure(figsize=(6.4, 4.6))
    axes = figure.add_subplot()
    coverage, risk = np.array(curve["coverage"]), np.array(curve["risk"])
    axes.plot(coverage, risk, color=BLUE, label="by this model's confidence")
    chance = curve["chance"]
    share = np.linspace(0.001, 1, 400)
    best = np.maximum(0, share - (1 - chance)) / share
    axes.plot(share, best, color=GREY, linewidth=1, label="if it knew every mistake")
    axes.axhline(chance, **DASHED)
    axes.text(0.01, chance, "if it knew nothing", color=GREY, va="bottom", fontsize=9)
    for wanted in (0.8, 0.9):
        x = int(np.searchsorted(coverage, wanted))
        axes.plot(coverage[x], risk[x], "o", color=BLUE)
        said = f"{coverage[x]:.0%} answered,\n{1 - risk[x]:.1%} right"
        axes.annotate(said, (coverage[x], risk[x]), (-8, 8), textcoords="offset points", ha="right")
    axes.set(xlim=(0, 1), ylim=(0, 1.25 * max(chance, 0.01)))
    axes.set(xlabel="share of the pictures answered, the surest first", ylabel="share wrong")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.08), fontsize=9)
    figure.suptitle(f"Answering only when sure: mean error {curve['aurc']:.2%} (AURC)")
    return figure


@png
def scope_curve(scope: Mapping[str, Any]) -> Figure:
    """How well the scope score parts familiar pictures from others; `scope` as `calibrate --json`."""
    figure = Figure(figsize=(5.6, 5.4))
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), **DASHED)
    axes.plot(scope["curve"]["fpr"], scope["curve"]["tpr"], color=BLUE)
    caught, kept = scope["caught"], scope["kept"]
    x, y = 1 - caught["value"], kept["value"]
    axes.plot(x, y, "o", color=VERMILION)
    said = f"as set: {y:.0%} of the familiar kept,\n{caught['value']:.0%} of the others found"
    arrow = {"arrowstyle": "-", "color": VERMILION}
    axes.annotate(said, (x, y), (0.97, 0.08), ha="right", arrowprops=arrow)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axes.set(xlabel="others taken for familiar", ylabel="familiar pictures kept")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    area = scope["auroc"]
    score = scope["score"].replace("_", " ")
    figure.suptitle(
        f"Familiar or not, by {score}: area {area['value']:.3f}\n"
        f"(95% interval {_bound(area['low'])} to {_bound(area['high'])})"
    )
    return figure
