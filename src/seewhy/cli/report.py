"""`seewhy report`."""

from pathlib import Path

import click

import seewhy
from seewhy.cli.progress import Terminal


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
    click.echo(seewhy.report(run, data, out=out, device=device, on_event=Terminal()))
