"""`seewhy export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.options import PATH, as_json, show

if TYPE_CHECKING:
    from seewhy.workflows.export import Exported


@click.command()
@click.argument("model")
@click.option("--format", type=click.Choice(["onnx"]), default="onnx", show_default=True)
@click.option("--out", type=PATH, required=True, help="FILE.onnx, a new file")
@as_json
def command(model: str, out: Path, as_json: bool, **settings: Any) -> None:
    """Write MODEL as one file that runs without PyTorch, checked against it.

    An ONNX file takes uint8 images and has pixel values, TTA views and temperature inside. It is a model like
    any other: predict, evaluate, compare and serve take it.
    """
    show(seewhy.export(model, out, **settings), as_json, _text)


def _text(result: "Exported") -> str:
    return (
        f"{result.file}: {result.bytes / 1e6:.2f} MB, digest {result.digest[:12]}\n"
        f"logits differ from those of {result.bundle[:12]} by {result.difference:.1g} at most"
    )
