"""What a terminal shows of work in progress: a bar, and of a training its curve and what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import isfinite
from typing import TYPE_CHECKING

from seewhy.cli.tables import value
from seewhy.events import Progress, RunStarted, Step
from seewhy.text import counted, visible

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

BLOCKS = " ▁▂▃▄▅▆▇█"
LINES = 3  # of the curve
DONE, TO_DO = "cyan", "dim"  # the colours of a bar, on a dark and on a light background
NARROW = 60  # columns, below which a line says less


@dataclass
class Curve:
    """The validation metric of a run, epoch by epoch, its best value, and the epochs since then."""

    values: list[float] = field(default_factory=list)
    best: float | None = None
    stale: int = 0

    def add(self, number: float, best: bool) -> None:
        if isfinite(number):
            self.values.append(number)
        self.best, self.stale = (number, 0) if best else (self.best, self.stale + 1)


def work(progress: Progress, seconds: float, since: int, width: int) -> "RenderableType":
    """A bar for images, predictions or bytes; `since` of them were done when the `seconds` began."""
    rate = (progress.done - since) / seconds if seconds else 0.0
    if progress.what == "downloading":
        amount = (
            f"{progress.done / 1e6:,.1f} of {progress.total / 1e6:,.1f} MB  {rate / 1e6:,.1f} MB/s"
        )
    else:
        amount = f"{progress.done:,} of {counted(progress.total, progress.unit)}"
        amount += f"  {rate:,.0f}/s" if rate else ""
    left = f"{_time((progress.total - progress.done) / rate)} left" if rate else ""
    tail = f"{amount}  {left}" if width >= NARROW else left
    return _bar(progress.what, progress.done, progress.total, tail)


def training(
    step: Step, run: RunStarted | None, curve: Curve, rate: float, width: int
) -> "RenderableType":
    """The bar of a training, its metrics, its curve, and what comes next."""
    from rich.console import Group
    from rich.text import Text

    pace = step.seconds / step.step
    left = _time(pace * (step.total_steps - step.step))
    turn = f"{run.number}/{run.total} {run.name}  " if run and run.name else ""
    epochs = f"/{max(run.epochs, step.epoch)}" if run else ""
    lines = [f"loss {step.loss:.3f}  accuracy {step.accuracy:.1%}  {rate:,.0f} images/s"]
    if run is not None and run.epochs:
        lines += _next(step, run, curve, pace)
    texts = [Text(visible(line), no_wrap=width >= NARROW, overflow="ellipsis") for line in lines]
    title = f"{turn}epoch {step.epoch}{epochs}"
    parts: list[RenderableType] = [_bar(title, step.step, step.total_steps, f"{left} left"), *texts]
    if run is not None and curve.values:
        parts.append(_chart(curve, run, width))
    return Group(*parts)


def _next(step: Step, run: RunStarted, curve: Curve, pace: float) -> list[str]:
    """What the training will do."""
    to_validation = step.epoch * step.total_steps // run.epochs - step.step
    more = run.epochs - step.epoch
    after = (
        "the report" if not run.name else f"run {run.number + 1}" if run.number < run.total else ""
    )
    steps = [
        f"validation in {_time(pace * max(to_validation, 0))}",
        f"{counted(more, 'more epoch')}" if more > 0 else "",
        after,
    ]
    lines = [f"next: {', then '.join(filter(None, steps))}"]
    if run.schedule:
        lines.append(f"learning rate {step.lr:.2g}: {run.schedule}")
    if run.patience is not None:
        epochs = counted(max(run.patience - curve.stale, 1), "more epoch")
        lines.append(f"stops after {epochs} without a better {run.metric.replace('_', ' ')}")
    return lines


def _bar(title: str, done: int, total: int, tail: str) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1, min_width=8)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total, done, style=TO_DO, complete_style=DONE, finished_style=DONE)
    share = f"{done / total:4.0%}" if total else ""
    grid.add_row(Text(visible(title)), bar, Text(f"{share}  {tail}"))
    return grid


def _chart(curve: Curve, run: RunStarted, width: int) -> "Group":
    """The curve as bars, from its lowest to its highest value; room is left for the epochs to come."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    low, high = min(curve.values), max(curve.values)
    latest, best = (value(one, run.metric) for one in (curve.values[-1], curve.best or high))
    grid = Table.grid(padding=(0, 1))
    ends = [value(high, run.metric), *[""] * (LINES - 2), value(low, run.metric)]
    for label, line in zip(ends, bars(curve.values, run.epochs, width - 10), strict=True):
        grid.add_row(f"{label:>8}", line)
    title = f"validation {run.metric.replace('_', ' ')} {latest}, best {best}"
    return Group(Text(title, no_wrap=True, overflow="ellipsis"), grid)


def bars(values: Sequence[float], total: int, width: int) -> list[str]:
    """Values as bars in `LINES` lines of at most `width` characters, with room for more, up to `total`."""
    total = max(len(values), min(total, max(8 * len(values), width)))
    each = max(1, min(width // total, 4))  # characters of a value
    shown = min(total, width)
    places = [number * total // shown for number in range(shown)]
    low, high = min(values), max(values)
    scale = (8 * LINES - 1) / ((high - low) or 1)
    heights = [1 + round((values[place] - low) * scale) for place in places if place < len(values)]
    lines = [
        "".join(each * BLOCKS[min(max(height - 8 * line, 0), 8)] for height in heights)
        for line in reversed(range(LINES))
    ]
    lines[-1] += each * (shown - len(heights)) * "·"
    return lines


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
