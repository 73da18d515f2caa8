"""The figures of how fast models answer, and of how fast recipes train."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seewhy.plots.style import (
    BLUE,
    GREY,
    LIGHT_BLUE,
    LIGHT_VERMILION,
    VERMILION,
    hide_lines,
    name_rows,
    png,
    short,
    write_drawings,
)
from seewhy.text import counted

COLOURS = (LIGHT_VERMILION, LIGHT_BLUE, BLUE, VERMILION, GREY)  # of the parts of a step


class Speed(Protocol):
    """What is drawn of a model: see `workflows.benchmark.InferenceSpeed`."""

    @property
    def model(self) -> str: ...
    @property
    def runtime(self) -> str: ...
    @property
    def p50_ms(self) -> float: ...
    @property
    def p99_ms(self) -> float: ...
    @property
    def images_per_second(self) -> float: ...
    @property
    def startup_s(self) -> float: ...
    @property
    def memory_mb(self) -> float: ...


class TrainingSpeed(Protocol):
    """What is drawn of a recipe: see `workflows.benchmark_training.TrainingSpeed`."""

    @property
    def recipe(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def parts(self) -> Mapping[str, float]: ...
    @property
    def images_per_second(self) -> float: ...
    @property
    def conv_share(self) -> float: ...
    @property
    def memory_mb(self) -> float | None: ...


def draw_speeds(speeds: Sequence[Speed], threads: int, folder: Path) -> None:
    """Writes speeds.png and speeds.svg."""
    write_drawings({"speeds": (speed_bars, (speeds, threads))}, folder)


@png
def speed_bars(speeds: Sequence[Speed], threads: int) -> Figure:
    """A row a model: latency, throughput, start-up and memory."""
    figure = Figure(figsize=(11, 1.4 + 0.5 * len(speeds)))
    first, *others = figure.subplots(1, 4, sharey=True)
    rows = range(len(speeds))
    first.barh(rows, [one.p99_ms for one in speeds], 0.6, color=LIGHT_BLUE)
    first.barh(rows, [one.p50_ms for one in speeds], 0.6, color=BLUE)
    for row, one in zip(rows, speeds, strict=True):
        _number(first, one.p99_ms, row, f"{one.p50_ms:.2f} / {one.p99_ms:.2f}")
    first.set_title("ms an image: median / 99%")
    shown = (
        ("images/s at the best batch", [one.images_per_second for one in speeds], ",.0f"),
        ("seconds to the first answer", [one.startup_s for one in speeds], ".1f"),
        ("MB of memory (RSS)", [one.memory_mb for one in speeds], ",.0f"),
    )
    for axes, (title, values, form) in zip(others, shown, strict=True):
        axes.barh(rows, values, 0.6, color=BLUE)
        for row, value in zip(rows, values, strict=True):
            _number(axes, value, row, format(value, form))
        axes.set_title(title)
    for axes in (first, *others):
        hide_lines(axes)
        axes.xaxis.set_visible(False)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.45)
    name_rows(
        first, [f"{short(one.model)}, {one.runtime}" for one in speeds], (len(speeds) - 0.5, -0.5)
    )
    figure.suptitle(f"Speed of inference from prepared arrays, {counted(threads, 'thread')}")
    return figure


def draw_training_speeds(speeds: Sequence[TrainingSpeed], threads: int, folder: Path) -> None:
    """Writes training-speeds.png and training-speeds.svg."""
    write_drawings({"training-speeds": (training_bars, (speeds, threads))}, folder)


@png
def training_bars(speeds: Sequence[TrainingSpeed], threads: int) -> Figure:
    """A row a recipe: what the time of an image goes into, images/s, share of the peak, and memory."""
    figure = Figure(figsize=(11, 1.9 + 0.5 * len(speeds)))
    first, *others = figure.subplots(1, 4, sharey=True, width_ratios=(2, 1, 1, 1))
    rows, ends = range(len(speeds)), [0.0] * len(speeds)
    for part, colour in zip(speeds[0].parts, COLOURS, strict=True):
        spent = [1000 * one.parts[part] for one in speeds]
        first.barh(rows, spent, 0.6, left=ends, color=colour, label=part)
        ends = [end + more for end, more in zip(ends, spent, strict=True)]
    for row, end in enumerate(ends):
        _number(first, end, row, f"{end:.2f}")
    first.set_title("ms an image")
    first.legend(
        loc="upper left", bbox_to_anchor=(0, 0), ncols=len(COLOURS), fontsize=7, frameon=False
    )
    shown: tuple[tuple[str, Sequence[float | None], str], ...] = (
        ("images/s", [one.images_per_second for one in speeds], ",.0f"),
        ("share of the peak", [one.conv_share for one in speeds], ".0%"),
        ("MB of memory", [one.memory_mb for one in speeds], ",.0f"),
    )
    for axes, (title, values, form) in zip(others, shown, strict=True):
        axes.barh(rows, [value or 0 for value in values], 0.6, color=BLUE)
        for row, value in enumerate(values):
            text = "not known" if value is None else format(value, form)
            _number(axes, value or 0, row, text)
        axes.set_title(title)
    for axes in (first, *others):
        hide_lines(axes)
        axes.xaxis.set_visible(False)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.35)
    names = [f"{short(one.recipe)}, {one.format}" for one in speeds]
    name_rows(first, names, (len(speeds) - 0.5, -0.5))
    figure.suptitle(f"Speed of training on random images, {counted(threads, 'thread')}")
    return figure


def _number(axes: Axes, x: float, row: int, text: str) -> None:
    axes.annotate(
        text,
        (x, row),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY,
    )
