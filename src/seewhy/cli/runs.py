"""`seewhy runs`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.tables import table, with_interval
from seewhy.text import counted, visible

if TYPE_CHECKING:
    from seewhy.workflows.runs import RunSummary


@click.command()
@click.argument("folder", type=PATH, default=Path())
@click.option(
    "--sort",
    type=click.Choice(["accuracy", "date", "name", "seconds"]),
    default="date",
    show_default=True,
    help="best, newest or shortest first, or by name",
)
@as_json
def command(folder: Path, sort: Any, as_json: bool) -> None:
    """List the runs in FOLDER and below it: recipe, data, accuracy, seconds, model."""
    runs = seewhy.list_runs(folder, sort=sort)
    empty = f"no runs in {folder}: `seewhy train` makes one"
    show({"runs": runs}, as_json, lambda _: _table(runs) if runs else empty)


def _table(runs: "Sequence[RunSummary]") -> str:
    rows = [("run", "recipe", "data", "images", "accuracy", "epochs", "seconds", "date (UTC)")]
    for run in runs:
        accuracy = "-"
        if run.accuracy is not None:
            accuracy = f"{with_interval(run.accuracy)} {run.split}"
        elif run.state != "finished":
            accuracy = run.state
        epochs, seconds, images = map(_count, (run.epochs, run.seconds, run.images))
        path, recipe, data = map(visible, (str(run.path), run.recipe or "-", run.data or "-"))
        when = run.date[:16].replace("T", " ")
        rows.append((path, recipe, data, images, accuracy, epochs, seconds, when))
    problems = [run.problem for run in runs if run.problem]
    text = f"{table(rows)}\n\n{counted(len(runs), 'run')}"
    return "\n".join([text, *map(visible, problems)])


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"
