"""`seewhy find-lr`."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.experiments import experiment_flags
from seewhy.cli.flags import overrides
from seewhy.cli.progress import Terminal
from seewhy.config.recipe import load_recipe


@click.command(context_settings={"max_content_width": 110})
@experiment_flags("find-lr")
@click.option("--steps", default=200, show_default=True, help="steps, each at a higher rate")
def command(
    recipe: str, data: str, out: Path | None, as_json: bool, steps: int, **fields: Any
) -> None:
    """Find a learning rate: train for some steps at rising rates, and read it off the loss.

    Smith's range test (2017) with the recipe's own batches, net and optimiser; the run is not kept, the
    picture and the figures go to OUT.
    """
    changes = overrides(fields)
    home = out or Path("runs", f"{load_recipe(recipe, changes).name}-find-lr")
    with closing(Terminal()) as terminal:
        result = seewhy.find_lr(
            data, recipe, steps=steps, out=home, overrides=changes, on_event=terminal
        )
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    click.echo(f"suggested  {result.suggested:.2g}   where the loss falls fastest")
    click.echo(f"cautious   {result.cautious:.2g}   a tenth of the rate of the lowest loss")
    click.echo(
        f"\npicture: {home / 'find-lr.png'}   "
        f"next: seewhy train --recipe {recipe} --data {data} --train.lr {result.suggested:.2g}"
    )
