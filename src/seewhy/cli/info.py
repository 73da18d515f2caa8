"""`seewhy info`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.screen import Part, Rows

if TYPE_CHECKING:
    from seewhy.workflows.info import ModelInfo


@click.command()
@click.argument("model", shell_complete=models)
@click.option("--out", type=PATH, help="also write the card as a new Markdown file")
@as_json
def command(model: str, out: Path | None, as_json: bool) -> None:
    """Show MODEL as a card: what it is for, what it reached, how it was trained, and its limits."""
    show(seewhy.info(model, out=out), as_json, _text)


def _text(result: "ModelInfo") -> Iterator[Part]:
    for number, section in enumerate(result.sections):
        if number:
            yield ""
        yield section.title
        yield Rows([(f"  {name:<16}", text) for name, text in section.rows], "l", header=False)
