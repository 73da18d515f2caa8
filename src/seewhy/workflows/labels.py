"""Labels that look wrong, by networks each of which has not seen the pictures that it judges."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.experiments.repetition import OUT_OF_FOLD
from seewhy.analysis.labels.issues import label_issues
from seewhy.analysis.labels.review import Suspect, write_review
from seewhy.analysis.labels.suspects import MOST, Shown, Suspects, _shown
from seewhy.analysis.neighbours import nearest
from seewhy.data import ImageSet
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import wilson
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import write_atomic
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import load
from seewhy.page.review import render_review
from seewhy.run import Run

Progress = Callable[[int, int], None]


def find_suspects(
    data: str | Path,
    home: Path,
    *,
    loading: Progress | None = None,
    progress: Progress | None = None,
) -> Suspects:
    """Finds labels that look wrong in the data on which the folds in `home` were trained.

    `progress` hears of pictures looked at for evidence. Raises `DataError` for other data, and
    `UsageError` where the folds are not finished.
    """
    predictions, runs = _read(home)
    assert predictions.labels is not None
    issues = label_issues(predictions.labels, predictions.probabilities())
    suspected = predictions.take(issues.rows)
    place = {str(key): number for number, key in enumerate(suspected.ids)}
    parts = [_part(run, data, place, loading, progress) for run in runs]
    order = np.argsort(np.concatenate([part.places for part in parts]))
    hashes = np.concatenate([part.hashes for part in parts])[order]
    chances = suspected.probabilities()
    names = predictions.classes
    found = tuple(
        Suspect(
            id=str(key),
            hash=digest.decode(),
            label=names[label],
            suggested=names[guess],
            score=float(score),
            label_probability=float(chance[label]),
            suggested_probability=float(chance[guess]),
        )
        for key, digest, label, guess, score, chance in zip(
            suspected.ids,
            hashes.tolist(),
            predictions.labels[issues.rows],
            issues.suggested,
            issues.scores,
            chances,
            strict=True,
        )
    )
    judged = predictions.labels >= 0
    right = (predictions.predicted == predictions.labels)[judged]
    agreed = wilson(int(right.sum()), len(right))
    commonest = np.bincount(predictions.labels[judged]).max() / len(right)
    return Suspects(
        classes=names,
        n=len(right),
        agreed=agreed.value,
        weak=bool(agreed.low <= commonest),
        noise=issues.noise,
        found=found,
        shown=_joined(parts),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The suspects of one fold: their places among all, and their pictures where they are shown."""

    places: NDArray[np.int64]
    hashes: NDArray[np.bytes_]
    shown_places: NDArray[np.int64]
    shown: Shown


def _read(home: Path) -> tuple[Predictions, list[Run]]:
    """The out-of-fold predictions of finished folds, and their runs."""
    if not (home / OUT_OF_FOLD).is_file():
        raise UsageError(
            f"{home} holds no finished folds ({OUT_OF_FOLD}): make them with `seewhy train --folds 5`"
        )
    first = Run(home / "fold-0")
    runs = [Run(home / f"fold-{fold}") for fold in range(first.config["recipe"]["data"]["folds"])]
    return Predictions.from_parquet(home / OUT_OF_FOLD), runs


def _part(
    run: Run,
    data: str | Path,
    place: Mapping[str, int],
    loading: Progress | None,
    progress: Progress | None,
) -> _Part:
    classifier = load(run.path)
    splits = classifier.splits(data)
    if splits.fingerprint != run.config["data_fingerprint"]:
        raise DataError(
            f"{data} does not hold the pictures and labels on which {run.path} was trained: give those, "
            "or train the folds anew in another --out"
        )
    places = np.array([place.get(str(key), -1) for key in splits.val.ids], np.int64)
    suspects = np.flatnonzero(places >= 0)
    rows = np.flatnonzero((places >= 0) & (places < MOST))
    pictures = splits.val.take(rows)
    near = _nearest(classifier, pictures, splits.train, progress)
    shown = _shown(pictures, splits.train, near)
    return _Part(places[suspects], splits.val.hashes[suspects], places[rows], shown)


def _nearest(
    classifier: Classifier, pictures: ImageSet, train: ImageSet, progress: Progress | None
) -> NDArray[np.int64]:
    """The rows (M, k) of the training pictures nearest to each; k is 0 where the net has no features."""
    judged = classifier.predict_set(pictures, embed=True)
    if not len(pictures) or judged.embeddings is None:
        return np.empty((len(pictures), 0), np.int64)
    known = classifier.predict_set(train, embed=True)
    assert known.embeddings is not None
    return nearest(judged.embeddings, known.embeddings).rows


def _joined(parts: Sequence[_Part]) -> Shown:
    """The pictures of all folds, the surest first."""
    parts = [part for part in parts if len(part.shown_places)] or parts[:1]
    order = np.argsort(np.concatenate([part.shown_places for part in parts]))

    def all_of(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part.shown, name) for part in parts])[order]

    return Shown(all_of("images"), all_of("near"), all_of("near_labels"))


def give_for_review(
    suspects: Suspects,
    command: str,
    home: Path,
    *,
    mistakes: bool = False,
    on_event: OnEvent = ignore,
) -> None:
    """Writes review.html and review.csv into a directory; a review.csv that is there stays as it is.

    `command` is what corrects the labels by the answers; `mistakes` says whose the suspicion is.
    """
    page = render_review(suspects, command, mistakes=mistakes)
    write_atomic(home / "review.html", page.encode())
    review = home / "review.csv"
    if review.exists():
        on_event(Note(f"{review} is there already, perhaps filled in: kept as it is"))
    else:
        write_review(suspects.found, review)
