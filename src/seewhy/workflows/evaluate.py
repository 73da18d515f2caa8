"""Evaluates a model on a split."""

import hashlib
import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis import diagnostics
from seewhy.data import Data, ImageSet, Splits
from seewhy.data.sources import describe
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.evaluation.predictions import Predictions, stored_ids
from seewhy.events import Diagnostic, Note, OnEvent, ignore
from seewhy.files import named_path, to_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import opened
from seewhy.inference.locate import find_models
from seewhy.logs import job
from seewhy.models.colour import channel_statistics
from seewhy.run import Run
from seewhy.text import counted, no_such, shortened

if TYPE_CHECKING:
    from torch import nn

Split = Literal["train", "val", "test", "all"]
Model = Classifier | str | PathLike[str]

NONE = np.zeros(0, np.int64)  # rows
FEWEST_FOR_COLOURS = 10  # images; fewer may well be all of meadows
COLOUR_SAMPLE = 500  # images compared with the network's colour normalisation

_logger = logging.getLogger("seewhy.evaluate")


def evaluate(
    model: Model,
    data: Data,
    split: Split | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    network: "nn.Module | None" = None,
    device: str = "auto",
    embed: bool = False,
    on_event: OnEvent = ignore,
) -> tuple[Metrics, Predictions]:
    """Runs a model once over a split, without augmentation, and computes all metrics from it.

    `split` is train, val or test, the same as in training; or all, for data that is not the model's own. The
    default is val, and all for other data that has no splits. `options` sets other fields of `DataConfig`,
    such as `{"on_bad": "skip"}`; `embed` keeps the images' embeddings; `network` receives the weights of a
    model with a custom architecture. If `model` is a run directory and the images are its own, metrics and
    predictions are stored in it; evaluations on test are numbered. Raises `DataError` if the data has classes
    that the model does not know, or no images in the split, and `UsageError` for all of its own.
    """
    with (
        evaluating(model, data) as log,
        opened(model, network=network, device=device) as classifier,
    ):
        splits = read_splits(classifier, data, options, on_event)
        log_read(classifier, splits)
        chosen = choose_split(model, classifier, splits, split, on_event)
        results = judge(classifier, splits, chosen, embed=embed, on_event=on_event)
        log |= logged(results[0])
        store_own(model, classifier, splits, results, on_event)
    return results


def evaluating(model: Model, data: Data) -> AbstractContextManager[dict[str, Any]]:
    """Logs the start and the end of an evaluation."""
    name = model.digest if isinstance(model, Classifier) else str(model)
    return job("evaluate", model=name, data=describe(data))


def log_read(classifier: Classifier, splits: Splits) -> None:
    """Logs which model evaluates how many images, and each that cannot be used."""
    _logger.info("model", extra={"digest": classifier.digest})
    _logger.info("images", extra=dict(splits.sizes))
    for bad in splits.bad:
        _logger.warning("bad image", extra=vars(bad))


def logged(measured: Metrics) -> dict[str, Any]:
    """What the end of an evaluation logs of its metrics."""
    accuracy = measured.accuracy
    return {"split": measured.split, "images": measured.n, "accuracy": accuracy}


def choose_split(
    model: Model, classifier: Classifier, splits: Splits, split: Split | None, on_event: OnEvent
) -> Split:
    """The split to evaluate, with a note if the data has none, or has images that the model was trained on.

    Raises `UsageError` for all of its own.
    """
    own, trained_on = _known_images(model, classifier, splits)
    if own:
        if split == "all":
            raise UsageError(
                "all is for other data: the model was trained on images of this one; evaluate val, or test"
            )
        return "val" if split is None else split
    chosen = _of_other_data(splits, split, on_event)
    if not trained_on.isdisjoint([*splits.hashes, *splits.left_out.hashes]):
        images = part_of(splits, chosen)
        names = zip(images.ids, images.hashes, strict=True)
        if known := sorted(name for name, digest in names if digest in trained_on):
            of = f"{len(known):,} of these {counted(len(images), 'image')}"
            flattered = f"the model was trained on {of}, which flatters it"
            on_event(Note(f"{flattered}: remove {shortened(known)}, and evaluate again"))
    return chosen


def _of_other_data(splits: Splits, split: Split | None, on_event: OnEvent) -> Split:
    if not splits.drawn or split == "all":
        return "val" if split is None else split
    total = sum(splits.sizes.values()) + int((splits.left_out.labels >= 0).sum())
    if split is None:
        on_event(
            Note(
                f"this is other data than the model's, without splits: all "
                f"{counted(total, 'image', 'are')} evaluated; "
                "if the model was trained on some of them, give --split val"
            )
        )
        return "all"
    on_event(
        Note(
            f"{splits.sizes[split]:,} of {counted(total, 'image', 'were')} drawn as {split}, as the "
            f"data has no splits: "
            "--split all evaluates all"
        )
    )
    return split


def _known_images(model: Model, classifier: Classifier, splits: Splits) -> tuple[bool, set[bytes]]:
    """Whether the data is the model's, or most of the images are, where its run says which it had.

    Of other data, also the hashes of the images that the run was trained on.
    """
    if splits.fingerprint == classifier.predictor.fingerprint:
        return True, set()
    if (run := _run_of(model)) is None:
        return False, set()
    rows = [(row["hash"].encode(), row["split"]) for row in run.rows("splits.csv", "split", "hash")]
    known, hashes = {digest for digest, _ in rows}, splits.hashes
    own = 2 * sum(digest in known for digest in hashes) > len(hashes)
    return own, {digest for digest, split in rows if split == "train"}


