"""Figures of a comparison of models, as PNG."""

from collections.abc import Iterable, Sequence
from itertools import chain, count
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
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    VERMILION,
    headline,
    name_rows,
    png,
    short,
    short_names,
)
from seewhy.text import counted, visible

MOST_CLASSES = 60  # of more, only the largest differences are drawn
ON_A_SHEET = 40


def draw_comparison(compared: ModelComparison, folder: Path) -> None:
    """Writes the figures of a comparison to `folder` as PNG, replacing existing files."""
    trained = [contender for contender in compared.contenders if contender.history]
    if trained:
        write_atomic(folder / "curves.png", curves_side_by_side(trained))
    write_atomic(folder / "differences.png", differences(compared.comparison))
    parts = _in_file_names(contender.name for contender in compared.contenders)
    for difference in compared.comparison.differences:
        first, second = difference.first, difference.second
        classes = folder / f"classes-{parts[first]}-{parts[second]}.png"
        write_atomic(classes, class_differences(difference))
        for right, wrong, rows in (
            (first, second, difference.first_only),
            (second, first, difference.second_only),
        ):
            file = folder / f"{parts[right]}-not-{parts[wrong]}.png"
            _draw_disagreement(compared, right, wrong, rows, file)


def _draw_disagreement(
    compared: ModelComparison, right: str, wrong: str, rows: NDArray[np.int64], file: Path
) -> None:
    """Writes a sheet of the images that one model gets right and the other wrong."""
    images = compared.images
    if not len(rows) or images is None:
        return
    classes = compared.comparison.classes
    place = [contender.name for contender in compared.contenders].index(wrong)
    answers = compared.comparison.answers[place]
    tiles = [
        Tile(images.images[row], images.classes[images.labels[row]], classes[answers[row]])
        for row in rows[:ON_A_SHEET].tolist()
    ]
    title = f"{counted(len(rows), 'image')} that {right} gets right and {wrong} (in red) wrong"
    write_atomic(file, sheet(tiles, visible(title)))


@png
def curves_side_by_side(contenders: Sequence[ComparedModel]) -> Figure:
    """Loss and accuracy by epoch, one column per model, on shared scales."""
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
    figure.suptitle("Training curves" + "; dashed: overfitting begins" * dashed)
    return figure


@png
def differences(comparison: Comparison) -> Figure:
    """The difference in accuracy of each pair of models, with 95% confidence intervals."""
    rows = [
        (f"{short(d.first)} - {short(d.second)}", d.accuracy, d.real)
        for d in comparison.differences
    ]
    figure = Figure(figsize=(7.6, 1.6 + 0.34 * len(rows)))
    _forest(figure.add_subplot(), rows)
    figure.suptitle(
        f"Difference in accuracy on the same {counted(comparison.n, 'image')}, in percentage points"
    )
    return figure


@png
def class_differences(difference: ModelDifference) -> Figure:
    """The difference in recall of each class between two models, the largest at the top."""
    classes = sorted(difference.per_class.items(), key=lambda item: item[1].recall.value)
    largest = dict(sorted(classes, key=lambda item: abs(item[1].recall.value))[-MOST_CLASSES:])
    drawn = [(name, row) for name, row in classes if name in largest]
    names = short_names([name for name, _ in drawn])
    rows = [(name, row.recall, row.real) for name, (_, row) in zip(names, drawn, strict=True)]
    part = f", the {len(rows)} largest of {counted(len(classes), 'class')}" * (
        len(rows) < len(classes)
    )
    figure = Figure(figsize=(7.6, 1.6 + 0.26 * len(rows)))
    _forest(figure.add_subplot(), rows)
    first, second = short(difference.first), short(difference.second)
    headline(figure, f"Recall of {first} minus that of {second}, in percentage points{part}")
    return figure


def _forest(axes: Axes, rows: Sequence[tuple[str, Interval, bool]]) -> None:
    """One row per difference, with its confidence interval; coloured if it is significant."""
    for y, (_, interval, real) in enumerate(rows):
        colour = (BLUE if interval.value > 0 else VERMILION) if real else GREY
        axes.plot((interval.low, interval.high), (y, y), color=colour, linewidth=2.2)
        axes.plot(interval.value, y, "o", color=colour, markersize=6)
    axes.axvline(0, **DASHED)
    name_rows(axes, [name for name, *_ in rows], (-0.7, len(rows) - 0.3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:+.3g}" if x else "0"))
    axes.set_xlabel("grey: not significant\ncoloured: significant, corrected for multiple tests")


def _in_file_names(models: Iterable[str]) -> dict[str, str]:
    """Each model's name as part of a file name; of those that would be equal, later ones have a number."""
    parts: dict[str, str] = {}
    taken: set[str] = set()
    for model in models:
        plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in model)[-60:]
        numbered = (f"{plain}-{number}" for number in count(2))
        parts[model] = next(part for part in chain([plain], numbered) if part.lower() not in taken)
        taken.add(parts[model].lower())
    return parts
