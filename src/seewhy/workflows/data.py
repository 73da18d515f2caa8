"""A data set counted, checked and split before training, with plots."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seewhy.config.data import DataConfig
from seewhy.data import Data, Splits, load_data, write_splits
from seewhy.data.inspect import Statistics, statistics, write_findings
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, optional_folder, require_new, write_atomic
from seewhy.plots import data as draw
from seewhy.workflows.check import Report, find_faults

SHEETS = 100  # classes with an image sheet of their own


DEFAULT = DataConfig()


@dataclass(frozen=True, eq=False)
class WrittenSplits:
    """The file that lists the split of each image, and the number of images in each."""

    file: Path
    statistics: Statistics


def data_statistics(
    data: Data,
    config: DataConfig = DEFAULT,
    *,
    out: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Statistics:
    """Counts and measures a data set; `out` is a new folder for plots.

    For test only the number of images is given. Raises `DataError` for data that cannot be read.
    """
    with optional_folder(out) as folder:
        splits = _load(data, config, on_event, trainable=False)
        measured = statistics(splits)
        if folder is not None:
            _draw_statistics(splits, measured, folder)
    return measured


def check_data(
    data: Data,
    config: DataConfig = DEFAULT,
    *,
    out: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Report:
    """Checks a data set for problems; `out` is a new folder for findings.csv and plots.

    Test images are compared by their hashes only.
    """
    with optional_folder(out) as folder:
        splits = _load(data, config, on_event, trainable=False)
        report = find_faults(splits, on_event)
        if folder is not None:
            write_findings(report.findings, report.gathered, folder / "findings.csv")
            _draw_findings(report, folder)
    return report


def split_data(
    data: Data,
    config: DataConfig = DEFAULT,
    *,
    out: str | Path,
    on_event: OnEvent = ignore,
) -> WrittenSplits:
    """Splits a data set as for training and writes `out`/splits.csv.

    Raises `UsageError` if that file exists.
    """
    path = named_path(out) / "splits.csv"
    require_new(path)
    splits = _load(data, config, on_event)
    write_splits(splits, path)
    return WrittenSplits(path, statistics(splits))


def _load(data: Data, config: DataConfig, on_event: OnEvent, trainable: bool = True) -> Splits:
    splits = load_data(data, config, trainable=trainable, on_event=on_event)
    for note in splits.notes:
        on_event(Note(note))
    return splits


def _draw_statistics(splits: Splits, measured: Statistics, folder: Path) -> None:
    write_atomic(folder / "classes.png", draw.class_counts(measured))
    if len(np.unique(measured.sizes, axis=0)) > 1:
        write_atomic(folder / "sizes.png", draw.image_sizes(measured))
    write_atomic(folder / "overview.png", draw.overview(splits.train))
    for label, name in enumerate(splits.classes[:SHEETS]):
        # Class names are untrusted: only their plain characters go into the file name.
        file = f"class-{label + 1:03}-{re.sub(r'[^A-Za-z0-9]+', '-', name)[:40].strip('-')}.png"
        write_atomic(folder / file, draw.class_sheet(splits.train, label))


def _draw_findings(report: Report, folder: Path) -> None:
    for finding in report.findings:
        sheet = draw.finding_sheet(finding, report.gathered)
        if sheet is not None:
            write_atomic(folder / f"{finding.kind}.png", sheet)
    images = report.gathered.opened
    for number in {one.number for one in report.shortcuts}:
        labels = {one.label for one in report.shortcuts if one.number == number}
        drawn = draw.telling_number(number, report.values[number], images, labels)
        write_atomic(folder / f"shortcut-{number.replace(' ', '-')}.png", drawn)
