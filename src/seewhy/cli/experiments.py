"""What the verbs for experiments share: their flags, what they show, and their tables."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from seewhy.cli.flags import recipe_flags
from seewhy.evaluation.stats.summary import Spread, Summary
from seewhy.events import Begun, Done, Epoch, Step
from seewhy.text import visible

# Lines of a run that would only repeat what an experiment says of it.
QUIET, KNOWN = ("run: ", "model: "), "nothing to resume"


def experiment_flags(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds --recipe, --data, --out, --json and a flag for each field of a recipe."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        command = recipe_flags(command)
        for option in (
            click.option(
                "--json", "as_json", is_flag=True, help="one JSON object on standard output"
            ),
            click.option(
                "--out", type=click.Path(path_type=Path), help=f"directory [runs/RECIPE-{kind}]"
            ),
            click.option("--data", default="cifar10", show_default=True, help="as for train"),
            click.option(
                "--recipe", default="fast", show_default=True, help="a recipe's name or YAML file"
            ),
        ):
            command = option(command)
        return command

    return add


class ExperimentLine:
    """Shows an experiment: a live line of the run under way, a lasting line for each one done."""

    def __init__(self) -> None:
        self._begun: Begun | None = None
        self._bar: tqdm[Any] | None = None
        self._said: set[str] = set()
        self._validation = ""

    def __call__(self, event: str | Step | Epoch | Begun | Done) -> None:
        if isinstance(event, Begun):
            self._begun, self._validation = event, ""
        elif isinstance(event, Step):
            self._step(event)
        elif isinstance(event, Epoch):
            self._validation = f"val {event.validation['accuracy']:.1%},"
        elif isinstance(event, Done):
            self._done(event)
        elif event not in self._said and not event.startswith(QUIET) and not event.endswith(KNOWN):
            self._said.add(event)
            self.write(event)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def write(self, line: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            print(visible(line), file=sys.stderr, flush=True)

    def _step(self, step: Step) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=step.total_steps,
                initial=step.step - 1,
                leave=False,
                disable=None,
                bar_format="{desc} |{bar:16}| {postfix} {remaining} left",
            )
        turn = (
            f"{self._begun.number}/{self._begun.total} {self._begun.name}  " if self._begun else ""
        )
        self._bar.set_description_str(f"{visible(turn)}epoch {step.epoch}", refresh=False)
        self._bar.set_postfix_str(f"loss {step.loss:.3f}, {self._validation}", refresh=False)
        self._bar.update(1)

    def _done(self, done: Done) -> None:
        self.close()
        turn = f"{self._begun.number:>3}/{self._begun.total}" if self._begun else ""
        figure = "" if isnan(done.value) else f"{done.metric} {value(done.value, done.metric)}"
        took = "" if isnan(done.seconds) else f"{done.seconds:,.0f} s"
        self.write(f"{turn}  {done.name:<32}  {figure}  {took}  {done.note}".rstrip())


@contextmanager
def shown() -> Iterator[ExperimentLine]:
    """An `ExperimentLine` for the block; says how to go on when it is stopped."""
    line = ExperimentLine()
    try:
        yield line
    except (KeyboardInterrupt, SystemExit):
        line.close()
        line.write("stopped: the same command goes on from here")
        raise
    finally:
        line.close()


def summary_table(figures: Mapping[str, Spread]) -> str:
    """Means and standard deviations by metric, with the mean's interval where it has one."""
    interval = any(isinstance(one, Summary) for one in figures.values())
    header = ("", "mean", "sd", "95% interval of the mean" if interval else "")
    rows = [
        (
            name.replace("_", " "),
            value(one.mean, name),
            value(one.sd, name),
            f"{value(one.low, name)} to {value(one.high, name)}"
            if isinstance(one, Summary)
            else "",
        )
        for name, one in figures.items()
    ]
    return table([header, *rows])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def value(figure: float, metric: str) -> str:
    """A figure as its metric is read: a rate in percent, a loss as a number."""
    if isnan(figure):
        return "-"
    return f"{figure:.4f}" if metric == "loss" else f"{figure:.2%}"
