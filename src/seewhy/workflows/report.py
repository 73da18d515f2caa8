"""One page of a run, from what is stored in it and where the network looked."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.analysis.overview import write_analysis
from seewhy.attribution.grad_cam import grad_cam
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.errors import DataError, SeeWhyError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import write_atomic
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import device_of
from seewhy.inference.forward import to_input
from seewhy.inference.loading import load
from seewhy.page.figures import draw_figures
from seewhy.page.pictures import MOST_CLASSES, Pictures, choose_rows
from seewhy.page.report import render
from seewhy.page.stored import Stored, read_stored
from seewhy.plots import sheets
from seewhy.plots.network import draw_gradient_norms
from seewhy.run import Run
from seewhy.workflows.analyse import analyse_validation

CHUNK = 64  # images explained at a time, which bounds memory


def report(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    analyse: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Path:
    """Writes a run's page, and its drawings to figures/; gives the page's path.

    It shows what is stored and works out nothing but where the network looked; with `analyse` first also
    what the stored validation predictions tell. `data` is where the images
    lie; where it is not given and that of the training is not there, the page has no images. Raises
    `UsageError` for a run that is not finished, `DataError` for other data.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    if analyse:
        _analyse(run, on_event)
    stored = read_stored(run)
    place = str(data or stored.config["data"])
    pictures = images = None
    try:
        pictures, images = _pictures(run, stored, place, device, on_event)
    except SeeWhyError as error:
        if data is not None:
            raise
        on_event(Note(f"without pictures: {error}"))
    draw_figures(stored, images, run.figures)
    if run.gradient_norms:
        draw_gradient_norms(run.gradient_norms, run.figures)
    page = Path(out) if out is not None else run.path / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    figures = "figures" if page.parent.resolve() == run.path.resolve() else ""
    write_atomic(page, render(stored, place, pictures, figures=figures).encode())
    return page


def _analyse(run: Run, on_event: OnEvent) -> None:
    with load(run.path) as classifier:
        analysis = analyse_validation(
            Predictions.from_parquet(run.predictions("val")),
            classifier,
            classifier.splits(run.config["data"]),
            on_event=on_event,
        )
    write_analysis(analysis, "val", run.path / "analysis")


def _pictures(
    run: Run, stored: Stored, data: str, device: str, on_event: OnEvent
) -> tuple[Pictures, sheets.Pictures]:
    """The images that the page shows, with their maps, and all of validation.

    Raises `DataError` for other data.
    """
    with load(run.path, device=device) as classifier:
        predictions = Predictions.from_parquet(run.predictions("val"))
        splits = classifier.splits(data, on_event=on_event)
        val = splits.val
        if not np.array_equal(val.ids, predictions.ids):
            raise DataError(
                f"{data} does not hold the validation pictures of {run.path}: give the data that it was "
                f"evaluated on, or evaluate it on these (`seewhy evaluate {run.path} --data {data} --full`)"
            )
        mistakes = stored.analysis.get("mistakes", {"worst": [], "pairs": []})
        pairs = None
        if len(stored.classes) > MOST_CLASSES:
            place = stored.classes.index
            pairs = [(place(pair["true"]), place(pair["predicted"])) for pair in mistakes["pairs"]]
        rows = choose_rows(predictions, [mistake["row"] for mistake in mistakes["worst"]], pairs)
        images = centre(val.images[rows], classifier.rule.size)
        maps = _maps(classifier, images, predictions.predicted[rows], on_event)
    return Pictures(rows, predictions, images, maps, _near(stored, splits.train)), val.images


def _near(stored: Stored, train: ImageSet) -> dict[int, NDArray[np.uint8]]:
    """The training images beside the explained mistakes, by row, where they are still the same."""
    explained = stored.analysis.get("causes", {"mistakes": []})["mistakes"]
    named = {near["row"]: near["id"] for one in explained for near in one["nearest"]}
    rows = [row for row, key in named.items() if row < len(train) and str(train.ids[row]) == key]
    return dict(zip(rows, train.images[np.array(rows, np.int64)], strict=True))


def _maps(
    classifier: Classifier,
    images: NDArray[np.uint8],
    predicted: NDArray[np.int64],
    on_event: OnEvent,
) -> NDArray[np.float32]:
    """Where the network looked for what it said, by Grad-CAM, (N, H, W); 0 where it cannot be told."""
    maps = np.zeros(images.shape[:3], np.float32)
    network = classifier.module()
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
