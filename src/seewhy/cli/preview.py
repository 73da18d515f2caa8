"""`seewhy data preview`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seewhy.cli.flags import overrides, recipe_flags
from seewhy.cli.output import new_folder
from seewhy.cli.progress import ReadingBar, say
from seewhy.config.recipe import load_recipe
from seewhy.data import load_data
from seewhy.files import to_json, write_atomic
from seewhy.text import visible
from seewhy.workflows.preview import Preview, preview


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
    chosen = load_recipe(recipe, overrides(given))
    folder = new_folder(out)
    splits = load_data(data, chosen.data, progress=ReadingBar("reading"))
    for note in splits.notes:
        say(note)
    found = preview(data, splits, chosen)
    files = [] if folder is None else _draw(found, folder)
    if as_json:
        facts = {"data": data, "recipe": chosen.name, **to_json(found), "files": files}
        click.echo(json.dumps(facts))
    else:
        click.echo("\n".join(_lines(found, folder, files)))


def _draw(found: Preview, folder: Path) -> list[str]:
    from seewhy.plots import preview as draw

    row = found.examples, found.originals, found.rule, found.versions
    drawn = {"input.png": draw.input_sheet(*row), "input.svg": draw.input_sheet.svg(*row)}
    if found.ladders:
        alone = found.versions.seen[0], found.ladders
        drawn["augmentation.png"] = draw.ladder_sheet(*alone)
        drawn["augmentation.svg"] = draw.ladder_sheet.svg(*alone)
    for name, picture in drawn.items():
        write_atomic(folder / name, picture)
    return list(drawn)


def _lines(found: Preview, folder: Path | None, files: list[str]) -> Iterator[str]:
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
        yield f"\n{visible(str(folder))}: {', '.join(files)}"


def _rgb(values: Any) -> str:
    return " ".join(f"{value:6.3f}" for value in values)
