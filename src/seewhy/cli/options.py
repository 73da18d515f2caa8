"""Options that several verbs share, and how a verb prints its result."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import seewhy

Verb = Callable[..., Any]

DATA = "digits, cifar10, a folder, an archive or a table"
PATH = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="print one JSON object")
data_option = click.option("--data", required=True, help=DATA)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or mps"
)


def split_option(*splits: str) -> Callable[[Verb], Verb]:
    """Adds --split, validation by default."""
    return click.option("--split", type=click.Choice(splits), default="val", show_default=True)


def show(result: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Prints a result, as one JSON object or as `text` formats it."""
    click.echo(json.dumps(seewhy.to_json(result), allow_nan=False) if as_json else text(result))
