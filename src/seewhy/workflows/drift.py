"""Compares new images with those that a model was judged on, as files, a figure and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.analysis.drift import Drift, require_enough
from seewhy.analysis.drift import drift as compare
from seewhy.data import Data
from seewhy.data.images.decode import ImageLike
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.files import optional_folder, write_atomic, write_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import load
from seewhy.page.drift import MOST_SHOWN, render_drift
from seewhy.plots.drift import draw_drift
from seewhy.workflows.drift_reference import SUFFIX, find_reference, judged
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

    `reference` is a data set: of the model's own the validation images are taken, of other data all; or a
    file NAME.drift of `seewhy.drift_reference`. `window` are files, folders, globs or lists, as for
    `label_images`, or images in memory; their labels are not needed. `options` sets fields of `DataConfig`
    for the reference. `out` is a new folder for drift.json, a figure and a page. Raises `DriftError` for
    fewer than 10 images on either side, and for the reference of another model.
    """
    with (
        optional_folder(out) as folder,
        load(model, device=device) as classifier,
        classifier.in_full_precision(),
    ):
        known = _reference(model, classifier, reference, options, on_event)
        images = _named(window, on_event)
        predicted, rows = _predicted(classifier, images, on_event)
        result = replace(compare(known, predicted), errors=len(images) - len(rows))
        if folder is not None:
            write_json(result, folder / "drift.json")
            draw_drift(result, folder)
            farthest = [images[rows[row]] for row in result.new[:MOST_SHOWN]]
            shown = [classifier.preprocess(image) for image in farthest]
            html = render_drift(result, shown, str(model), classifier.digest)
            write_atomic(folder / "drift.html", html.encode())
            on_event(Note(f"drift.html, drift.json and drift.png are in {folder}"))
    return result


def _reference(
    model: str | PathLike[str],
    classifier: Classifier,
    reference: Data,
    options: Mapping[str, Any] | None,
    on_event: OnEvent,
) -> Predictions:
    """The answers to the reference: from its file, or to the images of its data."""
    if isinstance(reference, str | PathLike) and Path(reference).suffix == SUFFIX:
        return find_reference(Path(reference), classifier.digest)
    return judged(model, classifier, reference, options, on_event)


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
) -> tuple[Predictions, list[int]]:
    """The predictions of a window, with embeddings, without bad images; and which images they are of."""
    parts, rows, done = [], list[int](), 0
    for part in classifier.predict_chunks(images, on_error="row", embed=True):
        for row, (code, message) in part.errors.items():
            on_event(Note(f"left out: {part.ids[row]}: {message} ({code})"))
        good = [row for row in range(len(part)) if row not in part.errors]
        if good:
            parts.append(part.take(np.array(good)))
            rows += [done + row for row in good]
        done += len(part)
        on_event(Progress("predicting", done, len(images)))
    require_enough("window", len(rows))
    return concat(parts), rows
