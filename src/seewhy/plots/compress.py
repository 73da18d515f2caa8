"""The figure of a compression: what each candidate loses, and what it gains."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from seewhy.exporters.gate import Candidate
from seewhy.plots.style import BLUE, DASHED, GREY, VERMILION, png, write_drawings

SMALLEST, LARGEST = 30, 700  # area of a point, in square points


def draw_compression(reference: Candidate, candidates: Sequence[Candidate], folder: Path) -> None:
    """Writes pareto.png and pareto.svg."""
    write_drawings({"pareto": (pareto, (reference, candidates))}, folder)


@png
def pareto(reference: Candidate, candidates: Sequence[Candidate]) -> Figure:
    """Accuracy by the time of one image; the area of a point is the size of the file.

    The line joins the candidates than which none is both faster and more accurate.
    """
    figure = Figure(figsize=(9, 5.5))
    axes = figure.add_subplot()
    models = [reference, *candidates]
    largest = max(one.bytes for one in models)
    for one in models:
        colour = GREY if one is reference else VERMILION if one.rejected else BLUE
        area = SMALLEST + (LARGEST - SMALLEST) * one.bytes / largest
        x, y = one.speed.p50_ms, one.accuracy
        axes.errorbar(x, y.value, [[y.value - y.low], [y.high - y.value]], color=colour, zorder=1)
        axes.scatter(x, y.value, area, color=colour, alpha=0.6, zorder=2)
        axes.annotate(
            f"{one.name}\n{one.bytes / 1e6:.2f} MB",
            (x, y.value),
            xytext=(6 + area**0.5 / 2, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=colour,
        )
    best = _frontier(models)
    axes.plot([one.speed.p50_ms for one in best], [one.accuracy.value for one in best], **DASHED)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel("milliseconds for one image on this machine, one thread (median)")
    axes.set_ylabel("accuracy on validation, 95% interval")
    axes.margins(x=0.2)
    figure.suptitle("What each candidate loses and gains")
    axes.set_title("grey: the model; blue: may replace it; red: rejected; area: bytes", color=GREY)
    return figure


def _frontier(models: Sequence[Candidate]) -> list[Candidate]:
    best: list[Candidate] = []
    for one in sorted(models, key=lambda model: (model.speed.p50_ms, -model.accuracy.value)):
        if not best or one.accuracy.value > best[-1].accuracy.value:
            best.append(one)
    return best
