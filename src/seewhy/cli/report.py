"""`seewhy report`."""

from pathlib import Path

import click
import numpy as np
import torch

from seewhy.attribution.grad_cam import grad_cam
from seewhy.cli.progress import ReadingBar, say
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.errors import DataError, SeeWhyError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.files import write_atomic
from seewhy.inference.classifier import Classifier
from seewhy.inference.forward import to_input
from seewhy.inference.locate import load
from seewhy.page.figures import draw_figures
from seewhy.page.pictures import MOST_CLASSES, Pictures, choose_rows
from seewhy.page.report import render
from seewhy.page.stored import Stored, read_stored
from seewhy.plots import sheets
from seewhy.run import Run

CHUNK = 64  # pictures explained at a time, which bounds memory


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", help="where its pictures lie [as at the training]")
@click.option("--out", type=click.Path(path_type=Path), help="the page [RUN/report.html]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(run: Path, data: str | None, out: Path | None, device: str) -> None:
    """Make one page of RUN: how good, where it fails and why, and what to do next.

    One HTML file that needs no network. It shows what is stored in the run and works out nothing but
    where the network looked; `seewhy evaluate --full` stores more. The drawings are in figures/ too.
    """
    click.echo(write_report(Run(run), data, out, device))


def write_report(
    run: Run, data: str | None = None, out: Path | None = None, device: str = "auto"
) -> Path:
    """Writes a run's page, and its drawings to figures/; gives the page's path.

    Where `data` is not given and that of the training is not to be had, the page has no pictures.
    """
    stored = read_stored(run)
    place = data or stored.config["data"]
    pictures = images = None
    try:
        pictures, images = _pictures(run, stored, place, device)
    except SeeWhyError as error:
        if data is not None:
            raise
        say(f"without pictures: {error}")
    draw_figures(stored, images, run.figures)
    page = out or run.path / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    figures = "figures" if page.parent.resolve() == run.path.resolve() else ""
    write_atomic(page, render(stored, place, pictures, figures=figures).encode())
    return page


def _pictures(run: Run, stored: Stored, data: str, device: str) -> tuple[Pictures, sheets.Pictures]:
    """The pictures that the page shows, with their maps, and all of validation.

    Raises `DataError` for other data.
    """
    classifier = load(run.path, device=device)
    predictions = Predictions.from_parquet(run.predictions("val"))
    splits = classifier.splits(data, progress=ReadingBar("reading"))
    val = splits.val
    if not np.array_equal(val.ids, predictions.ids):
        raise DataError(
            f"{data} does not hold the validation pictures of {run.path}: give the data that it was "
            f"evaluated on, or evaluate it on these (`seewhy evaluate {run.path} --data {data} --full`)"
        )
    found = stored.analysis.get("mistakes", {"worst": [], "pairs": []})
    pairs = None
    if len(stored.classes) > MOST_CLASSES:
        place = stored.classes.index
        pairs = [(place(pair["true"]), place(pair["predicted"])) for pair in found["pairs"]]
    rows = choose_rows(predictions, [mistake["row"] for mistake in found["worst"]], pairs)
    images = centre(val.images[rows], classifier.rule.size)
    maps = _maps(classifier, images, predictions.predicted[rows])
    return Pictures(rows, predictions, images, maps, _near(stored, splits.train)), val.images


def _near(stored: Stored, train: ImageSet) -> dict[int, np.ndarray]:
    """The training pictures beside the explained mistakes, by row, where they are still the same."""
    explained = stored.analysis.get("causes", {"mistakes": []})["mistakes"]
    named = {near["row"]: near["id"] for one in explained for near in one["nearest"]}
    rows = [row for row, key in named.items() if row < len(train) and str(train.ids[row]) == key]
    return dict(zip(rows, train.images[np.array(rows, np.int64)], strict=True))


def _maps(classifier: Classifier, images: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Where the network looked for what it said, by Grad-CAM, (N, H, W); 0 where it cannot be told."""
    targets = torch.from_numpy(said).to(classifier.device)
    maps = np.zeros(images.shape[:3], np.float32)
    try:
        for start in range(0, len(images), CHUNK):
            rows = slice(start, start + CHUNK)
            x = to_input(images[rows], classifier.device)
            maps[rows] = grad_cam(classifier.bundle.network, x, targets[rows]).cpu().numpy()
    except UsageError as error:
        say(f"without maps: {error}")
    return maps
