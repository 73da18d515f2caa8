"""Models beside each other on one data set: who is better, and what it costs."""

import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.compare import ComparedModel, Latency, ModelComparison, compare
from seewhy.analysis.training_curves import training_curves
from seewhy.data import ImageSet, Splits
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import labelled
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, difference, wilson
from seewhy.inference.classifier import Classifier, unlabelled
from seewhy.inference.locate import find_model, load
from seewhy.run import Run
from seewhy.text import escape_cell
from seewhy.workflows.evaluate import Split, part

Progress = Callable[[int, int], None] | None

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


def compare_models(
    models: Sequence[str | Path],
    data: str | Path,
    split: Split = "val",
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    show: Callable[[str], None] = lambda line: None,
    progress: Progress = None,
    loading: Progress = None,
) -> ModelComparison:
    """Compares two models or more on the pictures of a split that all of them have.

    Each is shown the pictures by its own input rule. Test is not read: what `evaluate --split test` has
    stored in the run directories is compared. Raises `UsageError` for fewer than two models, and
    `DataError` where they cannot be compared.
    """
    if len(models) < 2 or len(set(map(str, models))) < len(models):
        raise UsageError("name two different models or more to compare")
    classifiers = [load(model, device=device) for model in models]
    if split == "test":
        answers = [_stored(Path(model)) for model in models]
    else:
        loaded = (c.splits(data, options, progress=loading) for c in classifiers)
        answers = [
            _predicted(classifier, splits, split, progress)
            for classifier, splits in zip(classifiers, loaded, strict=True)
        ]
    names = _names(models)
    predictions = [one.predictions for one in answers]
    hashes = [one.hashes for one in answers]
    found = compare(dict(zip(names, predictions, strict=True)), hashes, split)
    smallest = min(map(len, predictions))
    if found.n < smallest:
        show(f"{found.n:,} of {smallest:,} {split} pictures are common to all models")
    times = latencies(classifiers)
    pictures = answers[0].pictures
    return ModelComparison(
        contenders=tuple(
            _contender(names[m], models[m], classifiers[m], answers[m].gap, times[m])
            for m in range(len(models))
        ),
        comparison=found,
        pictures=None if pictures is None else pictures.take(found.rows[0]),
    )


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
        megabytes=find_model(model).stat().st_size / 1e6,
        parameters=sum(p.numel() for p in classifier.bundle.network.parameters()),
        latency=latency,
        gap=gap,
        curves=training_curves(history) if history else None,
        history=history,
    )


def _predicted(
    classifier: Classifier, splits: Splits, split: Split, progress: Progress
) -> _Answers:
    pictures = part(splits, split)
    predictions = classifier.predict_set(pictures, progress=progress)
    gap = None
    if split == "val" and len(splits.train):
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(splits.train))[:TRAIN_SAMPLE]
        seen = classifier.predict_set(splits.train.take(np.sort(chosen)), progress=progress)
        gap = difference(_accuracy(seen), _accuracy(predictions))
    return _Answers(predictions, pictures.hashes, pictures, gap)


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
