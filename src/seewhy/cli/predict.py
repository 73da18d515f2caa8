"""`seewhy predict`."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

import seewhy
from seewhy.cli.progress import Terminal, say
from seewhy.errors import UsageError
from seewhy.files import atomic_file, refuse_existing
from seewhy.text import escape_cell


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
    labelling = seewhy.label_images(
        model, list(_named(paths)), top_k=top_k, device=device, on_event=Terminal()
    )
    done, bad = 0, 0
    with _opened(out) as file:
        write = (
            _jsonl if out is not None and out.suffix == ".jsonl" else _csv(file, labelling.columns)
        )
        for rows in labelling.chunks:
            write(file, rows)
            file.flush()
            done, bad = done + len(rows), bad + sum(row["status"] != "ok" for row in rows)
    if bad:
        say(f"{bad:,} of {done:,} pictures could not be read: see the rows whose status is not ok")
    sys.exit(1 if bad else 0)


def _named(paths: Iterable[str]) -> Iterator[str]:
    """The arguments, with the lines of standard input in place of -."""
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield path


def _csv(file: IO[str], names: Sequence[str]) -> Any:
    writer = csv.DictWriter(file, names)
    writer.writeheader()

    def write(file: IO[str], rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            writer.writerow(
                {k: escape_cell(v) if isinstance(v, str) else v for k, v in row.items()}
            )

    return write


def _jsonl(file: IO[str], rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        file.write(json.dumps({k: None if v == "" else v for k, v in row.items()}) + "\n")


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is there only once it is whole."""
    if out is None:
        yield click.open_file("-", "w", errors="backslashreplace")
        return
    if out.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--out {out}: expected a name that ends in .csv or .jsonl")
    refuse_existing(out)
    with atomic_file(out) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        yield text
        text.detach()
