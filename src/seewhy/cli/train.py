"""`seewhy train`."""

from pathlib import Path
from typing import Any

import click

from seewhy import pipeline
from seewhy.cli.flags import overrides, recipe_flags
from seewhy.cli.progress import ReadingBar, TrainingLine
from seewhy.cli.tables import metrics_table
from seewhy.recipes import load_recipe
from seewhy.report.figures import draw_run


@click.command(context_settings={"max_content_width": 110})
@click.option("--recipe", default="fast", show_default=True, help="a recipe's name or YAML file")
@click.option(
    "--data", default="cifar10", show_default=True, help="digits, cifar10, a folder or an archive"
)
@click.option("--out", type=click.Path(path_type=Path), help="run directory [runs/RECIPE]")
@click.option("--resume", is_flag=True, help="go on with an unfinished run, to the same bits")
@click.option("--init", metavar="MODEL", help="start from a model's weights; classes go by name")
@recipe_flags
def command(
    recipe: str, data: str, out: Path | None, resume: bool, init: str | None, **fields: Any
) -> None:
    """Train a classifier from labelled images; ends with validation figures, never opens test."""
    chosen = overrides(fields)
    planned = load_recipe(recipe, chosen).train
    line = TrainingLine(planned.epochs, planned.monitor)
    try:
        run = pipeline.train(
            data,
            recipe,
            out=out,
            overrides=chosen,
            resume=resume,
            init=init,
            show=line,
            loading=ReadingBar("reading"),
        )
    except (KeyboardInterrupt, SystemExit):
        line("stopped, and saved: go on with the same command and --resume")
        raise
    finally:
        line.close()
    draw_run(run.history, run.metrics["val"], run.figures)
    click.echo(metrics_table(run.metrics["val"], f"model {run.path}"))
    click.echo(f"\nrun: {run.path}   next: seewhy evaluate {run.path} --data {data} --split test")
