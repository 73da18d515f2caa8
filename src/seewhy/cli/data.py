"""`seewhy data`: inspect a data set before training on it."""

import sys
from pathlib import Path

import click

import seewhy
from seewhy.cli.completion import data_sets
from seewhy.cli.data_tables import findings_text, splits_table, statistics_table
from seewhy.cli.flags import config_of, fields, size_option
from seewhy.cli.labels import apply_review, labels
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.pack import pack
from seewhy.cli.preview import command as preview
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part
from seewhy.text import command_line

# Larger images are inspected at this size: that of `--recipe photos`.
SIZE = 128


@click.group()
def command() -> None:
    """Inspect a data set: its contents, its problems, its splits; correct its labels."""


@command.command()
@click.argument("data", shell_complete=data_sets)
@click.option("--out", type=PATH, help="a new directory for plots")
@as_json
@fields("layout", "follow_links", "label_column", "group_from", "on_bad", "max_bad")
@size_option(SIZE)
def stats(data: str, out: Path | None, as_json: bool, **values: str | None) -> None:
    """Count and measure DATA: classes, splits, sizes, colours; plot its classes.

    Mean and std are those of the stored training images, in [0, 1]. Of the test split only the number of
    images is shown.
    """
    config = config_of(values, size=SIZE, on_bad="skip", max_bad=1)
    statistics = seewhy.data_statistics(data, config, out=out, on_event=Terminal())
    record = {"data": data, **seewhy.to_json(statistics)}
    show(record, as_json, lambda _: statistics_table(statistics))


@command.command(name="check")
@click.argument("data", shell_complete=data_sets)
@click.option("--out", type=PATH, help="a new directory for findings.csv and plots")
@as_json
@size_option(SIZE)
@fields("fit", "depth", "layout", "follow_links", "label_column", "group_from")
def check_data(data: str, out: Path | None, as_json: bool, **values: str | None) -> None:
    """Find problems of DATA: unreadable, duplicated, leaking, mislabelled, dark, blurred images, ...

    Exits 1 if there are any. Test images are compared by hashes only.
    """
    config = config_of(values, size=SIZE, on_bad="skip", max_bad=1)
    report = seewhy.check_data(data, config, out=out, on_event=Terminal())
    show({"data": data, **seewhy.to_json(report)}, as_json, lambda _: findings_text(report))
    sys.exit(1 if report.wrong else 0)


@command.command()
@click.argument("data", shell_complete=data_sets)
@click.option("--out", type=PATH, required=True, help="directory for the new splits.csv")
@as_json
@fields(
    *("val", "test", "split_seed", "label_column", "group_from"),
    *("layout", "follow_links", "on_bad", "max_bad"),
)
def split(data: str, out: Path, as_json: bool, **values: str | None) -> None:
    """Split DATA as for training, and write the split of each image to splits.csv.

    If splits.csv is in the image folder, `--data FOLDER/splits.csv` trains on exactly this split.
    """
    result = seewhy.split_data(data, config_of(values), out=out, on_event=Terminal())
    splits = seewhy.to_json(result.statistics)["splits"]
    lines: list[Part] = [splits_table(result.statistics), "", str(result.file)]
    if Path(data).is_dir() and out.resolve() == Path(data).resolve():
        lines.append(f"next: {command_line('train', '--data', result.file)}")
    elif Path(data).is_dir():
        lines.append(
            f"its names are below {data}: it is data itself (--data splits.csv) once it lies there"
        )
    show({"data": data, "file": result.file, "splits": splits}, as_json, lambda _: lines)


command.add_command(pack)
command.add_command(preview)
command.add_command(labels)
command.add_command(apply_review)
