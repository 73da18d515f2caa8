"""Figures of experiments, as PNG: the results of several runs together."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from seewhy.analysis.experiments.ablation import Ablation
from seewhy.analysis.experiments.learning_curve import LearningCurve
from seewhy.analysis.experiments.lr_range import LrRange
from seewhy.analysis.experiments.repetition import Folds, Seeds
from seewhy.analysis.experiments.tuning import Tuning
from seewhy.evaluation.stats.intervals import Interval
from seewhy.evaluation.stats.summary import Summary
from seewhy.files import write_atomic
from seewhy.plots.style import BLUE, DASHED, GREY, LIGHT_BLUE, VERMILION, headline, png, short
from seewhy.text import counted, visible

History = Sequence[Mapping[str, float]]


def draw_seeds(result: Seeds, folder: Path) -> None:
    """Writes `seeds.png` to `folder`: the curve and final accuracy of each seed, and their mean."""
    ends = {
        f"seed {seed}": Interval(**run.metrics["val"]["accuracy"])
        for seed, run in zip(result.seeds, result.runs, strict=True)
    }
    accuracy = result.figures["accuracy"]
    mean = Interval(accuracy.mean, accuracy.low, accuracy.high)
    title = f"{counted(len(ends), 'seed')}: mean validation accuracy {mean.value:.1%}"
    if not isnan(accuracy.sd):
        title += f"\n(95% CI of the mean {mean.low:.1%} to {mean.high:.1%})"
    histories = [run.history for run in result.runs]
    write_atomic(folder / "seeds.png", repeats(histories, ends, ("mean", mean), title))


def draw_folds(result: Folds, folder: Path) -> None:
    """Writes `folds.png` to `folder`: the curve and final accuracy of each fold, and that over all images."""
    ends = {
        run.path.name.replace("-", " "): Interval(**run.metrics["val"]["accuracy"])
        for run in result.runs
    }
    whole = result.whole.accuracy
    title = (
        f"{counted(len(ends), 'fold')}: accuracy {whole.value:.1%} on all "
        f"{counted(result.whole.n, 'image')}, each held out\n"
        f"(95% CI {whole.low:.1%} to {whole.high:.1%})"
    )
    histories = [run.history for run in result.runs]
    write_atomic(folder / "folds.png", repeats(histories, ends, ("all", whole), title))


def draw_tuning(result: Tuning, folder: Path) -> None:
    """Writes `history.png` and, if known, `importance.png` to `folder`."""
    write_atomic(folder / "history.png", tuning_history(result))
    if result.importance:
        write_atomic(folder / "importance.png", importance(result))


@png
def repeats(
    histories: Sequence[History],
    ends: Mapping[str, Interval],
    together: tuple[str, Interval],
    title: str,
) -> Figure:
    """Runs of one recipe: validation accuracy by epoch, and each final one with its confidence interval.

    `histories` as in history.csv; `ends` by the name of the run; `together` is the last row.
    """
    figure = Figure(figsize=(10, max(3.6, 2.2 + 0.26 * len(ends))))
    way, end = figure.subplots(1, 2)
    for history in histories:
        epochs = [row["epoch"] for row in history]
        way.plot(epochs, [row["val_accuracy"] for row in history], color=LIGHT_BLUE, linewidth=1.2)
    shared = min(map(len, histories))
    means = np.mean([[row["val_accuracy"] for row in h[:shared]] for h in histories], axis=0)
    way.plot(np.arange(1, shared + 1), means, color=BLUE, label="mean")
    way.set(xlabel="epoch", title="validation accuracy by epoch")
    way.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    way.legend(loc="lower right")
    named = {**ends, together[0]: together[1]}
    for y, (name, interval) in enumerate(named.items()):
        colour = BLUE if name == together[0] else GREY
        _whisker(end, y, interval, colour)
    end.set_yticks(range(len(named)), [short(name) for name in named])
    end.set_ylim(len(named) - 0.4, -0.6)
    end.grid(axis="y", visible=False)
    end.set_title("final validation accuracy, with 95% CI")
    way.yaxis.set_major_formatter(PercentFormatter(1))
    _percent(end)
    figure.suptitle(title)
    return figure


@png
def ablation(result: Ablation) -> Figure:
    """Rows of an ablation: the score of each seed and their mean, and the difference to the base.

    A difference is coloured if it is significant after Holm's correction: blue if better, vermilion if
    worse.
    """
    rows = result.rows
    better, worse = ("higher", "lower") if result.mode == "max" else ("lower", "higher")
    colours = {better: BLUE, worse: VERMILION}
    figure = Figure(figsize=(10, 1.9 + 0.36 * len(rows)))
    left, right = figure.subplots(1, 2, sharey=True)
    for y, row in enumerate(rows):
        if "score" in row.figures:
            _summary(left, y, row.figures["score"], GREY)
        if row.difference is not None:
            change = row.difference
            interval = Interval(change.mean, change.low, change.high)
            _whisker(right, y, interval, colours.get(row.verdict, GREY))
    names = [_row_name(row.name, row.after, rows[0].name) for row in rows]
    left.set_yticks(range(len(rows)), names)
    left.set_ylim(len(rows) - 0.4, -0.6)
    right.axvline(0, **DASHED)
    right.tick_params(axis="y", length=0, labelleft=False)
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
        if result.metric != "loss":
            _percent(axes)
    if result.metric != "loss":
        right.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:+.3g}" if x else "0"))
    unit = "" if result.metric == "loss" else " in percentage points"
    left.set_title(f"validation {result.metric}: seeds and mean")
    right.set_title(f"paired difference{unit}, with 95% CI")
    labels = {f"significantly {way}": colour for way, colour in colours.items()}
    labels["not significant"] = GREY
    handles = [Line2D([], [], color=colour, label=label) for label, colour in labels.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    seeds = counted(len(result.seeds), "seed")
    figure.suptitle(fill(visible(f"{result.about or rows[0].name} ({seeds} per row)"), 90))
    return figure


@png
def tuning_history(result: Tuning) -> Figure:
    """The value of each trial and the best so far; the best trials and the base over new seeds."""
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    done = [trial for trial in result.trials if trial.state == "complete"]
    pruned = [
        trial for trial in result.trials if trial.state == "pruned" and not isnan(trial.value)
    ]
    values = [trial.value for trial in done]
    worst, best = (min, max) if result.mode == "max" else (max, min)
    edge = float(np.median(values)) - 3 * (best(values) - float(np.median(values)))
    edge = best(edge, worst(values))  # much worse trials are drawn here, so that the others differ
    for trials, mark, colour, name in (
        (pruned, "x", GREY, "pruned, at its last epoch"),
        (done, "o", BLUE, "complete"),
    ):
        heights = [best(trial.value, edge) for trial in trials]
        left.plot([t.number for t in trials], heights, mark, color=colour, markersize=5, label=name)
    way = [best(best(values[: n + 1]), edge) for n in range(len(values))]
    numbers = [trial.number for trial in done]
    left.step(numbers, way, where="post", color=VERMILION, linewidth=1.2, label="best so far")
    title = f"validation {result.metric} by trial, outliers at the edge"
    left.set(xlabel="trial", title=title)
    left.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.legend(loc="best", fontsize=9)
    for y, one in enumerate(result.contenders):
        _summary(right, y, one.score, GREY if one.change is None else BLUE)
    right.set_yticks(range(len(result.contenders)), [one.name for one in result.contenders])
    right.set_ylim(len(result.contenders) - 0.4, -0.6)
    right.grid(axis="y", visible=False)
    right.set_title(f"{counted(len(result.best.runs), 'new seed')} and their mean")
    if result.metric != "loss":
        left.yaxis.set_major_formatter(PercentFormatter(1))
        _percent(right)
    headline(figure, f"{counted(len(result.trials), 'trial')}: {result.verdict}")
    return figure


@png
def importance(result: Tuning) -> Figure:
    """How much each searched field explains of the differences between trials, the largest at the top."""
    fields = sorted(result.importance.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(fields)))
    axes = figure.add_subplot()
    axes.barh([short(name) for name, _ in fields], [share for _, share in fields], color=BLUE)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    complete = sum(trial.state == "complete" for trial in result.trials)
    figure.suptitle(f"Importance for {result.metric}, over {counted(complete, 'complete trial')}")
    return figure


@png
def lr_range(result: LrRange) -> Figure:
    """Loss by learning rate, per step and smoothed, and the suggested learning rates."""
    figure = Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    axes.plot(result.rates, result.losses, ".", color=LIGHT_BLUE, markersize=4, label="each step")
    axes.plot(result.rates, result.smoothed, color=BLUE, label="smoothed")
    suggested = "suggested: steepest descent"
    axes.axvline(result.suggested, color=VERMILION, linewidth=1.5, label=suggested)
    axes.axvline(result.cautious, **DASHED, label="cautious: a tenth of the rate at the minimum")
    low, high = float(result.smoothed.min()), float(result.smoothed[: len(result.rates) // 2].max())
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_ylim(low - 0.15 * (high - low), high + 0.5 * (high - low))
    axes.legend(loc="lower left", fontsize=9)
    headline(figure, f"{result.recipe}: suggested learning rate {result.suggested:.2g}")
    return figure


@png
def learning_curve(result: LearningCurve) -> Figure:
    """Score by number of training images (log scale), the fitted power law and its extrapolation."""
    figure = Figure(figsize=(7, 4.4))
    axes = figure.add_subplot()
    sizes = [share.pictures for share in result.shares]
    for share in result.shares:
        values = share.score.values
        axes.plot([share.pictures] * len(values), values, "o", color=LIGHT_BLUE, markersize=5)
    if result.law is not None:
        reach = np.geomspace(sizes[0], 2 * sizes[-1], 100)
        ats = [result.law.at(x) for x in reach]
        low, value, high = (
            np.array([getattr(at, n) for at in ats]) for n in ("low", "value", "high")
        )
        axes.fill_between(reach, low, high, color=LIGHT_BLUE, alpha=0.3, linewidth=0)
        known = reach <= sizes[-1]
        axes.plot(reach[known], value[known], color=BLUE)
        axes.plot(reach[~known], value[~known], color=BLUE, linestyle="--")
    means = [share.score.mean for share in result.shares]
    axes.plot(sizes, means, "D", color=BLUE, markersize=6)
    axes.set(xscale="log", xlabel="training images", ylabel=f"validation {result.metric}")
    ticks = [*sizes, 2 * sizes[-1]] if result.law is not None else sizes
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    handles = [
        Line2D([], [], color=LIGHT_BLUE, marker="o", linestyle="", label="run"),
        Line2D([], [], color=BLUE, marker="D", linestyle="", label="mean"),
        Line2D([], [], color=BLUE, label="fitted power law, with 95% CI"),
    ]
    axes.legend(handles=handles, loc="lower right", fontsize=9)
    figure.suptitle(f"More images {result.verdict}")
    return figure


def _summary(axes: Axes, y: int, score: Summary, colour: str) -> None:
    """Values as pale dots, with their mean and its confidence interval."""
    _whisker(axes, y, Interval(score.mean, score.low, score.high), colour)
    axes.plot(score.values, [y] * len(score.values), "o", color=LIGHT_BLUE, markersize=4, zorder=3)


def _whisker(axes: Axes, y: int, interval: Interval, colour: str) -> None:
    if not isnan(interval.low):
        axes.plot((interval.low, interval.high), (y, y), color=colour, linewidth=1.8)
    axes.plot(interval.value, y, "|", color=colour, markersize=13, markeredgewidth=2.4)


def _percent(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.4g}%"))


def _row_name(name: str, after: str | None, base: str) -> str:
    return short(name) if after in (None, base) else f"{short(name)}\nvs {short(after or '')}"
