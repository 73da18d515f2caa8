"""Drawings of a training and of a split's figures."""

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

from seewhy.analysis.training_curves import best_row
from seewhy.evaluation.metrics import Reliability
from seewhy.plots.style import BLUE, DASHED, GREY, LIGHT_BLUE, PALE, VERMILION, duration, png, short

MOST_NAMES = 100  # more classes are drawn in part
MOST_NUMBERS = 20  # more classes leave no room for counts in a confusion matrix

_SPLITS = {"train": "Training", "val": "Validation", "test": "Test", "oof": "Out of fold"}


@png
def curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss and accuracy in training and validation by epoch, the best one marked; the learning rate.

    Rows have `epoch`, `lr`, `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy` and, where
    known, `best` (1 when the epoch beat all before it) and `seconds` since the start.
    """
    epochs = np.array([row["epoch"] for row in history])
    best = best_row(history)
    figure = Figure(figsize=(10, 4.8))
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    loss, accuracy = (figure.add_subplot(grid[0, column]) for column in (0, 1))
    rate = figure.add_subplot(grid[1, :])
    mark: dict[str, Any] = {"marker": "o", "markersize": 3} if len(epochs) < 20 else {}
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        for part, colour in (("train", VERMILION), ("val", BLUE)):
            values = np.array([row[f"{part}_{name}"] for row in history])
            axes.plot(epochs, values, color=colour, label=_SPLITS[part].lower(), **mark)
            if part == "val":
                axes.plot(epochs[best], values[best], "o", color=BLUE, markersize=7)
        axes.axvline(epochs[best], **DASHED)
        axes.set_title(name)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    loss.legend(loc="best")
    rate.plot(epochs, [row["lr"] for row in history], color=GREY, **mark)
    rate.axvline(epochs[best], **DASHED)
    rate.set_ylim(bottom=0)
    rate.set_title("learning rate")
    rate.set_xlabel("epoch")
    for axes in (loss, accuracy, rate):
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    took = f" in {duration(history[-1]['seconds'])}" if "seconds" in history[-1] else ""
    figure.suptitle(
        f"{len(epochs)} epoch{'s' * (len(epochs) > 1)}{took}; the best is {epochs[best]:.0f} (dashed), "
        f"with {history[best]['val_accuracy']:.1%} of validation right"
    )
    return figure


@png
def confusion_matrix(metrics: Mapping[str, Any], rates: bool = False) -> Figure:
    """Which class was taken for which: the shares of a true class as colours, pictures as numbers.

    With `rates` the numbers are the shares too, in percent. `metrics` as in metrics.json. Colour goes
    by the square root of the share, so that rare confusions show; a class without pictures is grey.
    """
    counts = np.array(metrics["confusion"])
    k = len(counts)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.full((k, k), np.nan), where=support > 0)
    cell = float(np.interp(k, (2, 10, 30, 100), (1.0, 0.5, 0.28, 0.15)))
    side = k * min(cell, 15 / k)
    figure = Figure(figsize=(side + 3.4, side + 2.2), layout="compressed")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=PALE)
    image = axes.imshow(shares, cmap=colours, norm=PowerNorm(0.5, 0, 1))
    _name_both_axes(axes, metrics["classes"])
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
    """Class names at the ticks, every n-th beyond a hundred, and white lines between the cells."""
    k = len(classes)
    places = range(0, k, -(-k // MOST_NAMES))
    names = [short(classes[place]) for place in places]
    size = float(np.interp(k, (10, 30, 100), (10, 8, 6)))
    upright = max(map(len, names)) <= 3 or k == 2
    axes.set_xticks(places, names, fontsize=size, rotation=0 if upright else 90)
    axes.set_yticks(places, names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(False)
    if k <= MOST_NAMES:
        borders = np.arange(k - 1) + 0.5
        axes.hlines(borders, -0.5, k - 0.5, color="white", linewidth=min(1.0, 15 / k))
        axes.vlines(borders, -0.5, k - 0.5, color="white", linewidth=min(1.0, 15 / k))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_numbers(
    axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], cell: float, rates: bool
) -> None:
    """The counts, or shares in percent, into their cells; none where nothing was confused.

    As large as the longest allows.
    """
    longest = 4 if rates else len(f"{counts.max():,}")
    size = min(11.0, cell * 72 * 0.85 / (0.65 * longest))
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > 0.5
        axes.text(
            column,
            row,
            f"{100 * shares[row, column]:.1f}" if rates else f"{counts[row, column]:,}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
        )


@png
def per_class(metrics: Mapping[str, Any]) -> Figure:
    """How each class fares, the best above: recall with its Wilson 95% interval, and precision.

    `metrics` as in metrics.json. Beyond a hundred classes the hundred worst are drawn.
    """
    rows = sorted(metrics["per_class"].items(), key=lambda row: _or(row[1]["recall"], -1))
    rows = rows[:MOST_NAMES]
    figure = Figure(figsize=(8, 1.7 + 0.24 * len(rows)))
    axes = figure.add_subplot()
    for y, (_, row) in enumerate(rows):
        axes.text(1.02, y, f"{row['support']:,}", ha="left", va="center", color=GREY, fontsize=9)
        if row["recall"] is None:
            axes.text(0.01, y, "no pictures", va="center", color=GREY, fontsize=9)
            continue
        interval = row["intervals"]["recall"]
        axes.barh(y, row["recall"], height=0.66, color=LIGHT_BLUE)
        axes.plot((interval["low"], interval["high"]), (y, y), color=BLUE, linewidth=2.2)
        axes.plot(row["precision"], y, "D", color=VERMILION, markersize=4.5, clip_on=False)
    axes.axvline(metrics["accuracy"]["value"], **DASHED)
    axes.set_yticks(range(len(rows)), [short(name) for name, _ in rows], fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.text(1.02, 1, "pictures", transform=axes.transAxes, va="bottom", color=GREY, fontsize=9)
    handles = [
        Patch(color=LIGHT_BLUE, label="recall"),
        Line2D([], [], color=BLUE, linewidth=2.2, label="its 95% interval"),
        Line2D(
            [], [], color=VERMILION, marker="D", markersize=4.5, linestyle="", label="precision"
        ),
        Line2D([], [], **DASHED, label="accuracy of all"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    k = len(metrics["classes"])
    part = f"\nthe {len(rows)} worst of {k:,} classes" if len(rows) < k else ""
    figure.suptitle(_headline(metrics) + part)
    return figure


@png
def reliability(bins: Reliability, split: str) -> Figure:
    """How often a confidence is right: on the diagonal where it can be believed. Below, how common.

    Whiskers are Wilson 95% intervals.
    """
    figure = Figure(figsize=(5.6, 6.2))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot((0, 1), (0, 1), **DASHED)
    upper.text(0.02, 0.98, "not sure enough", color=GREY, va="top")
    upper.text(0.98, 0.02, "too sure", color=GREY, ha="right")
    filled = np.flatnonzero(bins.counts)
    x = bins.confidence[filled]
    upper.vlines(x, bins.low[filled], bins.high[filled], color=BLUE, linewidth=1.5)
    upper.plot(x, bins.accuracy[filled], "o", color=BLUE, markersize=6)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    lower.bar(
        bins.edges[:-1],
        bins.counts / bins.counts.sum(),
        width=np.diff(bins.edges) * 0.92,
        align="edge",
        color=LIGHT_BLUE,
    )
    lower.set(xlabel="confidence", ylabel="share of pictures")
    for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(
        f"{_SPLITS.get(split, split)}: confidence is off by {bins.ece:.1%} on average (ECE)"
    )
    return figure


def _headline(metrics: Mapping[str, Any]) -> str:
    split, accuracy = metrics["split"], metrics["accuracy"]
    return (
        f"{_SPLITS.get(split, split)}: {accuracy['value']:.1%} of {metrics['n']:,} right\n"
        f"(95% interval {accuracy['low']:.1%} to {accuracy['high']:.1%})"
    )


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
