"""`seewhy runs`."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.text import counted, epochs_done

if TYPE_CHECKING:
    from seewhy.analysis.runs import RunSummary
    from seewhy.evaluation.stats.intervals import Interval


@click.command()
@click.argument("folder", type=PATH, default=Path())
@click.option(
    "--sort",
    type=click.Choice(["accuracy", "test_accuracy", "date", "name", "recipe", "data", "seconds"]),
    default="date",
    show_default=True,
    help="best (on validation, or on test), newest or shortest first, or by name",
)
@click.option(
    "--out", type=PATH, help="an HTML page that draws them side by side, with their reports"
)
@as_json
def command(folder: Path, sort: Any, out: Path | None, as_json: bool) -> None:
    """List the runs in FOLDER and below it: recipe, data, accuracy, seconds, model."""
    runs = seewhy.list_runs(folder, sort=sort, out=out)
    empty = f"no runs in {folder}: `seewhy train` makes one"
    page = [] if out is None else [f"page: {out}"]
    lines = chain(_text(runs) if runs else [empty], page)
    show({"runs": runs, "page": out}, as_json, lambda _: lines)


def _text(runs: "Sequence[RunSummary]") -> Iterator[Part]:
    tested = any(run.test_accuracy for run in runs)
    accuracies = ("validation accuracy", *["test accuracy"] * tested)
    numbers = ("images", *accuracies, "epochs", "seconds", "size")
    rows = [("run", "recipe", "model", "data", *numbers, "date (UTC)")]
    for run in runs:
        measured = [_accuracy(run.accuracy) if run.state == "finished" else run.state]
        if tested:
            measured.append(_accuracy(run.test_accuracy))
        seconds, images = map(_count, (run.seconds, run.images))
        epochs = "-" if run.epochs is None else epochs_done(run.epochs)
        names = str(run.path), *(name or "-" for name in (run.recipe, run.network, run.data))
        size = "-" if run.megabytes is None else f"{run.megabytes:.1f} MB"
        when = run.date[:16].replace("T", " ")
        rows.append((*names, images, *measured, epochs, seconds, size, when))
    yield Rows(rows, f"llll{'r' * len(numbers)}l")
    yield ""
    yield counted(len(runs), "run")
    yield from (run.problem for run in runs if run.problem)


def _accuracy(accuracy: "Interval | None") -> str:
    return "-" if accuracy is None else with_interval(accuracy)


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"
