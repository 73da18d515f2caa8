"""`seewhy report`."""

from pathlib import Path

import click

import seewhy
from seewhy.cli.completion import data_sets
from seewhy.cli.options import PATH, device_option
from seewhy.cli.progress import Terminal


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", shell_complete=data_sets, help="where its images are [as in training]")
@click.option("--out", type=PATH, help="the report [RUN/report.html]")
@device_option
def command(run: Path, data: str | None, out: Path | None, device: str) -> None:
    """Write an HTML report of RUN: how good, where it fails, why, and what to do next.

    One HTML file that needs no internet. It shows what is stored in the run and computes only where the
    network looked; `seewhy evaluate --full` stores more. The plots are also in figures/.
    """
    click.echo(seewhy.report(run, data, out=out, device=device, on_event=Terminal()))
