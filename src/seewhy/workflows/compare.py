"""Models beside each other on one data set: who is better, and what it costs."""

import csv
import statistics
import time
from collections.abc import Mapping, Sequence
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
from seewhy.files import new_folder, write_json
from seewhy.inference.classifier import Classifier, unlabelled
from seewhy.inference.forward import full_precision
from seewhy.inference.loading import load
from seewhy.inference.locate import find_models
from seewhy.plots.compare import draw_comparison
from seewhy.run import Run
from seewhy.text import escape_cell
from seewhy.workflows.evaluate import Split, part

TRAIN_SAMPLE = 2_000  # training pictures that the generalisation gap is measured on
ROUNDS, SECONDS = 30, 3.0  # of timing: at most, whichever is reached first
WARM_UP = 3


@dataclass(frozen=True, eq=False)
class _Answers:
    """One model's predictions of a split, with the content of its pictures."""

    predictions: Predictions
    hashes: NDArray[np.bytes_]
    pictures: ImageSet | None
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
    """Compares two models or more on the images of a split that all of them have.

    Each is shown the images by its own input rule. Test is not read: what `evaluate --split test` has
    stored in the run directories is compared. `out` is a new folder for compare.json and figures. Raises
    `UsageError` for fewer than two models, and `DataError` where they cannot be compared.
    """
    folder = None if out is None else new_folder(Path(out))
    if len(models) < 2 or len(set(map(str, models))) < len(models):
        raise UsageError("name two different models or more to compare")
    classifiers = [load(model, device=device) for model in models]
    with full_precision():
        if split == "test":
            answers = [_stored(Path(model)) for model in models]
        else:
            answers = [_predicted(c, data, options, split, on_event) for c in classifiers]
        times = latencies(classifiers)
    names = _names(models)
    predictions = [one.predictions for one in answers]
    hashes = [one.hashes for one in answers]
    comparison = compare_predictions(dict(zip(names, predictions, strict=True)), hashes, split)
    smallest = min(map(len, predictions))
    if comparison.n < smallest:
        text = f"{comparison.n:,} of {smallest:,} {split} pictures are common to all models"
        on_event(Note(text))
    images = answers[0].pictures
    result = ModelComparison(
        contenders=tuple(
            _contender(names[m], models[m], classifiers[m], answers[m].gap, times[m])
            for m in range(len(models))
        ),
        comparison=comparison,
        pictures=None if images is None else images.take(comparison.rows[0]),
    )
    if folder is not None:
        write_json(result, folder / "compare.json")
        draw_comparison(result, folder)
        on_event(Note(f"figures and pictures: {folder}"))
    return result


def latencies(classifiers: Sequence[Classifier]) -> list[Latency]:
    """Times one picture by each model in turn, so that a busy moment of the machine is shared."""
    blanks = [
        unlabelled(np.full((1, c.rule.store, c.rule.store, 3), 128, np.uint8), c.classes)
        for c in classifiers
    ]
    taken: list[list[float]] = [[] for _ in classifiers]
    began = time.perf_counter()
    for number in range(WARM_UP + ROUNDS):
        for classifier, blank, found in zip(classifiers, blanks, taken, strict=True):
            start = time.perf_counter()
            classifier.predict_set(blank)
            found.append(1000 * (time.perf_counter() - start))
        if number > WARM_UP and time.perf_counter() - began > SECONDS:
            break
    quartiles = [statistics.quantiles(found[WARM_UP:], n=4) for found in taken]
    return [Latency(median, low, high) for low, median, high in quartiles]


def _contender(
    name: str, model: str | Path, classifier: Classifier, gap: Interval | None, latency: Latency
) -> ComparedModel:
    run = Run(Path(model))
    history = run.history if (run.path / "history.csv").is_file() else []
    return ComparedModel(
        name=name,
        megabytes=sum(file.stat().st_size for file in find_models(model)) / 1e6,
        parameters=classifier.predictor.parameters,
        latency=latency,
        gap=gap,
        curves=training_curves(history) if history else None,
        history=history,
    )


def _predicted(
    classifier: Classifier,
    data: Data,
    options: Mapping[str, Any] | None,
    split: Split,
    on_event: OnEvent,
) -> _Answers:
    splits = classifier.splits(data, options, on_event=on_event)
    images = part(splits, split)
    predictions = classifier.predict_set(images, on_event=on_event)
    gap = None
    if split == "val" and len(splits.train):
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(splits.train))[:TRAIN_SAMPLE]
        seen = classifier.predict_set(splits.train.take(np.sort(chosen)), on_event=on_event)
        gap = difference(_accuracy(seen), _accuracy(predictions))
    return _Answers(predictions, images.hashes, images, gap)


def _stored(path: Path) -> _Answers:
    """What `evaluate --split test` has stored in a run directory."""
    run = Run(path)
    if not run.predictions("test").is_file():
        raise UsageError(
            f"{path} has no stored test predictions: test is read by `seewhy evaluate {path} --data "
            "... --split test` alone, in a run directory, and each reading is numbered"
        )
    predictions = Predictions.from_parquet(run.predictions("test"))
    with open(run.path / "splits.csv", newline="", encoding="utf-8") as file:
        content = {
            r["id"]: r["hash"].encode() for r in csv.DictReader(file) if r["split"] == "test"
        }
    hashes = [content.get(escape_cell(str(name)), b"") for name in predictions.ids]
    return _Answers(predictions, np.array(hashes, "S32"), None, None)


def _accuracy(predictions: Predictions) -> Interval:
    kept = labelled(predictions)
    return wilson(int((kept.predicted == kept.labels).sum()), len(kept))


def _names(models: Sequence[str | Path]) -> list[str]:
    """Short names of the models: the last part of a path, or all of it where two would be the same."""
    short = [Path(model).name for model in models]
    return short if len(set(short)) == len(short) else [str(model) for model in models]
