"""Images labelled: files, folders, globs, arrays or bytes in, predictions or rows of a table out."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seewhy.data.images.decode import Picture
from seewhy.data.sources.folders import scan
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import load

SKIPPED = {"not_a_file"}
MOST_LABELS = 100


def predict(
    model: str | Path | Sequence[str | Path],
    images: Picture | Iterable[Picture],
    *,
    on_error: Literal["raise", "row"] = "raise",
    device: str = "auto",
) -> Predictions:
    """Predicts one image or many: paths, PIL images, uint8 arrays (H, W, 3) or encoded bytes.

    A bad image raises `ImageError`, or with `on_error="row"` becomes a row of NaN logits that is named in
    `Predictions.errors`. Whoever predicts more than once keeps the model: `seewhy.load(model).predict(...)`.
    """
    with load(model, device=device) as classifier:
        return classifier.predict(images, on_error=on_error)


@dataclass(frozen=True)
class Labelling:
    """A table of labelled images as it comes: its columns, and rows in chunks, in order."""

    columns: tuple[str, ...]
    chunks: Iterator[list[dict[str, Any]]]


def label_images(
    model: str | Path,
    paths: Sequence[str | Path],
    *,
    top_k: int = 3,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Labelling:
    """Labels files, and what folders and globs hold: one row an image, in order, also for bad ones.

    A row has path, status ("ok", "error", "skipped"), `top_k` (1 to 100) labels with their confidences, best
    first, the model's digest, an error's code and text, and for a calibrated model its answer. Raises
    `UsageError` where there is no image.
    """
    if not 1 <= top_k <= MOST_LABELS:
        raise UsageError(f"--top-k {top_k}: expected 1 to {MOST_LABELS}")
    classifier = load(model, device=device)
    count = min(top_k, len(classifier.classes))
    images = list(_expand(paths, on_event))
    if not images:
        named = ", ".join(map(str, paths))
        raise UsageError(f"no pictures in {named}: name files, or folders that hold some")
    ranks = ("", *(f"_{rank}" for rank in range(2, count + 1)))
    labels = [f"{name}{rank}" for rank in ranks for name in ("label", "confidence")]
    columns = (
        "path",
        "status",
        *labels,
        "model_digest",
        "code",
        "error",
        *["answer"] * decides(classifier.decision),
    )
    return Labelling(columns, _rows(classifier, images, columns, ranks, on_event))


def _rows(
    classifier: Classifier,
    images: Sequence[str],
    columns: Sequence[str],
    ranks: Sequence[str],
    on_event: OnEvent,
) -> Iterator[list[dict[str, Any]]]:
    done = 0
    with classifier:
        for chunk in classifier.predict_chunks(images, on_error="row"):
            yield [_row(classifier, chunk, n, columns, ranks) for n in range(len(chunk))]
            done += len(chunk)
            on_event(Progress("predicting", done, len(images)))


def _row(
    classifier: Classifier,
    chunk: Predictions,
    number: int,
    columns: Sequence[str],
    ranks: Sequence[str],
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(columns, "")
    row |= {"path": chunk.ids[number], "status": "ok", "model_digest": classifier.digest}
    if number in chunk.errors:
        code, message = chunk.errors[number]
        status = "skipped" if code in SKIPPED else "error"
        return row | {"status": status, "code": code, "error": message}
    one = chunk.take(np.array([number]))
    probabilities = one.probabilities()[0]
    order = (-one.logits[0]).argsort(kind="stable")
    for rank, label in zip(ranks, order, strict=False):
        row[f"label{rank}"] = classifier.classes[label]
        row[f"confidence{rank}"] = round(float(probabilities[label]), 6)
    if "answer" in row:
        row["answer"] = classifier.answers(one)[0]
    return row


def _expand(paths: Iterable[str | Path], on_event: OnEvent) -> Iterator[str]:
    """The images that the arguments name: every named file, and what a folder or a glob holds."""
    for path in map(str, paths):
        if Path(path).is_dir():
            folder = scan(Path(path))
            yield from (str(Path(path, image)) for image in folder.pictures)
            yield from (str(Path(path, file.path)) for file in folder.skipped)
            if folder.others:
                on_event(Note(f"{path}: {folder.others:,} other files passed over"))
        elif glob.has_magic(path) and not Path(path).exists():
            yield from sorted(p for p in glob.glob(path, recursive=True) if not Path(p).is_dir())
        else:
            yield path
