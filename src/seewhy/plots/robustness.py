"""Drawings of what is left of a model's accuracy when pictures go bad, move, or are made to deceive it.

Figures come as in analysis/robustness.json.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from seewhy.config.names import ATTACKS
from seewhy.plots.sheets import SMALL
from seewhy.plots.style import (
    BLUE,
    DASHED,
    GREY,
    LIGHT_BLUE,
    VERMILION,
    Drawings,
    png,
    short,
    write_drawings,
)

if TYPE_CHECKING:
    from seewhy.analysis.robustness import Adversarial

COLOURS = {"fgsm": LIGHT_BLUE, "pgd": VERMILION, "square": BLUE}
CELL = 150  # pixels: the side of a drawn example
LOST = LinearSegmentedColormap.from_list("lost", ["white", VERMILION])


def draw_robustness(
    found: Mapping[str, Any],
    examples: Mapping[str, NDArray[np.uint8]],
    adversarial: "Adversarial | None",
    classes: tuple[str, ...],
    folder: Path,
) -> None:
    """Draws figures and pictures as PNG and SVG files in `folder`, which are written over.

    `examples` as `corruption_examples` takes them.
    """
    drawings = robustness_drawings(found)
    drawings["robustness-examples"] = corruption_examples, (examples,)
    if adversarial is not None:
        drawings["robustness-adversarial"] = adversarial_sheet, (adversarial, classes)
    write_drawings(drawings, folder)


def robustness_drawings(found: Mapping[str, Any]) -> Drawings:
    """The drawings that need no pictures."""
    return {
        "robustness-corruptions": (corruption_map, (found,)),
        "robustness-transformations": (transformation_curves, (found,)),
        "robustness-attacks": (attack_curves, (found,)),
    }


@png
def corruption_map(found: Mapping[str, Any]) -> Figure:
    """The accuracy left under each corruption and strength, the most harmful first."""
    values = {
        name: np.array([interval["value"] for interval in row])
        for name, row in found["corruptions"].items()
    }
    names = sorted(values, key=lambda name: float(values[name].mean()))
    table = np.stack([np.append(values[name], values[name].mean()) for name in names])
    clean, error = found["clean"]["value"], found["mean_corruption_error"]
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
    axes.set_xlabel("strength", color=GREY)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.axvline(table.shape[1] - 1.5, color="white", linewidth=4)
    figure.suptitle(
        f"Percent right when {found['n']:,} pictures go bad; {100 * clean:.1f} as they are\n"
        f"Mean corruption error {error['value']:.1%} (95% interval {error['low']:.1%} to "
        f"{error['high']:.1%})"
    )
    return figure


@png
def corruption_examples(examples: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """One picture, in every corruption: (1 + strengths, S, S, 3), first as it is, then ever worse."""
    columns = len(next(iter(examples.values())))
    figure = Figure(figsize=(1.0 * columns + 1.5, 1.0 * len(examples) + 0.7))
    grid = figure.subplots(
        len(examples), columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02}
    )
    for row, (name, pictures) in enumerate(examples.items()):
        for axes, picture in zip(grid[row], pictures, strict=True):
            _show(axes, _small(picture))
        grid[row, 0].set_ylabel(written(name), rotation=0, ha="right", va="center", fontsize=9)
    titles = ["as it is", *(f"strength {k}" for k in range(1, columns))]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, loc="center", fontsize=9)
    figure.suptitle("What the corruptions look like")
    return figure


@png
def transformation_curves(found: Mapping[str, Any]) -> Figure:
    """Accuracy against JPEG quality, shift, rotation and scale, with 95% intervals."""
    figure = Figure(figsize=(9.2, 6.6))
    panels = figure.subplots(2, 2, sharey=True).ravel()
    for axes, curve in zip(panels, found["transformations"].values(), strict=True):
        _curve(axes, curve, BLUE)
        axes.axhline(found["clean"]["value"], **DASHED)
        axes.set_xlabel(curve["about"])
        if curve["about"].startswith("JPEG"):
            axes.invert_xaxis()
    panels[0].set_ylim(0, 1)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    figure.suptitle(
        "Accuracy when pictures are compressed, moved, turned and scaled; dashed: as they are"
    )
    return figure


@png
def attack_curves(found: Mapping[str, Any]) -> Figure:
    """Accuracy under attack, by how far a value may change, with 95% intervals."""
    figure = Figure(figsize=(6.8, 4.6))
    axes = figure.add_subplot()
    for name, curve in found["attacks"].items():
        _curve(axes, curve, COLOURS[name], f"{ATTACKS[name]}, {found['attacked'][name]:,} pictures")
    axes.axhline(found["clean"]["value"], **DASHED)
    axes.set_xscale("log", base=2)
    ticks = sorted({s for curve in found["attacks"].values() for s in curve["strengths"]})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("largest change of a value, in grey levels of 255")
    axes.legend(fontsize=9)
    figure.suptitle("Share right of pictures that are changed to deceive; dashed: as they are")
    return figure


@png
def adversarial_sheet(found: "Adversarial", classes: tuple[str, ...]) -> Figure:
    """Pictures before and after an attack, and the difference, amplified."""
    count = len(found.labels)
    difference = found.after.astype(np.float32) - found.before
    gain = 127 / found.radius
    amplified = np.clip(127.5 + gain * difference, 0, 255).astype(np.uint8)
    figure = Figure(figsize=(max(1.25 * count + 1.2, 7.5), 4.8))
    grid = figure.subplots(3, max(count, 5), squeeze=False)
    for axes in grid[:, count:].flat:
        axes.axis("off")
    for column in range(count):
        shown = (found.before[column], found.after[column], amplified[column])
        for axes, picture in zip(grid[:, column], shown, strict=True):
            _show(axes, picture)
        captions = classes[found.labels[column]], classes[found.answers[column]]
        for axes, name, colour in zip(
            grid[:, column], captions, ("black", VERMILION), strict=False
        ):
            axes.set_xlabel(short(name), color=colour, fontsize=_fitting(name), labelpad=2)
    lines = ("as it is", "changed", f"difference,\n{gain:.0f} times")
    for axes, text in zip(grid[:, 0], lines, strict=True):
        axes.set_ylabel(text, color=GREY, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(
        f"Each value changed by at most {found.radius:g} of 255, and taken for another class (red)"
    )
    return figure


def written(name: str) -> str:
    """A corruption's name as it is read."""
    return name.replace("_", " ").replace("jpeg", "JPEG")


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at no more than the pixels that it is drawn with, which keeps files small."""
    image = Image.fromarray(picture)
    image.thumbnail((CELL, CELL))
    return np.asarray(image)


def _fitting(name: str) -> float:
    """The size at which a name is as wide as its picture, at most."""
    return min(9.0, 120 / max(len(short(name)), 1))


def _curve(axes: Axes, curve: Mapping[str, Any], colour: str, label: str | None = None) -> None:
    x = curve["strengths"]
    value, low, high = (
        [interval[key] for interval in curve["accuracy"]] for key in ("value", "low", "high")
    )
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, value, color=colour, marker="o", markersize=4, label=label)


def _show(axes: Axes, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="nearest" if picture.shape[0] <= SMALL else "antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.grid(False)
