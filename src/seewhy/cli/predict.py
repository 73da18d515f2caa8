"""`seewhy predict`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

import seewhy
from seewhy.cli.progress import Terminal


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="FILE.csv or FILE.jsonl [CSV to stdout]"
)
@click.option(
    "--top-k", default=3, show_default=True, help="labels a picture, best first (1 to 100)"
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
def command(model: str, paths: tuple[str, ...], out: Path | None, top_k: int, device: str) -> None:
    """Label pictures with MODEL: files, folders, globs, or - for a list on standard input.

    One row an input, in order, also for bad ones. Exits 1 when any row is not ok. A model from
    `seewhy calibrate` has a last column, answer: its class, "not sure" or "out of scope". A+B is the
    ensemble of two models.
    """
    terminal = Terminal()
    result = seewhy.label_images(
        model,
        list(_named(paths)),
        out or click.open_file("-", "w", errors="backslashreplace"),
        top_k=top_k,
        device=device,
        on_event=terminal,
    )
    if result.bad:
        terminal.write(
            f"{result.bad:,} of {result.images:,} pictures could not be read: see the rows whose status is "
            "not ok"
        )
    sys.exit(1 if result.bad else 0)


def _named(paths: Iterable[str]) -> Iterator[str]:
    """The arguments, with the lines of standard input in place of -."""
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield path
