"""The figure of what the networks reach in the time that they take."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from seewhy.plots.style import BLUE, GREY, LIGHT_BLUE, png

SMALLEST, LARGEST = 20, 900  # area of a point, in square points
LINE = 6  # points: how far a name moves up or down at a time
LEADER = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 0}


@png
def accuracy_by_time(measured: Mapping[str, Any], costs: Mapping[str, Mapping[str, int]]) -> Figure:
    """Accuracy by minutes of training, a point a network; its area grows with the FLOPs of an image."""
    figure = Figure(figsize=(9, 6.5))
    axes = figure.add_subplot()
    reached = measured["networks"]
    most = max(costs[name]["flops"] for name in reached)
    points = {
        name: (
            figures["seconds"] / 60,
            figures["accuracy"],
            SMALLEST + (LARGEST - SMALLEST) * costs[name]["flops"] / most,
        )
        for name, figures in sorted(reached.items(), key=lambda item: -costs[item[0]]["flops"])
    }
    for minutes, accuracy, area in points.values():
        axes.scatter(minutes, accuracy, area, color=LIGHT_BLUE, edgecolors=BLUE, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel(f"minutes of {measured['epochs']} epochs on {measured['machine']['processor']}")
    axes.set_ylabel("accuracy on validation")
    axes.margins(x=0.2)
    figure.suptitle(f"{measured['data']}, {measured['epochs']} epochs, 1 seed")
    axes.set_title("area: FLOPs of an image; beside a name: parameters in millions", color=GREY)
    names = {name: f"{name} {costs[name]['parameters'] / 1e6:.2f} M" for name in points}
    _name_points(axes, {names[name]: point for name, point in points.items()})
    return figure


def _name_points(axes: Axes, points: Mapping[str, tuple[float, float, float]]) -> None:
    """Writes each name right of its point, or up or down of there, where it covers no point and no name."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # the layout decides where the points are
    pixels = figure.dpi / 72  # of a typographic point, in which areas and offsets are
    centres = [axes.transData.transform(point[:2]) for point in points.values()]
    radii = [area**0.5 / 2 for _, _, area in points.values()]
    covered = [
        Bbox.from_bounds(x, y, 0, 0).padded(pixels * radius)
        for (x, y), radius in zip(centres, radii, strict=True)
    ]
    for (name, point), (x, y), radius in zip(points.items(), centres, radii, strict=True):
        text = axes.annotate(
            name,
            point[:2],
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=GREY,
            arrowprops=LEADER | {"shrinkB": radius},
        )
        text.set_in_layout(False)  # or the points would move
        size = Text.get_window_extent(text)  # an annotation's own also has its line
        for step in chain.from_iterable((n, -n) for n in range(50)):
            right, up = radius + 5 + abs(step), step * LINE
            low = y + pixels * up - size.height / 2
            place = Bbox.from_bounds(x + pixels * right, low, size.width, size.height)
            if not any(place.overlaps(other) for other in covered):
                break
        text.xyann = (right, up)
        covered.append(place)
