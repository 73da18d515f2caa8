"""`seewhy ensemble`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import data_sets, models
from seewhy.cli.options import (
    DATA,
    PATH,
    READING,
    as_json,
    device_option,
    reading_options,
    refuse_given,
    show,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows
from seewhy.cli.tables import with_interval
from seewhy.text import command_line, counted

if TYPE_CHECKING:
    from seewhy.workflows.ensemble import CombinedModel, MeasuredMembers


@click.command()
@click.argument("models", nargs=-1, required=True, shell_complete=models)
@click.option("--out", required=True, type=PATH, help="the new model file")
@click.option(
    "--average-weights",
    is_flag=True,
    help="one network with the mean of their weights; for models fine-tuned from one model",
)
@click.option(
    "--data", shell_complete=data_sets, help=f"also measure on its validation split: {DATA}"
)
@as_json
@reading_options
@device_option
def command(models: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Combine MODELS, which know the same classes, into one new model file.

    An ensemble answers with the mean of their calibrated probabilities; it takes the time and the space of
    all of them. With --average-weights it is a single network, as fast as one of them.

    With --data, all are measured on its validation images, and the batch-norm statistics of averaged weights
    are estimated on its training images.
    """
    if settings["data"] is None:
        refuse_given(READING, "can only say how images are read: give --data, too")
    result = seewhy.ensemble(models, on_event=Terminal(), **settings)
    show(result, as_json, lambda _: _lines(result, settings["data"]))


def _lines(result: "CombinedModel", data: str | None) -> Iterator[Part]:
    if result.measured is not None:
        yield from _table(result.measured)
        yield ""
    if result.warning is not None:
        yield f"warning: {result.warning}"
        yield ""
    following = command_line("calibrate", result.file, "--data", data or "DATA", "--out", "NEW")
    yield (
        f"{result.kind} of {counted(len(result.members), 'model')}: {result.parameters:,} parameters, "
        f"{result.bytes / 1e6:.1f} MB"
    )
    yield f"model: {result.file}   next: {following}"


def _table(measured: "MeasuredMembers") -> list[Part]:
    n = next(iter(measured.metrics.values())).n
    rows = [("", "accuracy (95%)", "log loss", "ECE")]
    for name, one in measured.metrics.items():
        rows.append((name, with_interval(one.accuracy), f"{one.nll:.3f}", f"{one.ece:.1%}"))
    return [f"val: {counted(n, 'image')}", "", Rows(rows), "", measured.difference.verdict]
