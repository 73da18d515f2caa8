"""`seewhy learning-curve`."""

import json
from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.experiments import experiment_flags, table
from seewhy.cli.flags import overrides
from seewhy.cli.progress import shown
from seewhy.cli.tables import value
from seewhy.errors import UsageError


@click.command(context_settings={"max_content_width": 110})
@experiment_flags("learning-curve")
@click.option(
    "--shares",
    default="0.25,0.5,1",
    show_default=True,
    help="parts of the training pictures, smallest first",
)
@click.option("--seeds", default=3, show_default=True, help="runs a part, of successive seeds")
def command(
    recipe: str,
    data: str,
    out: Path | None,
    as_json: bool,
    shares: str,
    seeds: int,
    **fields: Any,
) -> None:
    """Say whether more pictures would help: train on growing parts of those there are.

    Every run takes the same number of steps, so that only the pictures differ. Stopped, the same command
    goes on.
    """
    with shown() as terminal:
        result = seewhy.learning_curve(
            data,
            recipe,
            _numbers(shares),
            seeds,
            out=out,
            overrides=overrides(fields),
            on_event=terminal,
        )
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    rows = [("pictures", result.metric, "sd", "95% interval")]
    for share in result.shares:
        mean, sd, low, high = (
            value(getattr(share.score, name), result.metric)
            for name in ("mean", "sd", "low", "high")
        )
        rows.append((f"{share.pictures:,}", mean, sd, f"{low} to {high}"))
    click.echo(f"{table(rows)}\n\n{result.sentence}")
    click.echo(f"\nruns: {result.path}   picture: {result.path / 'figures' / 'learning-curve.png'}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"--shares {text}: expected numbers such as 0.25,0.5,1") from None
