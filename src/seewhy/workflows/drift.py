"""Compares new images with those that a model was judged on, as files and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.analysis.drift import Drift
from seewhy.analysis.drift import drift as compare
from seewhy.data import Data
from seewhy.data.images.decode import ImageLike
from seewhy.errors import DataError
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.files import optional_folder, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import load
from seewhy.plots.drift import draw_drift
from seewhy.text import counted
from seewhy.workflows.evaluate import choose_split, part_of, read_splits
from seewhy.workflows.named_images import named_images


def drift(
    model: str | PathLike[str],
    reference: Data,
    window: str | Path | Sequence[str | Path] | Sequence[ImageLike],
    *,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Drift:
    """Says whether images of `window` differ from those of `reference`, and what that may cost.

    `reference` is a data set: of the model's own the validation images are taken, of other data all. `window`
    are files, folders, globs or lists, as for `label_images`, or images in memory; their labels are not
    needed. `options` sets fields of `DataConfig` for the reference. `out` is a new folder for drift.json and
    a figure. Raises `DataError` for fewer than 10 images on either side.
    """
    with (
        optional_folder(out) as folder,
        load(model, device=device) as classifier,
        classifier.in_full_precision(),
    ):
        splits = read_splits(classifier, reference, options, on_event)
        chosen = choose_split(model, classifier, splits, None, on_event)
        images = part_of(splits, chosen)
        known = classifier.predict_set(images, embed=True, on_event=on_event)
        predicted, bad = _predicted(classifier, _named(window, on_event), on_event)
        result = replace(compare(known, predicted), errors=bad)
        if folder is not None:
            write_json(result, folder / "drift.json")
            draw_drift(result, folder)
            on_event(Note(f"drift.json and drift.png are in {folder}"))
    return result


def _named(window: Any, on_event: OnEvent) -> Sequence[ImageLike]:
    """The images of a window: those that paths name, or those in memory."""
    if isinstance(window, str | Path):
        window = [window]
    if all(isinstance(one, str | Path) for one in window):
        return named_images(window, on_event=on_event)
    images: Sequence[ImageLike] = window
    return images


def _predicted(
    classifier: Classifier, images: Sequence[ImageLike], on_event: OnEvent
) -> tuple[Predictions, int]:
    """The predictions of a window, with embeddings, without bad images; and how many these are."""
    parts, bad, done = [], 0, 0
    for part in classifier.predict_chunks(images, on_error="row", embed=True):
        for row, (code, message) in part.errors.items():
            on_event(Note(f"left out: {part.ids[row]}: {message} ({code})"))
            bad += 1
        good = np.array([row not in part.errors for row in range(len(part))], bool)
        parts.append(part.take(good))
        done += len(part)
        on_event(Progress("predicting", done, len(images)))
    parts = [part for part in parts if len(part)]
    if not parts:
        raise DataError(f"none of {counted(len(images), 'image')} of the window can be read")
    return concat(parts), bad
