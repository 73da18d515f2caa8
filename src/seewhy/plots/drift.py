"""The figure of a drift: which classes are predicted more or less often than before."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from seewhy.analysis.drift import ClassShare, Drift
from seewhy.plots.style import BLUE, GREY, VERMILION, png, short_names, write_drawings
from seewhy.text import counted

MOST = 20  # classes, those whose probabilities differ most


def draw_drift(drift: Drift, folder: Path) -> None:
    """Writes drift.png and drift.svg."""
    write_drawings({"drift": (class_shares, (drift,))}, folder)


@png
def class_shares(drift: Drift) -> Figure:
    """How often each class is predicted, in the reference and in the window, with 95% intervals."""
    shares = sorted(drift.classes.items(), key=lambda item: item[1].p)[:MOST]
    figure = Figure(figsize=(8, 1.6 + 0.32 * len(shares)))
    axes = figure.add_subplot()
    for place, (_, share) in enumerate(shares):
        _row(axes, place, share)
    axes.set_yticks(range(len(shares)), short_names([name for name, _ in shares]))
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the images for which the class is predicted")
    figure.legend(loc="outside lower center", ncols=2)
    part = f": the {len(shares)} of {counted(len(drift.classes), 'class')} that differ most"
    figure.suptitle(
        ("The window differs" if drift.drifted else "No difference shown")
        + part * (len(shares) < len(drift.classes))
    )
    return figure


def _row(axes: Axes, place: int, share: ClassShare) -> None:
    sides = (
        ("reference", share.reference, GREY, -0.14),
        ("window", share.window, VERMILION if share.moved else BLUE, 0.14),
    )
    for name, one, colour, offset in sides:
        bounds = [[one.value - one.low], [one.high - one.value]]
        label = f"_{name}" if place else name
        y = place + offset
        axes.errorbar(one.value, y, xerr=bounds, fmt="o", markersize=4, color=colour, label=label)
