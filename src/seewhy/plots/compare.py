"""Drawings of a comparison of models: figures in, PNG out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from seewhy.analysis.compare import ComparedModel, Comparison, ModelComparison, ModelDifference
from seewhy.evaluation.stats.intervals import Interval
from seewhy.files import write_atomic
from seewhy.plots.sheets import Tile, sheet
from seewhy.plots.style import BLUE, DASHED, GREY, VERMILION, png, short
from seewhy.text import visible

MOST_CLASSES = 60  # more are drawn in part: the largest differences
ON_A_SHEET = 40


def draw_comparison(found: ModelComparison, folder: Path) -> None:
    """Draws models beside each other, as PNG files in `folder`, which are written over."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = [contender for contender in found.contenders if contender.history]
    if trained:
        write_atomic(folder / "curves.png", curves_side_by_side(trained))
    write_atomic(folder / "differences.png", differences(found.comparison))
    for difference in found.comparison.differences:
        pair = f"{_file(difference.first)}-{_file(difference.second)}"
        write_atomic(folder / f"classes-{pair}.png", class_differences(difference))
        if found.pictures is not None:
            _draw_alone(found, difference.first, difference.second, difference.first_only, folder)
            _draw_alone(found, difference.second, difference.first, difference.second_only, folder)


def _draw_alone(
    found: ModelComparison, right: str, wrong: str, rows: NDArray[np.int64], folder: Path
) -> None:
    """A sheet of the pictures that one model gets right and the other wrong."""
    if not len(rows) or found.pictures is None:
        return
    classes, images = found.comparison.classes, found.pictures
    place = [contender.name for contender in found.contenders].index(wrong)
    said = found.comparison.answers[place]
    tiles = [
        Tile(images.images[row], images.classes[images.labels[row]], classes[said[row]])
        for row in rows[:ON_A_SHEET].tolist()
    ]
    title = f"{len(rows):,} pictures that {right} gets right and {wrong} (in red) wrong"
    write_atomic(folder / f"{_file(right)}-not-{_file(wrong)}.png", sheet(tiles, visible(title)))


@png
def curves_side_by_side(contenders: Sequence[ComparedModel]) -> Figure:
    """Loss and accuracy of each training, a column a model, on the same scales."""
    figure = Figure(figsize=(max(6.0, 3.4 * len(contenders)), 5.8))
    grid = figure.subplots(2, len(contenders), sharey="row", sharex="col", squeeze=False)
    for column, contender in enumerate(contenders):
        epochs = [row["epoch"] for row in contender.history]
        for axes, name in zip(grid[:, column], ("loss", "accuracy"), strict=True):
            for part, colour in (("train", VERMILION), ("val", BLUE)):
                values = [row[f"{part}_{name}"] for row in contender.history]
                label = "training" if part == "train" else "validation"
                axes.plot(epochs, values, color=colour, label=label)
            if contender.curves and contender.curves.onset is not None:
                axes.axvline(contender.curves.onset, **DASHED)
        grid[0, column].set_title(short(contender.name))
        grid[1, column].set_xlabel("epoch")
        grid[1, column].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    grid[1, 0].yaxis.set_major_formatter(PercentFormatter(1))
    grid[0, 0].set_ylabel("loss")
    grid[1, 0].set_ylabel("accuracy")
    grid[0, 0].legend()
    dashed = any(c.curves and c.curves.onset is not None for c in contenders)
    figure.suptitle("How each was trained" + ("; dashed: where overfitting sets in" * dashed))
    return figure


@png
def differences(comparison: Comparison) -> Figure:
    """What each model has over each other in accuracy, with its 95% interval."""
    rows = [
        (f"{short(d.first)} - {short(d.second)}", d.accuracy, d.real)
        for d in comparison.differences
    ]
    figure = Figure(figsize=(7.6, 1.6 + 0.34 * len(rows)))
    _forest(figure.add_subplot(), rows)
    figure.suptitle(f"Difference in accuracy on the same {comparison.n:,} pictures, in points")
    return figure


@png
def class_differences(difference: ModelDifference) -> Figure:
    """What one model has over another in the recall of each class, the largest above."""
    found = sorted(difference.per_class.items(), key=lambda item: item[1].recall.value)
    part = ""
    if len(found) > MOST_CLASSES:
        found = sorted(found, key=lambda item: abs(item[1].recall.value))[-MOST_CLASSES:]
        found = sorted(found, key=lambda item: item[1].recall.value)
        part = f", the {MOST_CLASSES} largest of {len(difference.per_class)} classes"
    rows = [(short(name), row.recall, row.real) for name, row in found]
    figure = Figure(figsize=(7.6, 1.6 + 0.26 * len(rows)))
    _forest(figure.add_subplot(), rows)
    first, second = short(difference.first), short(difference.second)
    figure.suptitle(f"Recall of {first} less that of {second}, in points{part}")
    return figure


def _forest(axes: Axes, rows: Sequence[tuple[str, Interval, bool]]) -> None:
    """A row a difference, with its interval; coloured where chance is an unlikely cause."""
    for y, (_, interval, real) in enumerate(rows):
        colour = (BLUE if interval.value > 0 else VERMILION) if real else GREY
        axes.plot((interval.low, interval.high), (y, y), color=colour, linewidth=2.2)
        axes.plot(interval.value, y, "o", color=colour, markersize=6)
    axes.axvline(0, **DASHED)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:+.3g}" if x else "0"))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("grey: may be chance; coloured: real, after correction for several tests")


def _file(name: str) -> str:
    """A model's name as part of a file name."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[-60:]
