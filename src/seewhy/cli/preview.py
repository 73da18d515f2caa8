"""`seewhy data preview`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import seewhy
from seewhy.cli.flags import overrides, recipe_flags
from seewhy.cli.progress import Terminal
from seewhy.config.recipe import load_recipe
from seewhy.text import visible

if TYPE_CHECKING:
    from seewhy.workflows.preview import Preview


@click.command(name="preview")
@click.argument("data")
@click.option("--recipe", required=True, help="a recipe's name or YAML file")
@click.option("--out", type=click.Path(path_type=Path), help="a new directory for the pictures")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
@recipe_flags
def command(data: str, recipe: str, out: Path | None, as_json: bool, **given: Any) -> None:
    """Show what a network sees of DATA by a recipe: cut and resized, varied in training, normalised.

    With --out draws `input` (pictures from the file to the input) and `augmentation` (each one alone,
    through its range), as PNG and SVG. Takes every field of a recipe as `seewhy train` does.
    """
    fields = overrides(given)
    shown = seewhy.preview(data, recipe, overrides=fields, out=out, on_event=Terminal())
    if as_json:
        name = load_recipe(recipe, fields).name
        record = {"data": data, "recipe": name, **seewhy.to_json(shown), "files": list(shown.files)}
        click.echo(json.dumps(record))
    else:
        click.echo("\n".join(_lines(shown, out)))


def _lines(found: "Preview", folder: Path | None) -> Iterator[str]:
    rule = found.rule
    yield f"stored at   {rule.store}x{rule.store}, the network sees {rule.size}x{rule.size}"
    on = ", ".join(f"{ladder.name} {ladder.value:g}" for ladder in found.ladders)
    yield f"training    {on or 'the pictures as they are: no augmentation is on'}"
    yield "\n            mean: red, green, blue    deviation"
    for name, (mean, deviation) in (
        ("of train", found.taken_off),
        ("evaluation", found.evaluation),
        ("training", found.training),
    ):
        yield f"{name:<12}{_rgb(mean):<26}{_rgb(deviation)}"
    yield "The first is taken off and divided by; the others, of a sample, are what is left of it."
    if folder:
        yield f"\n{visible(str(folder))}: {', '.join(found.files)}"


def _rgb(values: Any) -> str:
    return " ".join(f"{value:6.3f}" for value in values)
