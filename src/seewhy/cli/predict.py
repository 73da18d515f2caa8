"""`seewhy predict`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import click

import seewhy
from seewhy.cli.options import PATH, device_option, runtime_option, trust_option
from seewhy.cli.progress import Terminal
from seewhy.errors import UsageError
from seewhy.text import counted, listed


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--out", type=PATH, help="FILE.csv or FILE.jsonl [CSV to stdout]")
@click.option("--top-k", default=3, show_default=True, help="labels per image (1 to 100)")
@click.option("--follow-links", is_flag=True, help="follow links that lead out of a folder, too")
@trust_option
@device_option
@runtime_option
def command(
    model: str,
    paths: tuple[str, ...],
    out: Path | None,
    top_k: int,
    follow_links: bool,
    device: str,
    runtime: Literal["auto", "openvino"],
) -> None:
    """Label images with MODEL: files, folders, globs, lists (.txt), or - for a list on standard input.

    Writes one row per input, in order, including unreadable ones. Exits 1 if any row is not ok. For a
    calibrated model the last column, answer, is its class, "not sure" or "out of scope". A+B is the
    ensemble of two models, which has no answer: thresholds of its models do not hold for it.
    """
    terminal = Terminal()
    result = seewhy.label_images(
        model,
        list(_named(paths)),
        out or click.open_file("-", "w", errors="backslashreplace"),
        top_k=top_k,
        device=device,
        runtime=runtime,
        follow_links=follow_links,
        on_event=terminal,
    )
    if result.bad:
        terminal.write(
            f"{result.bad:,} of {counted(result.images, 'image')} could not be read: see the rows "
            f"whose status is "
            "not ok"
        )
    sys.exit(1 if result.bad else 0)


def _named(paths: Iterable[str]) -> Iterator[str]:
    """The arguments, - replaced by the lines of standard input."""
    for path in paths:
        if path != "-":
            yield path
        elif lines := listed(sys.stdin.buffer.read()):
            yield from lines
        else:
            raise UsageError("the list on standard input is empty: expected a path per line")
