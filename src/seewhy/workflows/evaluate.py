"""A model and a split in, its metrics out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn

from seewhy.analysis import diagnostics
from seewhy.data import Data, ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Diagnostic, Note, OnEvent, ignore
from seewhy.inference.classifier import Classifier
from seewhy.inference.forward import full_precision
from seewhy.inference.loading import load
from seewhy.models.network import Network, channel_statistics
from seewhy.run import Run

Split = Literal["train", "val", "test"]

COLOUR_SAMPLE = 500  # images whose colours are compared with a network's normalisation


def evaluate(
    model: str | Path,
    data: Data,
    split: Split = "val",
    *,
    options: Mapping[str, Any] | None = None,
    network: nn.Module | None = None,
    device: str = "auto",
    embed: bool = False,
    on_event: OnEvent = ignore,
) -> tuple[Metrics, Predictions]:
    """Runs a model once over a split, without augmentation, and derives every metric from it.

    Splits are drawn as they were at the training; `options` sets other fields of `DataConfig`, such as
    `{"on_bad": "skip"}`; `embed` keeps the images' embeddings; `network` is the one to fill, for a model of
    one's own architecture. Where `model` is a run directory and the images are its own, the metrics, with the
    number of this reading, and the predictions are stored in it. Raises `DataError` when the data has classes
    that the model has not, or no such split.
    """
    with load(model, model=network, device=device) as classifier:
        splits = read_splits(classifier, data, options, on_event)
        results = judge(classifier, splits, split, embed=embed, on_event=on_event)
        run = own_run(model, classifier, splits, split)
    if run is not None:
        store(run, *results)
    return results


def read_splits(
    classifier: Classifier,
    data: Data,
    options: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> Splits:
    """The images of `data` by a model's input rule, split as at its training; tells their notes."""
    splits = classifier.splits(data, options, on_event=on_event)
    for note in splits.notes:
        on_event(Note(note))
    return splits


def judge(
    classifier: Classifier,
    splits: Splits,
    split: Split,
    *,
    embed: bool = False,
    on_event: OnEvent = ignore,
) -> tuple[Metrics, Predictions]:
    """What `evaluate` gives, of a model and data that are loaded; stores nothing."""
    if split != "test" and splits.fingerprint != classifier.predictor.fingerprint:
        on_event(Note("these are not the pictures that the model was trained and validated on"))
    images = part(splits, split)
    for diagnostic in colour_diagnostics(classifier.predictor.differentiable(), images):
        on_event(diagnostic)
    with full_precision():
        predictions = classifier.predict_set(images, embed=embed, on_event=on_event)
    return metrics(predictions, split), predictions


def own_run(model: str | Path, classifier: Classifier, splits: Splits, split: Split) -> Run | None:
    """The run, if `model` is one, where the data are its own, or a test set that comes by itself."""
    own = splits.fingerprint == classifier.predictor.fingerprint
    alone = split == "test" and not len(splits.train) + len(splits.val)
    return Run(Path(model)) if Path(model).is_dir() and (own or alone) else None


def colour_diagnostics(network: nn.Module | None, images: ImageSet) -> list[Diagnostic]:
    """Whether a network's normalisation is far from (some of) the images that it is to see."""
    if not isinstance(network, Network):
        return []
    some = images.images[:: max(1, len(images) // COLOUR_SAMPLE)]
    return diagnostics.in_colours(*channel_statistics(some), network.mean.cpu().numpy())


def part(splits: Splits, split: Split) -> ImageSet:
    """The images of one split. Raises `UsageError` for a test split that the data has not."""
    if split == "train":
        return splits.train
    if split == "val":
        return splits.val
    if splits.test is None:
        raise UsageError(
            "this data has no test split: evaluate on val, or give a folder with test/"
        )
    return splits.test.unseal()


def store(run: Run, measured: Metrics, predictions: Predictions) -> None:
    """Keeps the metrics of a split, with the number of this reading, and the predictions in a run."""
    predictions.to_parquet(run.predictions(measured.split))
    run.write_metrics(measured.split, measured)
