"""`seewhy runs`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.text import counted

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
    show({"runs": runs}, as_json, lambda _: _text(runs) if runs else [empty])


def _text(runs: "Sequence[RunSummary]") -> Iterator[Part]:
    rows = [("run", "recipe", "data", "images", "accuracy", "epochs", "seconds", "date (UTC)")]
    for run in runs:
        accuracy = "-"
        if run.accuracy is not None:
            accuracy = f"{with_interval(run.accuracy)} {run.split}"
        elif run.state != "finished":
            accuracy = run.state
        epochs, seconds, images = map(_count, (run.epochs, run.seconds, run.images))
        names = str(run.path), run.recipe or "-", run.data or "-"
        when = run.date[:16].replace("T", " ")
        rows.append((*names, images, accuracy, epochs, seconds, when))
    yield Rows(rows, "lllrrrrl")
    yield ""
    yield counted(len(runs), "run")
    yield from (run.problem for run in runs if run.problem)


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"
