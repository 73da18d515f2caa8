"""Evaluates a model on a split."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn

from seewhy.analysis import diagnostics
from seewhy.data import Data, ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Diagnostic, Note, OnEvent, ignore
from seewhy.inference.classifier import Classifier
from seewhy.inference.forward import full_precision
from seewhy.inference.loading import load
from seewhy.models.network import channel_statistics
from seewhy.run import Run
from seewhy.text import no_such

Split = Literal["train", "val", "test"]

COLOUR_SAMPLE = 500  # images compared with the network's colour normalisation


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
    """Runs a model once over a split, without augmentation, and computes all metrics from it.

    The splits are the same as in training; `options` sets other fields of `DataConfig`, such as
    `{"on_bad": "skip"}`; `embed` keeps the images' embeddings; `network` receives the weights of a model with
    a custom architecture. If `model` is a run directory and the images are its own, metrics and
    predictions are stored in it; evaluations on test are numbered. Raises `DataError` if the data has classes
    that the model does not know, or no such split.
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
    """The images of `data` by a model's input rule, split as in training; reports the data's notes."""
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
    """Evaluates a loaded model on loaded data, as `evaluate` does; stores nothing."""
    if split != "test" and splits.fingerprint != classifier.predictor.fingerprint:
        on_event(Note("these are not the images that the model was trained and validated on"))
    images = part_of(splits, split)
    for diagnostic in colour_diagnostics(classifier.predictor.mean, images):
        on_event(diagnostic)
    with full_precision():
        predictions = classifier.predict_set(images, embed=embed, on_event=on_event)
    measured = metrics(predictions, split)
    for diagnostic in collapse(measured.confusion, measured.classes):
        on_event(diagnostic)
    return measured, predictions


def own_run(model: str | Path, classifier: Classifier, splits: Splits, split: Split) -> Run | None:
    """The run, if `model` is one and the data is its own, or a separate test set."""
    own = splits.fingerprint == classifier.predictor.fingerprint
    separate = split == "test" and not len(splits.train) + len(splits.val)
    one = isinstance(model, str | PathLike) and Path(model).is_dir()
    return Run(Path(model)) if one and (own or separate) else None


def colour_diagnostics(mean: NDArray[np.float32] | None, images: ImageSet) -> list[Diagnostic]:
    """Diagnostics if the colour by which a network centres images does not fit a sample of them."""
    if mean is None:
        return []
    sample = images.images[:: max(1, len(images) // COLOUR_SAMPLE)]
    return diagnostics.in_colours(*channel_statistics(sample), mean)


def part_of(splits: Splits, split: Split) -> ImageSet:
    """The images of one split. Raises `UsageError` if there is no such split."""
    if split not in get_args(Split):
        raise UsageError(no_such("split", split, get_args(Split)))
    if split != "test":
        return splits.train if split == "train" else splits.val
    if splits.test is None:
        raise UsageError(
            "this data has no test split: evaluate on val, or give a folder with test/"
        )
    return splits.test.unseal()


def store(run: Run, measured: Metrics, predictions: Predictions) -> None:
    """Stores the metrics and predictions of a split in a run; evaluations on test are numbered."""
    predictions.to_parquet(run.predictions(measured.split))
    run.write_metrics(measured.split, measured)
