"""`seewhy evaluate`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from seewhy.analysis.labels.review import Suspect, read_suspects
from seewhy.analysis.labels.suspects import suspected_mistakes
from seewhy.analysis.overview import Analysis, analyse, write_analysis
from seewhy.cli.output import refuse_existing
from seewhy.cli.progress import ReadingBar, say
from seewhy.cli.tables import analysis_table, metrics_table
from seewhy.data import ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Event, Note
from seewhy.files import to_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import load
from seewhy.page.settings import review_command
from seewhy.plots.drawings import split_drawings
from seewhy.plots.style import write_drawings
from seewhy.run import Run
from seewhy.workflows.analyse import analyse_validation
from seewhy.workflows.evaluate import Split, judge, own_run, part, store
from seewhy.workflows.labels import give_for_review


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
    split: Split,
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
    if labels is not None and not (full and split == "val"):
        raise UsageError("--labels tells causes on validation: give --full, and no other --split")
    refuse_existing(out)
    suspects = None if labels is None else read_suspects(labels)
    options = {name: value for name, value in options.items() if value is not None}
    classifier = load(model, device=device)
    splits = classifier.splits(data, options, progress=ReadingBar("reading"))
    for note in splits.notes:
        say(note)
    figures, predictions = judge(
        classifier, splits, split, show=say, progress=ReadingBar("predicting")
    )
    run = own_run(model, classifier, splits, split)
    if run is not None:
        store(run, figures, predictions)
    elif Path(model).is_dir():
        say(f"{model} keeps the figures of its own data, and none of these")
    if out is not None:
        predictions.to_csv(out)
    found = to_json(figures)
    home = analysis or (run.path if run else None)
    told: dict[str, Any] = {}
    images = None
    if not as_json:
        click.echo(metrics_table(found, f"model {model}"))
    if full:
        analysed, pictures = _analysed(
            classifier, splits, split, predictions, suspects, str(labels or "")
        )
        told = found["analysis"] = to_json(analysed)
        images = pictures.images if pictures else None
        if not as_json:
            click.echo(f"\n{analysis_table(analysed)}")
        if home is not None:
            write_analysis(analysed, split, home / "analysis")
            say(f"analysis: {home / 'analysis'}   pictures: {Run(home).figures}")
            if split == "val":
                _review(analysed, classifier, splits, data, home / "analysis")
    if home is not None:
        drawings = split_drawings(found, figures.reliability, told, images)
        write_drawings(drawings, Run(home).figures)
    if as_json:
        click.echo(json.dumps(found))


def _review(found: Analysis, classifier: Classifier, splits: Splits, data: str, home: Path) -> None:
    """Gives the surest mistakes for review, where it is known how the data were split."""
    recipe = classifier.bundle.facts.get("recipe")
    if recipe:
        command = review_command(data, recipe, str(home / "review.csv"))
        suspects = suspected_mistakes(found, splits)
        give_for_review(suspects, command, home, mistakes=True, on_event=_note)
        say(f"are labels wrong, and not the model? {home / 'review.html'}")


def _note(event: Event) -> None:
    if isinstance(event, Note):
        say(event.text)


def _analysed(
    classifier: Classifier,
    splits: Splits,
    split: Split,
    predictions: Predictions,
    suspects: Mapping[bytes, Suspect] | None,
    folder: str,
) -> tuple[Analysis, ImageSet | None]:
    """All that the predictions tell, and their pictures: those of test stay sealed."""
    if split == "test":
        return analyse(predictions), None
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
