"""Figures of a model's accuracy under corruptions, transformations and adversarial attacks."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from seewhy.analysis.robustness_record import Adversarial, Curve, Robustness
from seewhy.config.names import ATTACKS
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    LIGHT_BLUE,
    PAGE,
    SMALL,
    VERMILION,
    Drawings,
    headline,
    hide_lines,
    png,
    short,
    with_interval,
    write_drawings,
)
from seewhy.text import counted

COLOURS = {"fgsm": LIGHT_BLUE, "pgd": VERMILION, "square": BLUE}
CELL = 150  # pixels: the side of a drawn example
LOST = LinearSegmentedColormap.from_list("lost", ["white", VERMILION])


def draw_robustness(
    results: Robustness,
    examples: Mapping[str, NDArray[np.uint8]],
    adversarial: Adversarial | None,
    classes: tuple[str, ...],
    folder: Path,
) -> None:
    """Writes all figures to `folder` as PNG and SVG, replacing existing files.

    `examples` as for `corruption_examples`.
    """
    drawings = robustness_drawings(results)
    drawings["robustness-examples"] = corruption_examples, (examples,)
    if adversarial is not None:
        drawings["robustness-adversarial"] = adversarial_sheet, (adversarial, classes)
    write_drawings(drawings, folder)


def robustness_drawings(results: Robustness) -> Drawings:
    """The figures that need no images, by file name."""
    return {
        "robustness-corruptions": (corruption_map, (results,)),
        "robustness-transformations": (transformation_curves, (results,)),
        "robustness-attacks": (attack_curves, (results,)),
    }


@png
def corruption_map(results: Robustness) -> Figure:
    """Accuracy under each corruption and severity, the most harmful first."""
    values = {
        name: np.array([interval.value for interval in row])
        for name, row in results.corruptions.items()
    }
    names = sorted(values, key=lambda name: float(values[name].mean()))
    table = np.stack([np.append(values[name], values[name].mean()) for name in names])
    clean, error = results.clean.value, results.mean_corruption_error
    figure = Figure(figsize=(6.6, 1.5 + 0.3 * len(names)))
    axes = figure.add_subplot()
    lost = np.clip(clean - table, 0, None)
    axes.imshow(lost, cmap=LOST, vmin=0, vmax=max(1.25 * float(lost.max()), 0.05), aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        weight = "bold" if column == table.shape[1] - 1 else "normal"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", weight=weight)
    columns = [*map(str, range(1, table.shape[1])), "mean"]
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(names)), [written(name) for name in names])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("severity", color=GREY)
    hide_lines(axes)
    axes.axvline(table.shape[1] - 1.5, color="white", linewidth=4)
    figure.suptitle(
        f"Accuracy in percent on {counted(results.n, 'corrupted image')}; {100 * clean:.1f} when clean\n"
        f"Mean corruption error {with_interval(error, '.1%')}"
    )
    return figure


@png
def corruption_examples(examples: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """One image under each corruption: (1 + severities, S, S, 3), clean first, then increasing severity."""
    columns = len(next(iter(examples.values())))
    figure = Figure(figsize=(1.0 * columns + 1.5, 1.0 * len(examples) + 0.7))
    grid = figure.subplots(
        len(examples), columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02}
    )
    for row, (name, images) in enumerate(examples.items()):
        for axes, image in zip(grid[row], images, strict=True):
            _show(axes, _small(image))
        grid[row, 0].set_ylabel(written(name), rotation=0, ha="right", va="center", fontsize=9)
    titles = ["clean", *(f"severity {k}" for k in range(1, columns))]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, loc="center", fontsize=9)
    figure.suptitle("One image under each corruption")
    return figure


@png
def transformation_curves(results: Robustness) -> Figure:
    """Accuracy by JPEG quality, shift, rotation and scale, with 95% confidence intervals."""
    figure = Figure(figsize=(PAGE, 5.6))
    panels = figure.subplots(2, 2, sharey=True).ravel()
    for axes, (name, curve) in zip(panels, results.transformations.items(), strict=True):
        _curve(axes, curve, BLUE)
        axes.axhline(results.clean.value, **DASHED)
        axes.set_title("JPEG" if name == "jpeg" else name)
        axes.set_xlabel(fill(curve.about, 26), fontsize=9)
        if name == "jpeg":
            axes.invert_xaxis()
    panels[0].set_ylim(0, 1)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    headline(figure, "Accuracy under transformations; dashed: clean images")
    return figure


@png
def attack_curves(results: Robustness) -> Figure:
    """Accuracy under attack, by the largest change per value, with 95% confidence intervals."""
    figure = Figure(figsize=(PAGE, 4.6))
    axes = figure.add_subplot()
    for name, curve in results.attacks.items():
        _curve(
            axes,
            curve,
            COLOURS[name],
            f"{ATTACKS[name]}, {counted(results.attacked[name], 'image')}",
        )
    axes.axhline(results.clean.value, **DASHED)
    axes.set_xscale("log", base=2)
    ticks = sorted({s for curve in results.attacks.values() for s in curve.strengths})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("largest change per value (of 255)")
    figure.legend(loc="outside lower center", fontsize=9)
    headline(figure, "Accuracy under adversarial attacks; dashed: clean images")
    return figure


@png
def adversarial_sheet(attacked: Adversarial, classes: tuple[str, ...]) -> Figure:
    """Images before and after an attack, and the amplified difference."""
    count = len(attacked.labels)
    difference = attacked.after.astype(np.float32) - attacked.before
    gain = 127 / attacked.radius
    amplified = np.clip(127.5 + gain * difference, 0, 255).astype(np.uint8)
    figure = Figure(figsize=(max(1.25 * count + 1.2, 7.5), 4.8))
    grid = figure.subplots(3, max(count, 5), squeeze=False)
    for axes in grid[:, count:].flat:
        axes.axis("off")
    for column in range(count):
        shown = (attacked.before[column], attacked.after[column], amplified[column])
        for axes, image in zip(grid[:, column], shown, strict=True):
            _show(axes, image)
        captions = classes[attacked.labels[column]], classes[attacked.answers[column]]
        colours = ("black", VERMILION)
        for axes, name, colour in zip(grid[:, column], captions, colours, strict=False):
            size = min(9.0, 120 / max(len(short(name)), 1))  # at most as wide as the image
            axes.set_xlabel(short(name), color=colour, fontsize=size, labelpad=2)
    lines = ("clean", "attacked", f"difference,\n{gain:.0f} times")
    for axes, text in zip(grid[:, 0], lines, strict=True):
        axes.set_ylabel(text, color=GREY, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(
        f"Each value changed by at most {attacked.radius:g} of 255: the model predicts another class (red)"
    )
    return figure


def written(name: str) -> str:
    """The display name of a corruption."""
    return name.replace("_", " ").replace("jpeg", "JPEG")


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with no more pixels than are drawn, which keeps files small."""
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((CELL, CELL))
    return np.asarray(thumbnail)


def _curve(axes: Axes, curve: Curve, colour: str, label: str | None = None) -> None:
    """Accuracy by strength as a line with markers, and its confidence interval as a band."""
    x = curve.strengths
    value, low, high = (
        [getattr(interval, key) for interval in curve.accuracy] for key in ("value", "low", "high")
    )
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, value, color=colour, marker="o", markersize=4, label=label)


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image, interpolation="nearest" if image.shape[0] <= SMALL else "antialiased")
    axes.set(xticks=[], yticks=[])
    hide_lines(axes)
