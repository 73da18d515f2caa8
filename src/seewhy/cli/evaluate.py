"""`seewhy evaluate`."""

import json
from pathlib import Path

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
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(
    model: str, data: str, split: pipeline.Split, out: Path | None, as_json: bool, device: str
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
