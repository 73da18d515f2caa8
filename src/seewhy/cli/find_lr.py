"""`seewhy find-lr`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.flags import training_flags
from seewhy.cli.options import show
from seewhy.cli.progress import Terminal
from seewhy.config.options import set_flags
from seewhy.text import command_line


@click.command()
@training_flags("-find-lr")
@click.option("--steps", default=200, show_default=True, help="training steps, at rising rates")
def command(
    recipe: str | None,
    data: str,
    out: Path | None,
    as_json: bool,
    steps: int,
    overrides: dict[str, Any],
) -> None:
    """Find a learning rate: train for some steps at rising rates, and read it off the loss curve.

    Smith's range test (2017) with the recipe's own batches, network and optimiser. The run is not kept;
    the plot and its numbers are written to OUT.
    """
    with closing(Terminal()) as terminal:
        result = seewhy.find_lr(
            data, recipe, steps=steps, out=out, overrides=overrides, on_event=terminal
        )
    chosen = () if recipe is None else ("--recipe", recipe)
    own = set_flags({name: value for name, value in overrides.items() if name != "train.lr"})
    rate = ("--train.lr", f"{result.suggested:.2g}")
    show(
        result,
        as_json,
        lambda _: [
            f"suggested  {result.suggested:.2g}   where the loss falls fastest",
            f"cautious   {result.cautious:.2g}   a tenth of the rate of the lowest loss",
            "",
            f"plot: {result.path / 'find-lr.png'}   "
            f"next: {command_line('train', *chosen, '--data', data, *own, *rate)}",
        ],
    )
