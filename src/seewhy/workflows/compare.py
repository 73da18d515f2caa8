"""Compares models on one data set: which is better, and at what cost."""

import hashlib
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.compare import ComparedModel, Latency, ModelComparison, compare_predictions
from seewhy.analysis.training_curves import training_curves
from seewhy.data import Data, ImageSet
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, difference, wilson
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, optional_folder, write_json
from seewhy.inference.classifier import Classifier, unlabelled
from seewhy.inference.loading import load
from seewhy.inference.locate import find_models
from seewhy.plots.compare import draw_comparison
from seewhy.run import Run
from seewhy.text import command_line, counted, escape_cell
from seewhy.workflows.evaluate import Split, part_of, read_splits

TRAIN_SAMPLE = 2_000  # training images for the generalisation gap
ROUNDS, SECONDS = 30, 3.0  # limits of the timing; the first that is reached ends it
WARM_UP = 3


@dataclass(frozen=True, eq=False)
class _ModelPredictions:
    """One model's predictions of a split, with the content hashes of the images."""

    predictions: Predictions
    hashes: NDArray[np.bytes_]
    images: ImageSet | None
    gap: Interval | None


def compare(
    models: Sequence[str | Path],
    data: Data,
    split: Split = "val",
    *,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> ModelComparison:
    """Compares two models or more on the images of a split that they share.

    Each gets the images by its own input rule. Test is not read: the predictions that `evaluate --split
    test` has stored in the run directories are compared. `out` is a new folder for compare.json and plots.
    Raises `UsageError` for fewer than two models, and `DataError` if they cannot be compared.
    """
    with optional_folder(out) as folder:
        if len(models) < 2 or len(set(map(str, models))) < len(models):
            raise UsageError("give at least two different models to compare")
        with ExitStack() as stack:
            classifiers = [stack.enter_context(load(model, device=device)) for model in models]
            for classifier in classifiers:
                stack.enter_context(classifier.in_full_precision())
            if split == "test":
                results = [_stored(named_path(model)) for model in models]
            else:
                results = [_predicted(c, data, options, split, on_event) for c in classifiers]
            times = latencies(classifiers)
        names = _names(models)
        predictions = [one.predictions for one in results]
        hashes = [one.hashes for one in results]
        comparison = compare_predictions(dict(zip(names, predictions, strict=True)), hashes, split)
        labelled_hashes = [one[one != b""] for one in hashes]
        distinct = [len(np.unique(one)) for one in labelled_hashes]
        copies = max(len(one) - n for one, n in zip(labelled_hashes, distinct, strict=True))
        if comparison.n < (most := max(distinct)):
            common = f"{comparison.n:,} of {most:,} {split} images are common to all models"
            on_event(Note(common))
        elif copies:
            on_event(Note(f"{split}: {counted(copies, 'exact copy')} left out of the comparison"))
        images = results[0].images
        result = ModelComparison(
            contenders=tuple(
                _contender(names[m], models[m], classifiers[m], results[m].gap, times[m])
                for m in range(len(models))
            ),
            comparison=comparison,
            images=None if images is None else images.take(comparison.rows[0]),
        )
        if folder is not None:
            write_json(result, folder / "compare.json")
            draw_comparison(result, folder)
            on_event(Note(f"metrics and plots: {folder}"))
    return result


def latencies(classifiers: Sequence[Classifier]) -> list[Latency]:
    """Times one image by each model in turn, so that they share any load of the machine."""
    blanks = [
        unlabelled(np.full((1, c.rule.store, c.rule.store, 3), 128, np.uint8), c.classes)
        for c in classifiers
    ]
    timings: list[list[float]] = [[] for _ in classifiers]
    began = time.perf_counter()
    for number in range(WARM_UP + ROUNDS):
        for classifier, blank, times in zip(classifiers, blanks, timings, strict=True):
            start = time.perf_counter()
            classifier.predict_set(blank)
            times.append(1000 * (time.perf_counter() - start))
        if number > WARM_UP and time.perf_counter() - began > SECONDS:
            break
    quartiles = [statistics.quantiles(times[WARM_UP:], n=4) for times in timings]
    return [Latency(median, low, high) for low, median, high in quartiles]


def _contender(
    name: str, model: str | Path, classifier: Classifier, gap: Interval | None, latency: Latency
) -> ComparedModel:
    run = Run(model)
    history = run.history
    keep = run.config["recipe"]["train"]["keep"] if history else "best"
    return ComparedModel(
        name=name,
        megabytes=sum(file.stat().st_size for file in find_models(model)) / 1e6,
        parameters=classifier.predictor.parameters,
        latency=latency,
        gap=gap,
        curves=training_curves(history, keep) if history else None,
        history=history,
    )


def _predicted(
    classifier: Classifier,
    data: Data,
    options: Mapping[str, Any] | None,
    split: Split,
    on_event: OnEvent,
) -> _ModelPredictions:
    splits = read_splits(classifier, data, options, on_event)
    images = part_of(splits, split)
    predictions = classifier.predict_set(images, on_event=on_event)
    gap = None
    if split == "val" and len(splits.train):
        some = splits.train.take(splits.train.drawn_rows(TRAIN_SAMPLE))
        seen = classifier.predict_set(some, on_event=on_event)
        gap = difference(_accuracy(seen), _accuracy(predictions))
    return _ModelPredictions(predictions, images.hashes, images, gap)


def _stored(path: Path) -> _ModelPredictions:
    """The predictions that `evaluate --split test` has stored in a run directory."""
    run = Run(path)
    if not run.started:
        raise UsageError(
            f"{path} is no run directory: on test, the predictions that runs have stored are compared"
        )
    if not run.predictions("test").is_file():
        evaluate = command_line("evaluate", path, "--data", run.data, "--split", "test")
        raise UsageError(
            f"{path} has no stored test predictions: make them with `{evaluate}`, which numbers each "
            "evaluation on test"
        )
    predictions = Predictions.from_parquet(run.predictions("test"))
    return _ModelPredictions(predictions, _test_hashes(run, predictions), None, None)


def _test_hashes(run: Run, predictions: Predictions) -> NDArray[np.bytes_]:
    """The content hashes of a run's test images, S32 (N,).

    A test set given after the training is not in splits.csv: its images are told by their places in it.
    """
    rows = run.rows("splits.csv", "id", "split", "hash")
    content = {row["id"]: row["hash"].encode() for row in rows if row["split"] == "test"}
    hashes = [content.get(escape_cell(str(name)), b"") for name in predictions.ids]
    order = run.metrics.get("test", {}).get("order")
    if not content and order is not None:
        keys = (f"{order} {place}".encode() for place in range(len(predictions)))
        hashes = [hashlib.sha256(key).hexdigest()[:32].encode() for key in keys]
    return np.array(hashes, "S32")


def _accuracy(predictions: Predictions) -> Interval:
    kept = labelled(predictions)
    return wilson(int((kept.predicted == kept.labels).sum()), len(kept))


def _names(models: Sequence[str | Path]) -> list[str]:
    """Short names of the models: the last part of each path, or whole paths if two are the same.

    An ensemble "A+B" keeps both of its names.
    """
    parts = [
        [str(model)] if named_path(model).exists() else str(model).split("+") for model in models
    ]
    short = ["+".join(os.path.basename(os.path.abspath(one)) for one in names) for names in parts]
    return short if len(set(short)) == len(short) else [str(model) for model in models]
