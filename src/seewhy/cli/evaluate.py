"""`seewhy evaluate`."""

from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import (
    PATH,
    as_json,
    data_option,
    device_option,
    log_options,
    reading_options,
    show,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.cli.tables import analysis_table, metrics_table
from seewhy.text import command_line


@click.command()
@click.argument("model", shell_complete=models)
@data_option
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="[val; all for other data than the model's, if it has no splits]",
)
@click.option("--out", "csv", type=PATH, help="write the predictions to this CSV file")
@click.option("--full", is_flag=True, help="also analyse mistakes and confidence")
@click.option("--analysis", "out", type=PATH, help="output directory of --full [the run]")
@click.option(
    "--labels",
    type=PATH,
    help="output of `seewhy data labels`, so that --full tells wrong labels from confusion",
)
@as_json
@reading_options
@log_options
@trust_option
@device_option
def command(model: str, data: str, as_json: bool, **settings: Any) -> None:
    """Measure MODEL (a model file, a run directory or a shipped model's name) on a split.

    A run directory keeps the metrics in metrics.json, the predictions in predictions-SPLIT.parquet and the
    plots in figures/, if the data is its own; each evaluation on test is numbered. --full also writes
    analysis/.
    """
    before = _results(Path(model))
    result = seewhy.analyse(model, data, on_event=Terminal(), **settings)
    record = seewhy.to_json(result.metrics)
    text = list(metrics_table(record, f"model {model}"))
    if result.analysis is not None:
        text += ["", *analysis_table(result.analysis)]
        record["analysis"] = result.analysis
    home = result.home
    if home is not None and (home / "report.html").exists() and _results(home) != before:
        text += ["", f"report.html does not show this yet: {command_line('report', home)}"]
    show(record, as_json, lambda _: text)


def _results(home: Path) -> dict[Path, bytes]:
    """The results in a run that its report shows."""
    files = [home / "metrics.json", *home.glob("analysis/*.json")]
    return {file: file.read_bytes() for file in files if file.is_file()}
