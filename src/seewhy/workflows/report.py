"""Writes the HTML report of a run, from its stored results and attribution maps."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.analysis.overview import write_analysis
from seewhy.attribution.grad_cam import grad_cam
from seewhy.data import Data, ImageSet, Splits
from seewhy.data.images.decode import centre
from seewhy.data.sources import describe
from seewhy.errors import DataError, SeeWhyError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_writable, write_atomic
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import device_of
from seewhy.inference.forward import to_input
from seewhy.inference.loading import load
from seewhy.page.figures import draw_figures
from seewhy.page.images import MOST_CLASSES, ShownImages, choose_rows
from seewhy.page.report import render
from seewhy.page.stored import Stored, read_stored
from seewhy.plots import sheets
from seewhy.plots.network import gradient_norms
from seewhy.plots.style import font_note, write_drawings
from seewhy.run import Run
from seewhy.workflows.analyse import analyse_validation

CHUNK = 64  # images explained at a time, to bound memory


def report(
    run: Run | str | Path,
    data: Data | None = None,
    *,
    analyse: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Path:
    """Writes a run's HTML report, and its plots to figures/; returns the path of the report.

    It shows what is stored and computes only where the network looked; `analyse` first analyses the stored
    validation predictions. `data` is where the images are; if it is not given and the training data is no
    longer there, the report has no images, and replaces none. Raises `UsageError` for an unfinished run,
    `DataError` for other data.
    """
    run = run if isinstance(run, Run) else Run(run)
    page = named_path(out) if out is not None else run.path / "report.html"
    require_writable(page)
    if analyse:
        _analyse(run, run.data if data is None else data, device, on_event)
    stored = read_stored(run)
    source = run.data if data is None else data
    shown = images = None
    try:
        shown, images = _shown_images(run, stored, source, device, on_event)
    except SeeWhyError as error:
        if data is not None:
            raise
        if page.exists():
            raise DataError(
                f"{error}. {page} is kept, since the new report would have no images: give the data with "
                "--data, or another --out for a report without them"
            ) from None
        on_event(Note(f"without images: {error}"))
    if note := font_note(stored.classes):
        on_event(Note(note))
    drawn = draw_figures(stored, images, run.figures)
    if run.gradient_norms:
        write_drawings({"gradient-norms": (gradient_norms, [run.gradient_norms])}, run.figures)
    figures = "figures" if page.parent.resolve() == run.path.resolve() else ""
    write_atomic(page, render(stored, describe(source), shown, drawn, figures=figures).encode())
    return page


def _analyse(run: Run, data: Data, device: str, on_event: OnEvent) -> None:
    with load(run.path, device=device) as classifier:
        predictions = Predictions.from_parquet(run.predictions("val"))
        splits = _own_splits(run, classifier, data, predictions, on_event)
        analysis = analyse_validation(predictions, classifier, splits, on_event=on_event)
    write_analysis(analysis, "val", run.path / "analysis")


def _shown_images(
    run: Run, stored: Stored, data: Data, device: str, on_event: OnEvent
) -> tuple[ShownImages, sheets.Pixels]:
    """The images of the report, with their maps, and all of validation.

    Raises `DataError` for other data.
    """
    with load(run.path, device=device) as classifier:
        predictions = Predictions.from_parquet(run.predictions("val"))
        splits = _own_splits(run, classifier, data, predictions, on_event)
        val = splits.val
        place, mistakes = stored.classes.index, stored.mistakes
        pairs = None
        if len(stored.classes) > MOST_CLASSES:
            listed = mistakes.pairs if mistakes else ()
            pairs = [(place(pair.true), place(pair.predicted)) for pair in listed]
        worst = [mistake.row for mistake in mistakes.worst] if mistakes else []
        rows = choose_rows(predictions, worst, pairs)
        images = centre(val.images[rows], classifier.rule.size)
        maps = _maps(classifier, images, predictions.predicted[rows], on_event)
    return ShownImages(rows, predictions, images, maps, _near(stored, splits.train)), val.images


def _own_splits(
    run: Run, classifier: Classifier, data: Data, predictions: Predictions, on_event: OnEvent
) -> Splits:
    """The splits of `data`. Raises `DataError` unless they have the run's validation images, name by name and
    pixel by pixel."""
    splits = classifier.splits(data, on_event=on_event)
    same_names = np.array_equal(splits.val.ids, predictions.ids)
    if not same_names or splits.fingerprint != classifier.predictor.fingerprint:
        names = ", only their names" if same_names else ""
        raise DataError(
            f"{describe(data)} does not have the validation images of {run.path}{names}: give the data that "
            "the run was trained on"
        )
    return splits


def _near(stored: Stored, train: ImageSet) -> dict[int, NDArray[np.uint8]]:
    """The nearest training images of the explained mistakes, by row, if they are still the same."""
    named = {near.row: near.id for one in stored.explained for near in one.nearest}
    rows = [row for row, key in named.items() if row < len(train) and str(train.ids[row]) == key]
    return dict(zip(rows, train.images[np.array(rows, np.int64)], strict=True))


def _maps(
    classifier: Classifier,
    images: NDArray[np.uint8],
    predicted: NDArray[np.int64],
    on_event: OnEvent,
) -> NDArray[np.float32]:
    """Grad-CAM maps (N, H, W) of the predicted classes; 0 for a network without them."""
    maps = np.zeros(images.shape[:3], np.float32)
    network = classifier.module(views=True)
    device = device_of(network)
    targets = torch.from_numpy(predicted).to(device)
    try:
        for start in range(0, len(images), CHUNK):
            rows = slice(start, start + CHUNK)
            x = to_input(images[rows], device)
            maps[rows] = grad_cam(network, x, targets[rows]).cpu().numpy()
    except UsageError as error:
        on_event(Note(f"without maps: {error}"))
    return maps
