"""The figure of what the networks reach in the time that they take."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from seewhy.plots.style import BLUE, GREY, LIGHT_BLUE, png

SMALLEST, LARGEST = 20, 900  # area of a point, in square points


@png
def accuracy_by_time(measured: Mapping[str, Any], costs: Mapping[str, Mapping[str, int]]) -> Figure:
    """Accuracy by minutes of training, a point a network; its area grows with the FLOPs of an image."""
    figure = Figure(figsize=(9, 6))
    axes = figure.add_subplot()
    reached = measured["networks"]
    most = max(costs[name]["flops"] for name in reached)
    for name, figures in sorted(reached.items(), key=lambda item: -costs[item[0]]["flops"]):
        minutes, accuracy = figures["seconds"] / 60, figures["accuracy"]
        area = SMALLEST + (LARGEST - SMALLEST) * costs[name]["flops"] / most
        axes.scatter(minutes, accuracy, area, color=LIGHT_BLUE, edgecolors=BLUE, zorder=2)
        axes.annotate(
            f"{name}\n{costs[name]['parameters'] / 1e6:.2f} M",
            (minutes, accuracy),
            xytext=(4 + area**0.5 / 2, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=GREY,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(f"minutes of {measured['epochs']} epochs on {measured['machine']['processor']}")
    axes.set_ylabel("accuracy on validation")
    axes.margins(x=0.15)
    figure.suptitle(f"{measured['data']}, {measured['epochs']} epochs, 1 seed")
    axes.set_title("area: FLOPs of an image; beside a point: parameters in millions", color=GREY)
    return figure
