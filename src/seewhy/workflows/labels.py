"""Finds labels that look wrong, by cross-validation, and corrects them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.experiments.repetition import OUT_OF_FOLD
from seewhy.analysis.labels.issues import label_issues
from seewhy.analysis.labels.review import (
    Suspect,
    read_review,
    write_review,
    write_suspects,
    write_version,
)
from seewhy.analysis.labels.suspects import MOST, Shown, Suspects, shown_images
from seewhy.analysis.neighbours import nearest
from seewhy.config.data import DataConfig
from seewhy.config.recipe import load_recipe
from seewhy.data import ImageSet, load_data
from seewhy.data.sources.corrected import read_corrected
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import wilson
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new, write_atomic, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import load
from seewhy.page.review import render_review
from seewhy.page.settings import review_command
from seewhy.run import Run
from seewhy.workflows.experiments import repetition
from seewhy.workflows.suited import suited_recipe


@dataclass(frozen=True, eq=False)
class LabelFindings:
    """The labels of `data` that look wrong, also as files in the folder `path`.

    `command` corrects them, when the review.csv there is completed.
    """

    data: str
    path: Path
    command: str
    suspects: Suspects

    def json_form(self) -> dict[str, Any]:
        """The content of label-issues.json."""
        return {"data": self.data, **self.suspects.json_form()}


@dataclass(frozen=True)
class ReviewedData:
    """The folder `version`, `data` with corrected labels, and how many images have which answer.

    `flags` are those that a training needs to leave out the files that cannot be used.
    """

    data: str
    version: Path
    corrected: int
    left_out: int
    confirmed: int
    open: int
    flags: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """A summary of the version, including the corrections of earlier versions."""
        return read_corrected(self.version).note


def find_label_issues(
    data: str | Path,
    recipe: str | Path | None = None,
    folds: int | None = None,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> LabelFindings:
    """Finds labels that look wrong, by networks that were not trained on the images that they judge.

    Trains `folds` [5] networks by `recipe` [that which suits the data] into `out` [runs/RECIPE-folds], as
    `seewhy.folds` does, continues interrupted ones, and reuses finished ones. Writes label-issues.csv, .json
    and .png there, and
    for a person review.html, which saves review.csv. Test stays sealed. Raises `DataError` if the folds were
    trained on other data, and `UsageError` if they were trained with other settings.
    """
    from seewhy.plots.sheets import draw_suspects

    if not isinstance(data, str | Path):
        raise UsageError(
            "labels are reviewed in files: save the images as a folder, and give its path"
        )
    changes = overrides or {}
    explicit = recipe is not None or folds is not None or changes
    recipe = recipe or suited_recipe(data, changes, on_event)
    home = named_path(out or Path("runs", f"{load_recipe(recipe, changes).name}-folds"))
    if explicit or not (home / OUT_OF_FOLD).is_file():
        repetition.folds(
            data,
            recipe,
            5 if folds is None else folds,
            out=home,
            overrides=changes,
            on_event=on_event,
        )
    suspects = find_suspects(data, home, on_event=on_event)
    drawn = DataConfig.model_validate(Run(home / "fold-0").config["recipe"]["data"])
    command = review_command(str(data), drawn, str(home / "review.csv"))
    findings = LabelFindings(str(data), home, command, suspects)
    write_suspects(suspects.found, home / "label-issues.csv")
    write_json(findings, home / "label-issues.json")
    write_for_review(suspects, command, home, on_event=on_event)
    if suspects.found:
        write_atomic(home / "label-issues.png", draw_suspects(suspects.found, suspects.shown))
    return findings


def write_for_review(
    suspects: Suspects,
    command: str,
    home: Path,
    *,
    mistakes: bool = False,
    on_event: OnEvent = ignore,
) -> None:
    """Writes review.html and review.csv into a folder; an existing review.csv is not changed.

    `command` applies the answers to the labels; `mistakes` means that the suspects are a model's mistakes.
    """
    page = render_review(suspects, command, mistakes=mistakes)
    write_atomic(home / "review.html", page.encode())
    review = home / "review.csv"
    if review.exists():
        on_event(Note(f"{review} already exists and may have answers: kept unchanged"))
    else:
        write_review(suspects.found, review)


def apply_review(
    data: str | Path,
    review: str | Path,
    out: str | Path,
    config: DataConfig | None = None,
    *,
    on_event: OnEvent = ignore,
) -> ReviewedData:
    """Writes `out`, a version of `data` with the labels of a completed review.csv; `data` is not changed.

    `config` splits the data as in training [the defaults; bad files are skipped]: labels of test are not
    changed. Raises `DataError` naming a row that does not fit the data, and `UsageError` if `out` exists or
    nothing is corrected.
    """
    out = named_path(out)
    require_new(out)
    config = config or DataConfig(on_bad="skip", max_bad=1)
    splits = load_data(data, config, trainable=False, on_event=on_event)
    answers = read_review(Path(review), splits)
    write_version(str(data), config.layout, answers, out, config.label_column)
    left_out = sum(one.label is None for one in answers.corrections)
    return ReviewedData(
        data=str(data),
        version=out,
        corrected=len(answers.corrections) - left_out,
        left_out=left_out,
        confirmed=answers.confirmed,
        open=answers.open,
        flags=splits.skip_flags,
    )


def find_suspects(data: str | Path, home: Path, *, on_event: OnEvent = ignore) -> Suspects:
    """Finds labels that look wrong in the data on which the folds in `home` were trained.

    Raises `DataError` for other data, and `UsageError` if the folds are not finished.
    """
    predictions, runs = _read(home)
    assert predictions.labels is not None
    issues = label_issues(predictions.labels, predictions.probabilities())
    suspected = predictions.take(issues.rows)
    place = {str(key): number for number, key in enumerate(suspected.ids)}
    parts = [_fold_suspects(run, data, place, on_event) for run in runs]
    order = np.argsort(np.concatenate([part.places for part in parts]))
    hashes = np.concatenate([part.hashes for part in parts])[order]
    names, probabilities = predictions.classes, suspected.probabilities()
    suspects = tuple(
        Suspect(
            id=str(suspected.ids[number]),
            hash=hashes[number].decode(),
            label=names[label],
            suggested=names[guess],
            score=float(issues.scores[number]),
            label_probability=float(probabilities[number, label]),
            suggested_probability=float(probabilities[number, guess]),
        )
        for number, (label, guess) in enumerate(
            zip(predictions.labels[issues.rows], issues.suggested, strict=True)
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
        found=suspects,
        shown=_joined(parts),
    )


@dataclass(frozen=True, eq=False)
class _FoldSuspects:
    """The suspects of one fold: their positions among all, and the images of those that are shown."""

    places: NDArray[np.int64]
    hashes: NDArray[np.bytes_]
    shown_places: NDArray[np.int64]
    shown: Shown


def _read(home: Path) -> tuple[Predictions, list[Run]]:
    """The out-of-fold predictions of finished folds, and their runs."""
    if not (home / OUT_OF_FOLD).is_file():
        raise UsageError(
            f"{home} has no finished folds ({OUT_OF_FOLD}): make them with `seewhy train --folds 5`"
        )
    first = Run(home / "fold-0")
    runs = [Run(home / f"fold-{fold}") for fold in range(first.config["recipe"]["data"]["folds"])]
    return Predictions.from_parquet(home / OUT_OF_FOLD), runs


def _fold_suspects(
    run: Run, data: str | Path, place: Mapping[str, int], on_event: OnEvent
) -> _FoldSuspects:
    with load(run.path) as classifier:
        splits = classifier.splits(data, on_event=on_event)
        if splits.fingerprint != run.config["data_fingerprint"]:
            raise DataError(
                f"{data} does not have the images and labels on which {run.path} was trained: give those, "
                "or train the folds again in another --out"
            )
        places = np.array([place.get(str(key), -1) for key in splits.val.ids], np.int64)
        suspects = np.flatnonzero(places >= 0)
        rows = np.flatnonzero((places >= 0) & (places < MOST))
        images = splits.val.take(rows)
        near = _nearest(classifier, images, splits.train, on_event)
    shown = shown_images(images, splits.train, near)
    return _FoldSuspects(places[suspects], splits.val.hashes[suspects], places[rows], shown)


def _nearest(
    classifier: Classifier, images: ImageSet, train: ImageSet, on_event: OnEvent
) -> NDArray[np.int64]:
    """The rows (M, k) of the training images nearest to each; k is 0 if the network has no features."""
    judged = classifier.predict_set(images, embed=True)
    if not len(images) or judged.embeddings is None:
        return np.empty((len(images), 0), np.int64)
    known = classifier.predict_set(train, embed=True, on_event=on_event, what="comparing")
    assert known.embeddings is not None
    return nearest(judged.embeddings, known.embeddings).rows


def _joined(parts: Sequence[_FoldSuspects]) -> Shown:
    """The images of all folds, the most confident suspects first."""
    parts = [part for part in parts if len(part.shown_places)] or parts[:1]
    order = np.argsort(np.concatenate([part.shown_places for part in parts]))

    def all_of(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part.shown, name) for part in parts])[order]

    return Shown(all_of("images"), all_of("near"), all_of("near_labels"))
