"""`seewhy evaluate`."""

import json
from pathlib import Path
from typing import Any

import click

from seewhy import pipeline
from seewhy.cli.progress import ReadingBar, say
from seewhy.cli.tables import metrics_table
from seewhy.errors import UsageError
from seewhy.report.figures import draw_metrics
from seewhy.runs import Run


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="digits, cifar10, a folder or an archive")
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="predictions as CSV")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--on-bad", type=click.Choice(["error", "skip"]), help="as for train")
@click.option("--max-bad", type=click.FloatRange(0, 1), help="as for train")
@click.option("--layout", help="as for train")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(
    model: str,
    data: str,
    split: pipeline.Split,
    out: Path | None,
    as_json: bool,
    device: str,
    **options: Any,
) -> None:
    """Measure MODEL (a bundle, a run directory or a shipped model's name) on a split.

    In a run directory the figures go to metrics.json, the predictions to predictions-SPLIT.parquet and
    the pictures to figures/; each reading of test is numbered there.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists and is not written over: choose another --out")
    figures, predictions = pipeline.evaluate(
        model,
        data,
        split,
        options={name: value for name, value in options.items() if value is not None},
        device=device,
        show=say,
        progress=ReadingBar("predicting"),
        loading=ReadingBar("reading"),
    )
    if out is not None:
        predictions.to_csv(out)
    if Path(model).is_dir():
        draw_metrics(figures, Run(Path(model)).figures)
    if as_json:
        click.echo(json.dumps(figures.to_json()))
    else:
        click.echo(metrics_table(figures.to_json(), f"model {model}"))
