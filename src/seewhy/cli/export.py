"""`seewhy export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import models
from seewhy.cli.options import PATH, as_json, show, trust_option
from seewhy.cli.progress import Terminal

if TYPE_CHECKING:
    from seewhy.workflows.export import Exported


@click.command()
@click.argument("model", shell_complete=models)
@click.option(
    "--format",
    type=click.Choice(["onnx", "web", "executorch"]),
    default="onnx",
    show_default=True,
)
@click.option("--out", type=PATH, required=True, help="FILE.onnx, or a new folder; new in any case")
@click.option(
    "--runtime",
    type=PATH,
    help="web: the folder of the npm package onnxruntime-web [downloaded once]",
)
@trust_option
@as_json
def command(model: str, out: Path, as_json: bool, **settings: Any) -> None:
    """Write MODEL for use without PyTorch, checked against it.

    onnx: one file that takes uint8 images and has pixel values, TTA views and temperature inside. It is a
    model like any other: predict, evaluate, compare and serve take it.

    web: a folder for any static host, with a page that runs the model in the browser: images stay on the
    device. MODEL may be an exported .onnx file, such as the int8 one of `seewhy compress`.

    executorch: a folder for phones with model.pte, test vectors, and code for Android and iOS.
    """
    show(seewhy.export(model, out, **settings, on_event=Terminal()), as_json, _text)


def _text(result: "Exported") -> list[str]:
    lines = [f"{result.file}: {result.bytes / 1e6:.2f} MB, digest {result.digest[:12]}"]
    if result.difference is not None:
        lines.append(
            f"logits differ from those of {result.bundle[:12]} by {result.difference:.1g} at most"
        )
    if result.format == "web":
        lines.append(
            f"serve it by any static host; to try it: python -m http.server -d {result.file} 8080"
        )
    return lines
