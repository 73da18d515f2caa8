"""Figures of a network's layers, and of its gradient norms during training."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line
from matplotlib.ticker import LogLocator, NullFormatter

from seewhy.plots.style import GREY, LIGHT_BLUE, LIGHT_VERMILION, PALE, png, short

if TYPE_CHECKING:
    from seewhy.models.blocks import Block

INPUT = -1  # the row of the input image, and its number among the inputs of a block
ROW = 0.4  # inches from block to block; all lengths are in inches
TALL = 0.27
WIDE, ASIDE = 3.9, 2.1  # width of a block on the main path, and of one beside it
WAY = 0.4  # the gap between them, where skip connections run
COLUMNS = (("output", 0.2, "left"), ("parameters", 2.2, "right"), ("MFLOPs", 3.1, "right"))
COLOURS = {"conv": LIGHT_BLUE, "linear": LIGHT_VERMILION, "sum": "white"}


@png
def network(blocks: "Sequence[Block]", size: int, name: str) -> Figure:
    """The network from the image at the top to the logits below: blocks, output shapes, costs.

    `size` is the side of the image in pixels. Projections and residual connections run at the left of
    the main path.
    """
    beside = [b for b in range(len(blocks)) if max(blocks[b].inputs) < b - 1]
    skips = any(min(block.inputs) < max(block.inputs) for block in blocks)
    left = WAY * (1 + skips) + (ASIDE if beside else 0)
    edges = (-left - 0.3, WIDE + COLUMNS[-1][1] + 0.1)
    figure = Figure(figsize=(edges[1] - edges[0], ROW * (len(blocks) + 2.6)))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=edges, ylim=(ROW * (len(blocks) - 0.3), ROW * -1.6))
    for part, members in groupby(range(len(blocks)), key=lambda b: blocks[b].part):
        if part:
            _panel(axes, part, list(members), edges)
    _box(axes, INPUT, f"image of {size} × {size} pixels", "white")
    for column, x, side in COLUMNS:
        axes.text(WIDE + x, ROW * INPUT, column, ha=side, va="center", color=GREY, fontsize=9)
    for b, block in enumerate(blocks):
        for source in block.inputs:
            _connect(axes, source, b, beside)
        _box(axes, b, "  ·  ".join(block.steps), COLOURS.get(block.kind, PALE), b in beside)
        _write_row(axes, b, block)
    parameters, flops = (sum(getattr(b, k) for b in blocks) for k in ("parameters", "flops"))
    figure.suptitle(f"{name}: {parameters:,} parameters, {flops / 1e6:,.1f} MFLOPs per image")
    return figure


def _write_row(axes: Axes, row: int, block: "Block") -> None:
    parameters = f"{block.parameters:,}" if block.parameters else ""
    flops = "<0.1" if block.flops < 5e4 else f"{block.flops / 1e6:,.1f}"
    flops = flops if block.flops else ""
    shape = " × ".join(map(str, block.shape))
    for text, (_, x, side) in zip((shape, parameters, flops), COLUMNS, strict=True):
        axes.text(WIDE + x, ROW * row, text, ha=side, va="center", fontsize=9)


def _box(axes: Axes, row: int, text: str, colour: str, aside: bool = False) -> None:
    left, wide = (-WAY - ASIDE, ASIDE) if aside else (0.0, WIDE)
    shape = "round,pad=0,rounding_size=0.06"
    corner = (left, ROW * row - TALL / 2)
    axes.add_patch(
        FancyBboxPatch(corner, wide, TALL, shape, facecolor=colour, edgecolor=GREY, linewidth=0.8)
    )
    axes.text(left + wide / 2, ROW * row, text, ha="center", va="center", fontsize=8.5)


def _panel(axes: Axes, part: str, rows: Sequence[int], edges: tuple[float, float]) -> None:
    """A pale background behind the blocks of one part, with its name at the left."""
    top, bottom = ROW * (rows[0] - 0.44), ROW * (rows[-1] + 0.44)
    axes.axhspan(top, bottom, color="#F7F7F7", zorder=0)
    turned = {"rotation": 90, "x": edges[0] + 0.12, "ha": "center"}
    level = {"x": edges[0] + 0.04, "ha": "left"}
    style: dict[str, Any] = turned if len(rows) > 1 else level
    axes.text(y=(top + bottom) / 2, s=short(part), va="center", color=GREY, fontsize=9, **style)


def _connect(axes: Axes, source: int, target: int, beside: Sequence[int]) -> None:
    """An arrow down the main path, or at its left if it skips blocks or joins one beside the path."""
    start, end, middle = ROW * source, ROW * target, -WAY - ASIDE / 2
    leaves, arrives = (0.0, start + TALL / 4), (0.0, end - TALL / 4)  # at the left edge of a block
    if target in beside:
        way = [leaves, (middle, leaves[1]), (middle, end - TALL / 2)]
    elif source in beside:
        way = [(middle, start + TALL / 2), (middle, arrives[1]), arrives]
    elif all(between in beside for between in range(source + 1, target)):
        way = [(WIDE / 2, start + TALL / 2), (WIDE / 2, end - TALL / 2)]
    else:
        way = [leaves, (-WAY, leaves[1]), (-WAY, arrives[1]), arrives]
    arrow = FancyArrowPatch(
        path=Line(way), arrowstyle="-|>", mutation_scale=7, color=GREY, linewidth=1.1, zorder=1
    )
    arrow.set_joinstyle("round")
    axes.add_patch(arrow)


@png
def gradient_norms(rows: Sequence[Mapping[str, float]]) -> Figure:
    """The gradient norm of each layer during training, with its median: shows vanishing gradients.

    Rows have `step` and one column per layer, the first layer first, as in gradient_norms.csv.
    """
    layers = [name for name in rows[0] if name != "step"]
    steps = [row["step"] for row in rows]
    norms = np.array([[row[name] for name in layers] for row in rows])
    values = np.where(norms > 0, norms, np.nan)  # a logarithmic axis has no 0
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    figure = Figure(figsize=(10, max(4.2, 1.2 + 0.24 * len(layers))))
    over, by_layer = figure.subplots(1, 2, width_ratios=(3, 2))
    places = np.arange(len(layers))
    for place in places:
        over.plot(steps, values[:, place], color=colours[place], linewidth=1.2)
        known = values[np.isfinite(values[:, place]), place]
        if len(known):
            by_layer.plot((known.min(), known.max()), (place, place), color=colours[place])
            by_layer.plot(np.median(known), place, "o", color=colours[place], markersize=6)
    over.set(yscale="log", xlabel="step", title="gradient norm of each layer")
    by_layer.set(
        xscale="log", title="median and range during training", ylim=(len(layers) - 0.5, -0.5)
    )
    narrow = np.nanmax(values, initial=1e-38) < 1000 * np.nanmin(values, initial=1e38)
    for axis in (over.yaxis, by_layer.xaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=5))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    by_layer.set_yticks(places, [short(name) for name in layers], fontsize=9)
    first, last = np.median(np.nan_to_num(norms[:, [0, -1]]), axis=0)
    figure.suptitle(
        f"Gradient of the first layer: {_share(first, last)} that of the last layer (medians)"
    )
    return figure


def _share(first: float, last: float) -> str:
    if not 0 < first < 0.1 * last:
        return "0 times" if first == 0 else f"{first / max(last, 1e-38):.2g} times"
    return f"1/{last / first:,.0f} of"
