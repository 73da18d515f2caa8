"""Figures of a dataset: class counts, image sizes, example images, and the images of each finding."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from seewhy.data import ImageSet
from seewhy.data.inspect import Finding, Gathered, Statistics
from seewhy.plots.sheets import MOST, Tile, sheet
from seewhy.plots.style import (
    BLUE,
    GREY,
    LIGHT_BLUE,
    PALE,
    VERMILION,
    headline,
    hide_lines,
    name_rows,
    png,
    short,
    short_names,
)
from seewhy.text import counted, shortened

MOST_CLASSES = 100  # of more, only a part is drawn
MOST_ROWS = 40  # classes in the overview
LONGEST = 18  # characters of a file name below an image
EACH, SHEET_ROWS = 10, 6  # images per line, lines on the sheet of one class

_COLOURS = {"train": BLUE, "val": LIGHT_BLUE, "test": VERMILION, "left_out": GREY}
_LABELS = {"test": "test (sealed: only counted)", "left_out": "left out"}


@png
def class_counts(figures: Statistics) -> Figure:
    """The number of images of each class in each split, the largest class at the top."""
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
    names = short_names([figures.classes[number] for number in order])
    name_rows(axes, names, (-0.6, len(order) - 0.4), 9)
    axes.set_xlim(0, 1.12 * max(left.max(), 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    handles = [
        Patch(color=_COLOURS[name], label=_LABELS.get(name, name)) for name in figures.counts
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    few, many = figures.smallest_and_largest
    each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    part = f", the {len(order)} largest" if len(order) < len(total) else ""
    figure.suptitle(
        f"{counted(total.sum(), 'image')} in {counted(len(total), 'class')}{part}: {each} training "
        f"images per class"
    )
    return figure


@png
def image_sizes(figures: Statistics) -> Figure:
    """Width and height of the original images of train and val as dots, and the stored size."""
    width, height = figures.sizes.T
    side = figures.stored
    figure = Figure(figsize=(6.4, 6.2))
    axes = figure.add_subplot(aspect="equal")
    low, high = min(figures.sizes.min(), side) / 1.3, max(figures.sizes.max(), side) * 1.3
    note: dict[str, Any] = {"textcoords": "offset points", "color": GREY, "fontsize": 8}
    for shape, text in ((1, "square"), (3 / 2, "3:2"), (2 / 3, "2:3"), (3, "3:1"), (1 / 3, "1:3")):
        axes.plot((low * shape, high * shape), (low, high), color=PALE, linewidth=1, zorder=1)
        x, y = (high, high / shape) if shape >= 1 else (high * shape, high)
        axes.annotate(text, (x, y), (-3, -3), ha="right", va="top", **note)
    size = float(np.interp(len(width), (100, 10_000), (22, 4)))
    axes.scatter(width, height, s=size, color=BLUE, alpha=0.45, linewidths=0, zorder=2)
    axes.plot((low, side, side), (side, side, low), color=VERMILION, linewidth=1.4, zorder=3)
    axes.text(low * 1.04, side, f" stored: {side}x{side}", color=VERMILION, va="bottom", fontsize=9)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set(xlabel="width in pixels", ylabel="height in pixels")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
    axes.grid(False)
    distinct = len(np.unique(figures.sizes, axis=0))
    figure.suptitle(
        f"{counted(len(width), 'image')} in {counted(distinct, 'size')}, median {np.median(width):,.0f}x"
        f"{np.median(height):,.0f}"
    )
    return figure


@png
def overview(images: ImageSet) -> Figure:
    """A row of training images of each class, always the same ones."""
    shown = range(len(images.classes))[:MOST_ROWS]
    mosaic = _mosaic(images, [_some(images, label, EACH) for label in shown])
    figure, axes = _plain(mosaic)
    middles = (np.arange(len(shown)) + 0.5) * len(mosaic) / len(shown)
    axes.set_yticks(middles, short_names([images.classes[label] for label in shown]))
    part = "" if len(shown) == len(images.classes) else f"the first {len(shown)} of "
    figure.suptitle(f"Training images of {part}{counted(len(images.classes), 'class')}")
    return figure


@png
def class_sheet(images: ImageSet, label: int) -> Figure:
    """Training images of one class, always the same ones."""
    rows = _some(images, label, EACH * SHEET_ROWS)
    lines = [rows[start : start + EACH] for start in range(0, len(rows), EACH)]
    figure, _ = _plain(_mosaic(images, lines or [rows]))
    count = images.counts[label]
    part = f"{len(rows)} of " if len(rows) < count else ""
    figure.suptitle(f"{short(images.classes[label])}: {part}{counted(count, 'training image')}")
    return figure


def _mosaic(images: ImageSet, lines: Sequence[np.ndarray]) -> np.ndarray:
    """Images side by side on white, `EACH` per line, uint8 `(H, W, 3)`."""
    side = images.images.shape[1]
    step = side + max(1, side // 12)
    mosaic = np.full((len(lines) * step, EACH * step, 3), 255, np.uint8)
    for y, line in enumerate(lines):
        for x, image in enumerate(images.images[line]):
            mosaic[y * step : y * step + side, x * step : x * step + side] = image
    return mosaic


def _plain(mosaic: np.ndarray) -> tuple[Figure, Axes]:
    """A figure of these pixels alone; few pixels are drawn without interpolation."""
    height, width = mosaic.shape[:2]
    figure = Figure(figsize=(10.5, 0.5 + 9.4 * height / width), layout="compressed")
    axes = figure.add_subplot()
    axes.imshow(mosaic, interpolation="nearest" if width < EACH * 72 else "antialiased")
    axes.set(xticks=[], yticks=[])
    hide_lines(axes)
    return figure, axes


def finding_sheet(finding: Finding, images: Gathered) -> bytes | None:
    """The images of a finding with the measured values, pairs side by side; test images stay hidden.

    None if the finding is not about images.
    """
    tiles: list[Tile | None] = []
    for example in finding.examples:
        if len(tiles) + len(example.rows) > MOST:
            break
        for row in example.rows:
            tiles.append(_tile(row, example.detail if row == example.rows[0] else "", images))
    if not tiles:
        return None
    shown = len(tiles) // len(finding.examples[0].rows)
    part = f"; the first {shown}" if shown < finding.count else ""
    return sheet(tiles, f"{finding.kind}, {finding.count:,}: {finding.what}{part}")


@png
def telling_number(
    number: str, values: np.ndarray, images: ImageSet, predictable: Collection[int]
) -> Figure:
    """The distribution of one measured value in each class; classes that it predicts are red.

    Thick lines hold half the images of a class, thin ones 90%; the dot is the median.
    """
    classes = np.flatnonzero(images.counts)
    medians = {label: np.median(values[images.labels == label]) for label in classes}
    order = sorted(classes, key=lambda label: medians[label])
    order = [label for label in order if label in predictable or len(order) <= MOST_CLASSES]
    figure = Figure(figsize=(7, 1.6 + 0.26 * len(order)))
    axes = figure.add_subplot()
    for place, label in enumerate(order):
        colour = VERMILION if label in predictable else BLUE
        low, quarter, middle, third, high = np.quantile(
            values[images.labels == label], (0.05, 0.25, 0.5, 0.75, 0.95)
        )
        axes.plot((low, high), (place, place), color=colour, linewidth=1)
        axes.plot((quarter, third), (place, place), color=colour, linewidth=5, alpha=0.45)
        axes.plot(middle, place, "o", color=colour, markersize=5)
    names = short_names([images.classes[label] for label in order])
    name_rows(axes, names, (-0.6, len(order) - 0.4), 9)
    axes.set_xlabel(number)
    named = [name for label, name in zip(order, names, strict=True) if label in predictable]
    headline(figure, f"{number} alone is enough to recognise {shortened(named)}")
    return figure


def _tile(row: int, detail: str, images: Gathered) -> Tile:
    """An image with its split, class and file name; a grey one for a sealed test image."""
    split = str(images.splits[row])
    name = str(images.ids[row]).rpartition("/")[2]
    name = name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]
    if row >= len(images.opened):
        side = images.opened.images.shape[1]
        return Tile(np.full((side, side, 3), 236, np.uint8), f"{split}, not shown", detail, name)
    return Tile(images.opened.images[row], f"{split}: {images.label(row)}", detail, name)


def _some(images: ImageSet, label: int, count: int) -> np.ndarray:
    """Up to `count` rows of a class, chosen by content hash, so that they are always the same."""
    rows = np.flatnonzero(images.labels == label)
    return rows[np.argsort(images.hashes[rows], kind="stable")[:count]]
