"""`seewhy data preview`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.completion import data_sets, recipes
from seewhy.cli.flags import recipe_flags
from seewhy.cli.options import PATH, as_json, show
from seewhy.cli.progress import Terminal
from seewhy.cli.screen import Part, Rows, facts
from seewhy.config.recipe import load_recipe

if TYPE_CHECKING:
    from seewhy.workflows.preview import Preview


@click.command(name="preview")
@click.argument("data", shell_complete=data_sets)
@click.option(
    "--recipe", required=True, shell_complete=recipes, help="a recipe's name or YAML file"
)
@click.option("--out", type=PATH, help="a new directory for the plots")
@as_json
@recipe_flags
def command(
    data: str, recipe: str, out: Path | None, as_json: bool, overrides: dict[str, Any]
) -> None:
    """Show DATA as the network will see it: made square, resized, augmented, normalised.

    --out plots `input` (images from the file to the network's input) and `augmentation` (each option alone,
    over its range), as PNG and SVG. Accepts every field of a recipe, as `seewhy train` does.
    """
    result = seewhy.preview(data, recipe, overrides=overrides, out=out, on_event=Terminal())
    name = load_recipe(recipe, overrides).name
    record = {"data": data, "recipe": name, **seewhy.to_json(result), "files": result.files}
    show(record, as_json, lambda _: _lines(result, out))


def _lines(result: "Preview", folder: Path | None) -> Iterator[Part]:
    rule = result.rule
    values = {ladder.name: ladder.value for ladder in result.ladders}
    on = ", ".join(f"{k} {v}" if isinstance(v, str) else f"{k} {v:g}" for k, v in values.items())
    yield facts([("stored at", str(rule)), ("training", on or "no augmentation is on")])
    yield ""
    rows = [("", "mean: red, green, blue", "std")]
    for name, (mean, std) in (
        ("of train", result.taken_off),
        ("evaluation", result.evaluation),
        ("training", result.training),
    ):
        rows.append((name, _rgb(mean), _rgb(std)))
    yield Rows(rows)
    yield "The network normalises by the first row; the others are of a sample after normalisation."
    if folder:
        yield ""
        yield f"{folder}: {', '.join(result.files)}"


def _rgb(values: Sequence[float]) -> str:
    return " ".join(f"{value:6.3f}" for value in values)
