"""Drawings of a data set: how many, how large, what they look like, and what is wrong with them."""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from seewhy.data import ImageSet
from seewhy.data.inspect import Finding, Gathered, Statistics
from seewhy.plots.sheets import MOST, Tile, sheet
from seewhy.plots.style import BLUE, GREY, LIGHT_BLUE, PALE, VERMILION, png, short

MOST_CLASSES = 100  # more are drawn in part
MOST_ROWS = 40  # classes in the overview
LONGEST = 18  # letters of a file name below a picture
EACH, SHEET_ROWS = 10, 6  # pictures in a line of it, lines of a class's own sheet

_COLOURS = {"train": BLUE, "val": LIGHT_BLUE, "test": VERMILION, "left_out": GREY}
_NAMES = {
    "train": "train",
    "val": "val",
    "test": "test (sealed: counted only)",
    "left_out": "left out",
}


@png
def class_counts(figures: Statistics) -> Figure:
    """How many pictures each class has in each split; the largest above."""
    total = np.sum(list(figures.counts.values()), axis=0)
    order = np.lexsort((-np.arange(len(total)), total))[-MOST_CLASSES:]
    figure = Figure(figsize=(8, 1.9 + 0.24 * len(order)))
    axes = figure.add_subplot()
    left = np.zeros(len(order))
    for name, counts in figures.counts.items():
        axes.barh(range(len(order)), counts[order], left=left, height=0.72, color=_COLOURS[name])
        left += counts[order]
    for place, count in enumerate(total[order]):
        axes.text(left[place], place, f"  {count:,}", va="center", color=GREY, fontsize=9)
    names = [short(figures.classes[number]) for number in order]
    axes.set_yticks(range(len(order)), names, fontsize=9)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlim(0, 1.12 * max(left.max(), 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    handles = [Patch(color=_COLOURS[name], label=_NAMES[name]) for name in figures.counts]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    few, many = figures.smallest_and_largest
    each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    part = f", the {len(order)} largest" if len(order) < len(total) else ""
    figure.suptitle(
        f"{total.sum():,} pictures of {len(total):,} classes{part}: {each} of each to train on"
    )
    return figure


@png
def picture_sizes(figures: Statistics) -> Figure:
    """Width and height of the whole pictures of train and val, each a dot, and what is stored of them."""
    width, height = figures.sizes.T
    figure = Figure(figsize=(6.4, 6.2))
    axes = figure.add_subplot(aspect="equal")
    low, high = figures.sizes.min() / 1.3, figures.sizes.max() * 1.3
    for shape, text in ((1, "square"), (3 / 2, "3:2"), (2 / 3, "2:3"), (3, "3:1"), (1 / 3, "1:3")):
        axes.plot((low * shape, high * shape), (low, high), color=PALE, linewidth=1, zorder=1)
        x, y = (high, high / shape) if shape >= 1 else (high * shape, high)
        axes.annotate(
            text,
            (x, y),
            (-3, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color=GREY,
            fontsize=8,
        )
    size = float(np.interp(len(width), (100, 10_000), (22, 4)))
    axes.scatter(width, height, s=size, color=BLUE, alpha=0.45, linewidths=0, zorder=2)
    side = figures.stored
    axes.plot((low, side, side), (side, side, low), color=VERMILION, linewidth=1.4, zorder=3)
    axes.text(low * 1.04, side, f" stored: {side}x{side}", color=VERMILION, va="bottom", fontsize=9)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set(xlabel="width in pixels", ylabel="height in pixels")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
    axes.grid(False)
    distinct = len(np.unique(figures.sizes, axis=0))
    figure.suptitle(
        f"{len(width):,} pictures in {distinct:,} sizes, {np.median(width):,.0f}x"
        f"{np.median(height):,.0f} in the middle"
    )
    return figure


@png
def overview(images: ImageSet) -> Figure:
    """A row of training pictures of each class, the same ones each time."""
    shown = range(len(images.classes))[:MOST_ROWS]
    mosaic = _mosaic(images, [_some(images, label, EACH) for label in shown])
    figure, axes = _plain(mosaic)
    middles = (np.arange(len(shown)) + 0.5) * len(mosaic) / len(shown)
    axes.set_yticks(middles, [short(images.classes[label]) for label in shown])
    part = "" if len(shown) == len(images.classes) else f"the first {len(shown)} of "
    figure.suptitle(f"Training pictures of {part}{len(images.classes):,} classes")
    return figure


@png
def class_sheet(images: ImageSet, label: int) -> Figure:
    """Training pictures of one class, the same ones each time."""
    rows = _some(images, label, EACH * SHEET_ROWS)
    lines = [rows[start : start + EACH] for start in range(0, len(rows), EACH)]
    figure, _ = _plain(_mosaic(images, lines or [rows]))
    count = images.counts[label]
    part = f"{len(rows)} of {count:,}" if len(rows) < count else f"all {count:,}"
    figure.suptitle(f"{short(images.classes[label])}: {part} training pictures")
    return figure


def _mosaic(images: ImageSet, lines: Sequence[np.ndarray]) -> np.ndarray:
    """Lays pictures side by side on white, `EACH` in a line, uint8 `(H, W, 3)`."""
    side = images.images.shape[1]
    step = side + max(1, side // 12)
    mosaic = np.full((len(lines) * step, EACH * step, 3), 255, np.uint8)
    for y, line in enumerate(lines):
        for x, picture in enumerate(images.images[line]):
            mosaic[y * step : y * step + side, x * step : x * step + side] = picture
    return mosaic


def _plain(mosaic: np.ndarray) -> tuple[Figure, Axes]:
    """A figure of nothing but these pixels, each a whole number of dots where they are few."""
    height, width = mosaic.shape[:2]
    figure = Figure(figsize=(10.5, 0.5 + 9.4 * height / width), layout="compressed")
    axes = figure.add_subplot()
    axes.imshow(mosaic, interpolation="nearest" if width < EACH * 72 else "antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure, axes


def finding_sheet(finding: Finding, pictures: Gathered) -> bytes | None:
    """The pictures of a finding with what was measured, pairs side by side; test stays covered.

    None for a finding that is about no picture.
    """
    tiles: list[Tile | None] = []
    for example in finding.examples:
        if len(tiles) + len(example.rows) > MOST:
            break
        for row in example.rows:
            tiles.append(_found(row, example.detail if row == example.rows[0] else "", pictures))
    if not tiles:
        return None
    shown = len(tiles) // len(finding.examples[0].rows)
    part = f"; the first {shown}" if shown < finding.count else ""
    return sheet(tiles, f"{finding.kind}, {finding.count:,}: {finding.what}{part}")


@png
def telling_number(
    number: str, values: np.ndarray, images: ImageSet, given_away: Collection[int]
) -> Figure:
    """How one number spreads in each class; classes that it gives away are red.

    Thick lines hold half the pictures of a class, thin ones 90%; the dot is the median.
    """
    classes = np.flatnonzero(images.counts)
    medians = {label: np.median(values[images.labels == label]) for label in classes}
    order = sorted(classes, key=lambda label: medians[label])
    order = [label for label in order if label in given_away or len(order) <= MOST_CLASSES]
    figure = Figure(figsize=(7, 1.6 + 0.26 * len(order)))
    axes = figure.add_subplot()
    for place, label in enumerate(order):
        colour = VERMILION if label in given_away else BLUE
        low, quarter, middle, third, high = np.quantile(
            values[images.labels == label], (0.05, 0.25, 0.5, 0.75, 0.95)
        )
        axes.plot((low, high), (place, place), color=colour, linewidth=1)
        axes.plot((quarter, third), (place, place), color=colour, linewidth=5, alpha=0.45)
        axes.plot(middle, place, "o", color=colour, markersize=5)
    axes.set_yticks(
        range(len(order)), [short(images.classes[label]) for label in order], fontsize=9
    )
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel(number)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    named = ", ".join(short(images.classes[label]) for label in order if label in given_away)
    figure.suptitle(f"{number} alone gives {named} away")
    return figure


def _found(row: int, detail: str, pictures: Gathered) -> Tile:
    where = str(pictures.splits[row])
    name = str(pictures.ids[row]).rpartition("/")[2]
    name = name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]
    if row >= len(pictures.opened):
        side = pictures.opened.images.shape[1]
        return Tile(np.full((side, side, 3), 236, np.uint8), f"{where}, not shown", detail, name)
    return Tile(pictures.opened.images[row], f"{where}: {pictures.label(row)}", detail, name)


def _some(images: ImageSet, label: int, count: int) -> np.ndarray:
    """Returns up to `count` rows of a class, picked by content, so that the same are shown each time."""
    rows = np.flatnonzero(images.labels == label)
    return rows[np.argsort(images.hashes[rows], kind="stable")[:count]]
