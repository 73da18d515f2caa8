"""`seewhy data`: look at a data set before anything is trained on it."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import seewhy
from seewhy.cli.data_tables import findings_text, splits_table, statistics_table
from seewhy.cli.flags import config_of, fields
from seewhy.cli.labels import apply_review, labels
from seewhy.cli.output import new_folder, refuse_existing
from seewhy.cli.preview import command as preview
from seewhy.cli.progress import ReadingBar, say
from seewhy.config.data import DataConfig
from seewhy.data import Splits, load_data, write_splits
from seewhy.data.inspect import Statistics, is_wrong, statistics, write_findings
from seewhy.errors import UsageError
from seewhy.files import to_json, write_atomic

if TYPE_CHECKING:
    from seewhy.workflows.check import Report

# Pictures are looked at at this size, where they are larger: that of `--recipe photos`.
SIZE = 128
SHEETS = 100  # classes that get a sheet of their own


@click.group()
def command() -> None:
    """Look at a data set: what it holds, what is wrong with it, how it is split; correct its labels."""


@command.command()
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), help="a new directory for pictures of it")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@fields("layout", "group_from", "on_bad", "max_bad", "size")
def stats(data: str, out: Path | None, as_json: bool, **given: str | None) -> None:
    """Count and measure DATA: classes, splits, sizes, colours; draw its classes.

    Mean and deviation are of the stored pictures for training, in [0, 1]. Of test only the number of
    pictures is told.
    """
    folder = new_folder(out)
    splits = _load(data, config_of(given, size=SIZE), trainable=False)
    figures = statistics(splits)
    if folder:
        _draw_statistics(splits, figures, folder)
    if as_json:
        click.echo(json.dumps({"data": data, **to_json(figures)}))
    else:
        click.echo(statistics_table(figures))


@command.command(name="check")
@click.argument("data")
@click.option(
    "--out", type=click.Path(path_type=Path), help="a new directory for findings.csv and pictures"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@fields("layout", "group_from", "size")
def check_data(data: str, out: Path | None, as_json: bool, **given: str | None) -> None:
    """Find what is wrong with DATA: unreadable, twice there, leaking, mislabelled, dark, blurred, ...

    Exits 1 when anything is. Pictures of test are compared by hashes and not looked at.
    """
    folder = new_folder(out)
    config = config_of(given, size=SIZE, on_bad="skip", max_bad=1)
    report = seewhy.check_data(_load(data, config, trainable=False), ReadingBar("comparing"))
    if folder:
        write_findings(report.findings, report.pictures, folder / "findings.csv")
        _draw_findings(report, folder)
    wrong = is_wrong(report.findings)
    if as_json:
        click.echo(json.dumps({"data": data, **to_json(report)}))
    else:
        click.echo(findings_text(report))
    sys.exit(1 if wrong else 0)


@command.command()
@click.argument("data")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="directory to write splits.csv into",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@fields("val", "test", "split_seed", "group_from", "layout", "on_bad", "max_bad")
def split(data: str, out: Path, as_json: bool, **given: str | None) -> None:
    """Split DATA as a training would and write who is where: splits.csv.

    Written into the folder of the pictures, `--data FOLDER/splits.csv` trains on just this split.
    """
    path = out / "splits.csv"
    refuse_existing(path)
    splits = _load(data, config_of(given))
    if splits.drawn and given["val"] and not given["test"]:
        raise UsageError("the data have no split of their own: give --test beside --val")
    out.mkdir(parents=True, exist_ok=True)
    write_splits(splits, path)
    figures = statistics(splits)
    if as_json:
        found = {"data": data, "file": str(path), "splits": to_json(figures)["splits"]}
        click.echo(json.dumps(found))
    else:
        click.echo(f"{splits_table(figures)}\n\n{path}")


command.add_command(preview)
command.add_command(labels)
command.add_command(apply_review)


def _load(data: str, config: DataConfig, trainable: bool = True) -> Splits:
    splits = load_data(data, config, trainable=trainable, progress=ReadingBar("reading"))
    for note in splits.notes:
        say(note)
    return splits


def _draw_statistics(splits: Splits, figures: Statistics, folder: Path) -> None:
    from seewhy.plots import data as draw

    write_atomic(folder / "classes.png", draw.class_counts(figures))
    if len(np.unique(figures.sizes, axis=0)) > 1:
        write_atomic(folder / "sizes.png", draw.picture_sizes(figures))
    write_atomic(folder / "overview.png", draw.overview(splits.train))
    for label, name in enumerate(splits.classes[:SHEETS]):
        # Others named the class: only what is plain of it gets into the name of a file.
        file = f"class-{label + 1:03}-{re.sub(r'[^A-Za-z0-9]+', '-', name)[:40].strip('-')}.png"
        write_atomic(folder / file, draw.class_sheet(splits.train, label))


def _draw_findings(report: "Report", folder: Path) -> None:
    from seewhy.plots import data as draw

    for finding in report.findings:
        picture = draw.finding_sheet(finding, report.pictures)
        if picture is not None:
            write_atomic(folder / f"{finding.kind}.png", picture)
    images = report.pictures.opened
    for number in {one.number for one in report.shortcuts}:
        labels = {one.label for one in report.shortcuts if one.number == number}
        picture = draw.telling_number(number, report.values[number], images, labels)
        write_atomic(folder / f"shortcut-{number.replace(' ', '-')}.png", picture)
