"""`seewhy predict`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.answers import Answers
from seewhy.cli.completion import files, models
from seewhy.cli.options import (
    PATH,
    as_json,
    device_option,
    engine_option,
    log_options,
    refuse_given,
    runtime_option,
    show,
    trust_option,
)
from seewhy.cli.progress import Terminal
from seewhy.errors import UsageError
from seewhy.text import counted, listed

if TYPE_CHECKING:
    from seewhy.workflows.label_tally import Labelled

COUNTED = 8  # classes
MANY = 200  # images, more than a person reads


@click.command()
@click.argument("model", shell_complete=models)
@click.argument("paths", nargs=-1, required=True, shell_complete=files)
@click.option(
    "--out",
    type=PATH,
    help="FILE.csv, FILE.jsonl or FILE.parquet [stdout: a table on a terminal, else CSV]",
)
@click.option("--top-k", default=3, show_default=True, help="labels per image (1 to 100)")
@click.option("--follow-links", is_flag=True, help="follow links that lead out of a folder, too")
@engine_option(
    "ray: label by a Ray cluster, whose machines reach MODEL and PATHS by the same names"
)
@click.option(
    "--resume", is_flag=True, help="continue FILE.partial of interrupted work, if it is there"
)
@click.option(
    "--copy-to",
    type=PATH,
    help='copy the images into this folder, a folder for each class and "not sure"',
)
@click.option(
    "--explain",
    type=PATH,
    help="a new folder for attribution maps of the images that the model is not sure of",
)
@click.option(
    "--explain-most",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="images for --explain, the least sure first",
)
@as_json
@log_options
@trust_option
@device_option
@runtime_option
def command(
    model: str, paths: tuple[str, ...], out: Path | None, as_json: bool, **settings: Any
) -> None:
    """Label images with MODEL: files, folders, globs, lists (.txt), or - for a list on standard input.

    Of a pack, a .parquet, .tar, .tar.gz or .zip file the images inside are labelled, also of several tars
    named as `images-{000..009}.tar`.

    Writes one row per input, in order, including unreadable ones: a table on a terminal, CSV into a pipe.
    Exits 1 if any row is not ok. For a calibrated model the last column, answer, is its class, "not sure" or
    "out of distribution", while label is always the most probable class. A+B is the ensemble of two models,
    which has no answer: thresholds of its models do not hold for it.

    While it works, FILE.partial keeps the rows for --resume, which wants the same model and images. --explain
    is for answers of "not sure" and "out of distribution", or for the least confident images where the model
    always answers.
    """
    if as_json and out is None:
        raise UsageError("--json needs --out FILE: without it, standard output is for the rows")
    if settings["explain"] is None:
        refuse_given({"explain_most": "--explain-most"}, "is for --explain FOLDER: give both")
    terminal, table = Terminal(), None
    if out is None and sys.stdout.isatty():
        table = Answers(terminal, sys.stdout)
    try:
        result = seewhy.label_images(
            model,
            list(_named(paths)),
            table or out or click.open_file("-", "w", errors="backslashreplace"),
            on_event=terminal,
            **settings,
        )
    except KeyboardInterrupt as stop:
        terminal.close()
        if out is not None and out.with_name(f"{out.name}.partial").exists():
            line = "interrupted: run the same command with --resume to continue"
            terminal.interrupted(stop, line)
        raise
    if table is not None:
        terminal.write(_counts(result))
    for line in _lines(result, out, settings):
        terminal.write(line)
    if as_json:
        show(result, True, str)
    sys.exit(1 if result.bad else 0)


def _counts(result: "Labelled") -> str:
    """How many images have each answer, for a table that is too long to be read."""
    counts = list(result.by_class.items())
    text = ", ".join(f"{name} {count:,}" for name, count in counts[:COUNTED])
    more = f" and {counted(len(counts) - COUNTED, 'more class')}" if len(counts) > COUNTED else ""
    unsure = ((result.not_sure, "not sure"), (result.out_of_scope, "out of distribution"))
    if others := [f"{n:,} {answer}" for n, answer in unsure if n]:
        more += f" (by the likeliest class; of these {' and '.join(others)})"
    kept = "; --out FILE.csv keeps the rows" if result.images > MANY else ""
    return f"{counted(result.images, 'image')}: {text or 'none could be read'}{more}{kept}"


def _lines(result: "Labelled", out: Path | None, settings: dict[str, Any]) -> Iterator[str]:
    """What the rows do not say."""
    if out is not None:
        yield f"{out}: {counted(result.images, 'image')}"
    bad = f"{result.bad:,} of {counted(result.images, 'image')} could not be read"
    if settings["copy_to"]:
        yield f"{settings['copy_to']}: {counted(result.copied, 'image')} copied"
        bad += " and not copied" if result.bad else ""
    if result.explained:
        yield f"{settings['explain']}: maps of {counted(result.explained, 'image')}"
    if result.bad:
        yield f"{bad}: see the rows whose status is not ok"


def _named(paths: Iterable[str]) -> Iterator[str]:
    """The arguments, - replaced by the lines of standard input."""
    for path in paths:
        if path != "-":
            yield path
        elif lines := listed(sys.stdin.buffer.read()):
            yield from lines
        else:
            raise UsageError("the list on standard input is empty: expected a path per line")
