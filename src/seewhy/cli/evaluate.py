"""`seewhy evaluate`."""

import json
from pathlib import Path
from typing import Any, Literal

import click

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import analysis_table, metrics_table


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="digits, cifar10, a folder or an archive")
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="predictions as CSV")
@click.option("--full", is_flag=True, help="mistakes and confidence too, printed and drawn")
@click.option(
    "--analysis", type=click.Path(path_type=Path), help="where --full puts its files [the run]"
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="what `seewhy data labels` wrote, so that --full tells wrong labels from confusion",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@click.option("--on-bad", type=click.Choice(["error", "skip"]), help="as for train")
@click.option("--max-bad", type=click.FloatRange(0, 1), help="as for train")
@click.option("--layout", help="as for train")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(
    model: str,
    data: str,
    split: Literal["train", "val", "test"],
    out: Path | None,
    full: bool,
    analysis: Path | None,
    labels: Path | None,
    as_json: bool,
    device: str,
    **options: Any,
) -> None:
    """Measure MODEL (a bundle, a run directory or a shipped model's name) on a split.

    In a run directory the figures go to metrics.json, the predictions to predictions-SPLIT.parquet and
    the pictures to figures/; each reading of test is numbered there. With --full the analysis goes to
    analysis/ beside them. Of other data than its own a run keeps nothing.
    """
    result = seewhy.analyse(
        model,
        data,
        split,
        full=full,
        labels=labels,
        out=analysis,
        csv=out,
        options={name: value for name, value in options.items() if value is not None},
        device=device,
        on_event=Terminal(),
    )
    record = seewhy.to_json(result.metrics)
    if as_json:
        if result.analysis is not None:
            record["analysis"] = seewhy.to_json(result.analysis)
        click.echo(json.dumps(record))
        return
    click.echo(metrics_table(record, f"model {model}"))
    if result.analysis is not None:
        click.echo(f"\n{analysis_table(result.analysis)}")
