"""`seewhy info`."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show
from seewhy.text import visible

if TYPE_CHECKING:
    from seewhy.workflows.info import ModelInfo


@click.command()
@click.argument("model")
@click.option("--out", type=PATH, help="also write the card as a new Markdown file")
@as_json
def command(model: str, out: Path | None, as_json: bool) -> None:
    """Show MODEL as a card: what it is for, what it reached, how it was trained, and its limits."""
    show(seewhy.info(model, out=out), as_json, _text)


def _text(result: "ModelInfo") -> str:
    lines = []
    for section in result.sections:
        lines += ["", section.title]
        for name, text in section.rows:
            lines += wrap(
                visible(text), 110, initial_indent=f"  {name:<18} ", subsequent_indent=" " * 21
            )
    return "\n".join(lines[1:])
