"""`seewhy data`: look at a data set before anything is trained on it."""

import json
import sys
from pathlib import Path

import click

import seewhy
from seewhy.cli.data_tables import findings_text, splits_table, statistics_table
from seewhy.cli.flags import config_of, fields
from seewhy.cli.labels import apply_review, labels
from seewhy.cli.preview import command as preview
from seewhy.cli.progress import Terminal

# Pictures are looked at at this size, where they are larger: that of `--recipe photos`.
SIZE = 128


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
    figures = seewhy.data_statistics(
        data, config_of(given, size=SIZE), out=out, on_event=Terminal()
    )
    if as_json:
        click.echo(json.dumps({"data": data, **seewhy.to_json(figures)}))
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
    config = config_of(given, size=SIZE, on_bad="skip", max_bad=1)
    report = seewhy.check_data(data, config, out=out, on_event=Terminal())
    if as_json:
        click.echo(json.dumps({"data": data, **seewhy.to_json(report)}))
    else:
        click.echo(findings_text(report))
    sys.exit(1 if report.wrong else 0)


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
    result = seewhy.split_data(data, config_of(given), out=out, on_event=Terminal())
    path, figures = result.file, result.statistics
    if as_json:
        found = {"data": data, "file": str(path), "splits": seewhy.to_json(figures)["splits"]}
        click.echo(json.dumps(found))
    else:
        click.echo(f"{splits_table(figures)}\n\n{path}")


command.add_command(preview)
command.add_command(labels)
command.add_command(apply_review)