def _run_of(model: Model) -> Run | None:
    """The run that a model is of, where its files say which images it had."""
    if isinstance(model, Classifier):
        return None
    path = named_path(fspath(model))
    run = Run(path if path.is_dir() else path.parent)
    if not run.finished or not (run.path / "splits.csv").is_file():
        return None
    files = find_models(model)
    return run if len(files) == 1 and run.model.samefile(files[0]) else None


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
    with classifier.in_full_precision():
        start = time.monotonic()
        predictions = classifier.predict_set(images, embed=embed, on_event=on_event)
        seconds = time.monotonic() - start
    rate = {"images_per_second": round(len(images) / max(seconds, 1e-9), 1)}
    _logger.info("predicted", extra={"images": len(images), "seconds": round(seconds, 3)} | rate)
    measured = metrics(predictions, split)
    for diagnostic in collapse(measured.confusion, measured.classes):
        on_event(diagnostic)
    return measured, predictions


def own_run(model: Model, classifier: Classifier, splits: Splits, split: Split) -> Run | None:
    """The run, if `model` is one and the data is its own, or a test set for a run that has none.

    The first such test set that is evaluated is the run's own from then on.
    """
    if isinstance(model, Classifier) or not named_path(fspath(model)).is_dir():
        return None
    run = Run(fspath(model))
    own = splits.fingerprint == classifier.predictor.fingerprint
    if split != "test":
        return run if own else None
    separate = not len(splits.train) + len(splits.val)
    return run if (own or separate) and _is_own_test(run, splits) else None


def _is_own_test(run: Run, splits: Splits) -> bool:
    """Whether these are the test images of the run, or it has none so far."""
    assert splits.test is not None
    listed, stored = run.image_hashes("test"), run.metrics.get("test")
    if listed:
        return listed == set(splits.test.hashes.tolist())
    if stored is None:
        return True
    if "images" not in stored:  # by an early version
        return bool(stored["n"] == len(splits.test))
    return bool(stored["images"] == splits.test.fingerprint)


def store_own(
    model: Model,
    classifier: Classifier,
    splits: Splits,
    results: tuple[Metrics, Predictions],
    on_event: OnEvent = ignore,
) -> Run | None:
    """Stores results in the run whose own data they are of, and returns it; else says that it does not."""
    measured, predictions = results
    run = own_run(model, classifier, splits, cast(Split, measured.split))
    if run is not None and not _same_names(run, predictions, measured.split):
        on_event(
            Note(f"the run has these images by other names: results are not saved in {run.path}")
        )
        return None
    if run is not None:
        store(run, measured, predictions, splits)
        if measured.split == "test" and run.test_readings > 1:
            on_event(
                Note(
                    f"evaluation {run.test_readings} on the test split of this run: where an earlier one was "
                    "followed by a choice, the result is too good"
                )
            )
    elif isinstance(model, str | PathLike) and named_path(fspath(model)).is_dir():
        on_event(Note(f"this is not the run's data: results are not saved in {model}"))
    return run


def _same_names(run: Run, predictions: Predictions, split: str) -> bool:
    """Whether the predictions that a run has of a split, if any, are of images of the same names.

    Those of test may have others: each evaluation of it is counted.
    """
    file = run.predictions(split)
    if split == "test" or not file.is_file():
        return True
    try:
        return np.array_equal(stored_ids(file), predictions.ids)
    except DataError:  # damaged: it is written again
        return True


def colour_diagnostics(mean: NDArray[np.float32] | None, images: ImageSet) -> list[Diagnostic]:
    """Diagnostics if the colour by which a network centres images does not fit a sample of them."""
    if mean is None or len(images) < FEWEST_FOR_COLOURS:
        return []
    sample = images.images[:: max(1, len(images) // COLOUR_SAMPLE)]
    return diagnostics.in_colours(*channel_statistics(sample), mean)


def part_of(splits: Splits, split: Split) -> ImageSet:
    """The images of one split, or all that have a label. Raises `UsageError` if there are none."""
    if split not in get_args(Split):
        raise UsageError(no_such("split", split, get_args(Split)))
    sealed = splits.test is not None and split in ("test", "all")
    test = splits.test.unseal() if splits.test is not None and sealed else splits.val.take(NONE)
    parts = {"train": splits.train, "val": splits.val, "test": test}
    if split == "all":
        whole = splits.train.joined(splits.val).joined(test).joined(splits.left_out)
        images = whole.take(whole.labels >= 0)
    else:
        images = parts[split]
    if not len(images):
        named = [
            f"{name} ({counted(size, 'image')})" for name, size in splits.sizes.items() if size
        ]
        there = f"it has {' and '.join(named)}: choose another split, or other data"
        raise UsageError(
            f"this data has no {split} images; {there if named else 'no image has a label'}"
        )
    return images


def store(run: Run, measured: Metrics, predictions: Predictions, splits: Splits) -> None:
    """Stores the metrics and predictions of a split in a run; evaluations on test are numbered.

    Those of test say which images they are of, and in which order. The metrics are first, so that whatever
    happens no predictions of test are there that were not counted.
    """
    record = to_json(measured)
    if measured.split == "test" and splits.test is not None:
        record["images"] = splits.test.fingerprint
        record["order"] = hashlib.sha256(splits.test.hashes.tobytes()).hexdigest()
    run.write_metrics(measured.split, record)
    predictions.to_parquet(run.predictions(measured.split))
