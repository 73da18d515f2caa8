"""Figures of runs on the same data, side by side."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.style import (
    BLUE,
    LIGHT_BLUE,
    PAGE,
    VERMILION,
    headline,
    png,
    short_names,
)
from seewhy.text import counted

COLOURS = (BLUE, VERMILION, "#000000")  # of the runs that are named; the others are pale
UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))
MANY_TIMES = 30  # from which on seconds are drawn on a logarithmic axis


@png
def curves_of_runs(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Validation accuracy by epoch of each run, by name, the best first; the first three are named."""
    figure = Figure(figsize=(PAGE, 3.9))
    axes = figure.add_subplot()
    names = short_names(list(histories))
    for place, (name, history) in reversed(
        list(enumerate(zip(names, histories.values(), strict=True)))
    ):
        values = [row["val_accuracy"] for row in history]
        mark = "o" if len(values) == 1 else None
        axes.plot([row["epoch"] for row in history], values, marker=mark, **_manner(place, name))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    _name(figure, axes)
    headline(figure, f"Validation accuracy by epoch of {counted(len(histories), 'run')}")
    return figure


@png
def cost_of_runs(ends: Mapping[str, tuple[float, Interval]]) -> Figure:
    """The seconds and the validation accuracy of each run, by name, the best first; three are named."""
    figure = Figure(figsize=(PAGE, 3.9))
    axes = figure.add_subplot()
    times = [seconds for seconds, _ in ends.values()]
    unit, length = next(one for one in UNITS if max(times) >= 2 * one[1] or one[1] == 1)
    drawn = enumerate(zip(short_names(list(ends)), ends.values(), strict=True))
    for place, (name, (seconds, accuracy)) in reversed(list(drawn)):
        manner, time = _manner(place, name), seconds / length
        if not isnan(accuracy.low):
            span = (accuracy.low, accuracy.high)
            axes.plot((time, time), span, **{**manner, "label": None})
        axes.plot(time, accuracy.value, "o", markersize=6, **manner)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    if min(times) > 0 and max(times) > MANY_TIMES * min(times):
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(f"time of the training, in {unit}")
    _name(figure, axes)
    headline(figure, f"Accuracy and time of {counted(len(ends), 'run')}")
    return figure


def _manner(place: int, name: str) -> dict[str, Any]:
    named = place < len(COLOURS)
    return {
        "color": COLOURS[place] if named else LIGHT_BLUE,
        "linewidth": 1.8 if named else 1.0,
        "label": name if named else None,
    }


def _name(figure: Figure, axes: Axes) -> None:
    """Names the best runs below, the best first."""
    handles = list(reversed(axes.get_legend_handles_labels()[0]))
    figure.legend(handles=handles, loc="outside lower left", ncols=1, fontsize=9)
