"""Figures of the training history and of the metrics of a split."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from seewhy.analysis.training_curves import kept_row
from seewhy.evaluation.metrics import Metrics, Reliability
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    LIGHT_BLUE,
    PAGE,
    PALE,
    VERMILION,
    duration,
    headline,
    hide_lines,
    name_rows,
    png,
    short_names,
)
from seewhy.text import counted

MOST_NAMES = 100  # of more classes, only a part is named or drawn
MOST_NUMBERS = 20  # with more classes, the cells of a confusion matrix are too small for numbers

_SPLITS = {"train": "Training", "val": "Validation", "test": "Test", "oof": "Out of fold"}


@png
def curves(history: Sequence[Mapping[str, float]], keep: str = "best") -> Figure:
    """Training and validation loss and accuracy by epoch, with the kept epoch marked; the learning rate.

    Rows have `epoch`, `lr`, `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy` and, if known,
    `best` (1 if the epoch was better than all before it) and `seconds` since the start; `keep` is the
    recipe's, "best" or "last".
    """
    epochs = np.array([row["epoch"] for row in history])
    kept = kept_row(history, keep)
    figure = Figure(figsize=(PAGE, 5.8))
    accuracy, loss, rate = figure.subplots(3, 1, sharex=True, height_ratios=(4, 4, 1))
    mark: dict[str, Any] = {"marker": "o", "markersize": 3} if len(epochs) < 20 else {}
    for axes, name in ((accuracy, "accuracy"), (loss, "loss")):
        for part, colour in (("train", VERMILION), ("val", BLUE)):
            values = np.array([row[f"{part}_{name}"] for row in history])
            axes.plot(epochs, values, color=colour, label=_SPLITS[part].lower(), **mark)
        axes.plot(epochs[kept], values[kept], "o", color=BLUE, markersize=7)
        axes.set_title(name)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    rate.plot(epochs, [row["lr"] for row in history], color=GREY, **mark)
    rate.set_ylim(bottom=0)
    rate.yaxis.set_major_locator(MaxNLocator(2))
    rate.set_title("learning rate")
    rate.set_xlabel("epoch")
    rate.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    for axes in (accuracy, loss, rate):
        axes.axvline(epochs[kept], **DASHED)
    handles = [
        *accuracy.get_legend_handles_labels()[0],
        Line2D([], [], **DASHED, label="epoch kept"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    took = f" in {duration(history[-1]['seconds'])}" if "seconds" in history[-1] else ""
    headline(
        figure,
        f"{counted(int(epochs[-1]), 'epoch')}{took}; {keep} epoch kept: {epochs[kept]:.0f}, "
        f"validation accuracy {history[kept]['val_accuracy']:.1%}",
    )
    return figure


@png
def confusion_matrix(metrics: Metrics, rates: bool = False) -> Figure:
    """The confusion matrix: colours show shares of the true class, numbers show image counts.

    With `rates` the numbers are shares in percent. The colour follows the
    square root of the share, which makes rare confusions visible; a class without images is grey.
    """
    counts = metrics.confusion
    k = len(counts)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.full((k, k), np.nan), where=support > 0)
    cell = float(np.interp(k, (2, 10, 30, 100), (1.0, 0.5, 0.28, 0.15)))
    side = k * min(cell, 15 / k)
    figure = Figure(figsize=(side + 3.4, side + 2.2), layout="compressed")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=PALE)
    image = axes.imshow(shares, cmap=colours, norm=PowerNorm(0.5, 0, 1))
    _name_both_axes(axes, metrics.classes)
    if k <= MOST_NUMBERS:
        _write_numbers(axes, counts, shares, cell, rates)
    bar = figure.colorbar(image, ax=axes, shrink=min(1, 2.6 / side), aspect=14)
    shown = {0: "0", 0.01: "1%", 0.05: "5%", 0.2: "20%", 0.5: "50%", 1: "100%"}
    bar.set_ticks(list(shown), labels=list(shown.values()))
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("share of the true class")
    figure.suptitle(_headline(metrics))
    return figure


def _name_both_axes(axes: Axes, classes: Sequence[str]) -> None:
    """Class names at the ticks, only every n-th of more than 100, and white lines between the cells."""
    k = len(classes)
    places = range(0, k, -(-k // MOST_NAMES))
    names = short_names([classes[place] for place in places])
    size = float(np.interp(k, (10, 30, 100), (10, 8, 6)))
    upright = max(map(len, names)) <= 3 or k == 2
    axes.set_xticks(places, names, fontsize=size, rotation=0 if upright else 90)
    axes.set_yticks(places, names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if k <= MOST_NAMES:
        borders = np.arange(k - 1) + 0.5
        axes.hlines(borders, -0.5, k - 0.5, color="white", linewidth=min(1.0, 15 / k))
        axes.vlines(borders, -0.5, k - 0.5, color="white", linewidth=min(1.0, 15 / k))
    hide_lines(axes)


def _write_numbers(
    axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], cell: float, rates: bool
) -> None:
    """Writes counts, or shares in percent, into the cells that are not 0, in a size that the longest fits."""
    longest = 4 if rates else len(f"{counts.max():,}")
    size = min(11.0, cell * 72 * 0.85 / (0.65 * longest))
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        text = f"{100 * share:.1f}" if rates else f"{counts[row, column]:,}"
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


@png
def per_class(metrics: Metrics) -> Figure:
    """Recall of each class with its exact 95% confidence interval, and precision; the best at the top.

    Of more than 100 classes, the 100 worst are drawn; those without images are the last to be.
    """
    rows = sorted(metrics.per_class.items(), key=lambda row: np.nan_to_num(row[1].recall, nan=2))
    rows = sorted(rows[:MOST_NAMES], key=lambda row: np.nan_to_num(row[1].recall, nan=-1))
    figure = Figure(figsize=(8, 1.7 + 0.24 * len(rows)))
    axes = figure.add_subplot()
    for y, (_, row) in enumerate(rows):
        axes.text(1.02, y, f"{row.support:,}", ha="left", va="center", color=GREY, fontsize=9)
        if not row.support:
            axes.text(0.01, y, "no images", va="center", color=GREY, fontsize=9)
            continue
        interval = row.intervals["recall"]
        axes.barh(y, row.recall, height=0.66, color=LIGHT_BLUE)
        axes.plot((interval.low, interval.high), (y, y), color=BLUE, linewidth=2.2)
        axes.plot(row.precision, y, "D", color=VERMILION, markersize=4.5, clip_on=False)
    axes.axvline(metrics.accuracy.value, **DASHED)
    name_rows(axes, short_names([name for name, _ in rows]), (-0.6, len(rows) - 0.4), 9)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.text(1.02, 1, "images", transform=axes.transAxes, va="bottom", color=GREY, fontsize=9)
    diamond: dict[str, Any] = {"marker": "D", "markersize": 4.5, "linestyle": ""}
    handles = [
        Patch(color=LIGHT_BLUE, label="recall"),
        Line2D([], [], color=BLUE, linewidth=2.2, label="its 95% CI"),
        Line2D([], [], color=VERMILION, label="precision", **diamond),
        Line2D([], [], **DASHED, label="overall accuracy"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    k = len(metrics.classes)
    part = f"\nthe {len(rows)} worst of {counted(k, 'class')}" if len(rows) < k else ""
    figure.suptitle(_headline(metrics) + part)
    return figure


@png
def reliability(bins: Reliability, split: str) -> Figure:
    """The reliability curve; on the diagonal, calibration is perfect. Below: how common each confidence is.

    Whiskers are exact 95% confidence intervals.
    """
    figure = Figure(figsize=(PAGE, 4.8))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot((0, 1), (0, 1), **DASHED)
    upper.set_title("below the dashed line: overconfident", color=GREY, fontsize=9)
    filled = np.flatnonzero(bins.counts)
    x = bins.confidence[filled]
    if len(bins.low):
        upper.vlines(x, bins.low[filled], bins.high[filled], color=BLUE, linewidth=1.5)
    upper.plot(x, bins.accuracy[filled], "o", color=BLUE, markersize=6, clip_on=False)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    shares, width = bins.counts / bins.counts.sum(), np.diff(bins.edges) * 0.92
    lower.bar(bins.edges[:-1], shares, width=width, align="edge", color=LIGHT_BLUE)
    lower.set(xlabel="confidence", ylabel="images")
    lower.yaxis.set_major_locator(MaxNLocator(2))
    for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    title = f"{_SPLITS.get(split, split)}: expected calibration error (ECE) {bins.ece:.1%}"
    headline(figure, title)
    return figure


def _headline(metrics: Metrics) -> str:
    """The split, its accuracy with the confidence interval, and the number of images."""
    split, accuracy = metrics.split, metrics.accuracy
    return (
        f"{_SPLITS.get(split, split)}: accuracy {accuracy.value:.1%} on {counted(metrics.n, 'image')}\n"
        f"(95% CI {accuracy.low:.1%} to {accuracy.high:.1%})"
    )
