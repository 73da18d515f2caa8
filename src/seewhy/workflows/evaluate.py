"""A model and a split in, its metrics out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn

from seewhy.analysis import diagnostics
from seewhy.data import Data, ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import load
from seewhy.models.network import channel_statistics
from seewhy.models.registry import Network
from seewhy.run import Run

Split = Literal["train", "val", "test"]


COLOUR_SAMPLE = 500  # pictures whose colours are compared with a network's normalisation


def evaluate(
    model: str | Path,
    data: Data,
    split: Split = "val",
    *,
    options: Mapping[str, Any] | None = None,
    network: nn.Module | None = None,
    device: str = "auto",
    embed: bool = False,
    show: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] | None = None,
    loading: Callable[[int, int], None] | None = None,
) -> tuple[Metrics, Predictions]:
    """Runs a model once over a split, without augmentation, and derives every figure from it.

    Splits are drawn as they were at the training; `options` sets other fields of `DataConfig`, such as
    `{"on_bad": "skip"}`; `embed` keeps the pictures' embeddings. Where `model` is a run directory and
    the pictures are its own, the figures, with the number of this reading, and the predictions are
    stored in it. Raises `DataError` when the data has classes that the model has not, or no such split.
    """
    classifier = load(model, model=network, device=device)
    splits = classifier.splits(data, options, progress=loading)
    for note in splits.notes:
        show(note)
    found = judge(classifier, splits, split, embed=embed, show=show, progress=progress)
    run = own_run(model, classifier, splits, split)
    if run is not None:
        store(run, *found)
    return found


def judge(
    classifier: Classifier,
    splits: Splits,
    split: Split,
    *,
    embed: bool = False,
    show: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Metrics, Predictions]:
    """What `evaluate` gives, of a model and data that are loaded; stores nothing."""
    if split != "test" and splits.fingerprint != classifier.bundle.fingerprint:
        show("these are not the pictures that the model was trained and validated on")
    pictures = part(splits, split)
    for sign in _colours(classifier.bundle.network, pictures):
        show(sign)
    predictions = classifier.predict_set(pictures, embed=embed, progress=progress)
    return metrics(predictions, split), predictions


def own_run(model: str | Path, classifier: Classifier, splits: Splits, split: Split) -> Run | None:
    """The run, if `model` is one, where the data are its own, or a test set that comes by itself."""
    own = splits.fingerprint == classifier.bundle.fingerprint
    alone = split == "test" and not len(splits.train) + len(splits.val)
    return Run(Path(model)) if Path(model).is_dir() and (own or alone) else None


def _colours(network: nn.Module, pictures: ImageSet) -> list[str]:
    """Whether a network's normalisation is far from (some of) the pictures that it is to see."""
    if not isinstance(network, Network):
        return []
    some = pictures.images[:: max(1, len(pictures) // COLOUR_SAMPLE)]
    return diagnostics.in_colours(*channel_statistics(some), network.mean.cpu().numpy())


def part(splits: Splits, split: Split) -> ImageSet:
    """The pictures of one split. Raises `UsageError` for a test split that the data has not."""
    if split == "train":
        return splits.train
    if split == "val":
        return splits.val
    if splits.test is None:
        raise UsageError(
            "this data has no test split: evaluate on val, or give a folder with test/"
        )
    return splits.test.unseal()


def store(run: Run, figures: Metrics, predictions: Predictions) -> None:
    """Keeps the figures of a split, with the number of this reading, and the predictions in a run."""
    predictions.to_parquet(run.predictions(figures.split))
    run.write_metrics(figures.split, figures.to_json())
