"""`seewhy evaluate`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from seewhy import pipeline
from seewhy.analysis.analyse import Analysis, analyse, analyse_validation, write_analysis
from seewhy.analysis.records import to_json
from seewhy.classifier import load
from seewhy.cli.progress import ReadingBar, say
from seewhy.cli.tables import analysis_table, metrics_table
from seewhy.data import ImageSet
from seewhy.data.review import Suspect, read_suspects
from seewhy.errors import UsageError
from seewhy.evaluation import Predictions
from seewhy.pipeline import part
from seewhy.report.analysis_figures import draw_analysis
from seewhy.report.figures import draw_metrics
from seewhy.report.sheets import draw_mistakes
from seewhy.runs import Run


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
    split: pipeline.Split,
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
    analysis/ beside them.
    """
    if labels is not None and not (full and split == "val"):
        raise UsageError("--labels tells causes on validation: give --full, and no other --split")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists and is not written over: choose another --out")
    suspects = None if labels is None else read_suspects(labels)
    options = {name: value for name, value in options.items() if value is not None}
    figures, predictions = pipeline.evaluate(
        model,
        data,
        split,
        options=options,
        device=device,
        show=say,
        progress=ReadingBar("predicting"),
        loading=ReadingBar("reading"),
    )
    if out is not None:
        predictions.to_csv(out)
    found = figures.to_json()
    home = analysis or (Path(model) if Path(model).is_dir() else None)
    if home is not None:
        draw_metrics(figures, Run(home).figures)
    if not as_json:
        click.echo(metrics_table(found, f"model {model}"))
    if full:
        analysed, pictures = _analysed(
            model, data, split, predictions, suspects, str(labels or ""), device, options
        )
        found["analysis"] = to_json(analysed)
        if not as_json:
            click.echo(f"\n{analysis_table(analysed)}")
        if home is not None:
            write_analysis(analysed, split, home / "analysis")
            draw_analysis(found, Run(home).figures)
            if pictures is not None:
                draw_mistakes(analysed.mistakes, pictures.images, split, Run(home).figures)
            say(f"analysis: {home / 'analysis'}   pictures: {Run(home).figures}")
    if as_json:
        click.echo(json.dumps(found))


def _analysed(
    model: str,
    data: str,
    split: pipeline.Split,
    predictions: Predictions,
    suspects: Mapping[bytes, Suspect] | None,
    folder: str,
    device: str,
    options: dict[str, Any],
) -> tuple[Analysis, ImageSet | None]:
    """All that the predictions tell, and their pictures: those of test stay sealed."""
    if split == "test":
        return analyse(predictions), None
    classifier = load(model, device=device)
    splits = classifier.splits(data, options)
    if split == "train":
        return analyse(predictions), part(splits, split)
    found = analyse_validation(
        predictions,
        classifier,
        splits,
        suspects=suspects,
        folder=folder,
        progress=ReadingBar("comparing"),
    )
    return found, splits.val
