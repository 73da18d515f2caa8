"""`seewhy ensemble`."""

from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import DATA, PATH, as_json, device_option, reading_options, show
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import with_interval
from seewhy.text import command_line, counted, visible

if TYPE_CHECKING:
    from seewhy.workflows.ensemble import CombinedModel, MeasuredMembers


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--out", required=True, type=PATH, help="the new model file")
@click.option(
    "--average-weights",
    is_flag=True,
    help="one network with the mean of their weights; for models fine-tuned from one model",
)
@click.option("--data", help=f"also measure on its validation split: {DATA}")
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
    result = seewhy.ensemble(models, on_event=Terminal(), **settings)
    show(result, as_json, lambda _: "\n".join(_lines(result, settings["data"])))


def _lines(result: "CombinedModel", data: str | None) -> list[str]:
    lines = [] if result.measured is None else [*_table(result.measured), ""]
    if result.warning is not None:
        lines += [f"warning: {result.warning}", ""]
    following = command_line("calibrate", result.file, "--data", data or "DATA", "--out", "NEW")
    lines += [
        f"{result.kind} of {counted(len(result.members), 'model')}: {result.parameters:,} parameters, "
        f"{result.bytes / 1e6:.1f} MB",
        f"model: {result.file}   next: {following}",
    ]
    return lines


def _table(measured: "MeasuredMembers") -> list[str]:
    width = max(8, *(len(visible(name)) for name in measured.metrics))
    n = next(iter(measured.metrics.values())).n
    lines = [
        f"val: {counted(n, 'image')}",
        "",
        f"{'':<{width}}  accuracy (95%)            log loss    ECE",
    ]
    for name, one in measured.metrics.items():
        lines.append(
            f"{visible(name):<{width}}  {with_interval(one.accuracy):<24}  {one.nll:>8.3f}  {one.ece:>5.1%}"
        )
    return [*lines, "", measured.difference.verdict]
