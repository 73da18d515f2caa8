"""`seewhy ablate`."""

import json
import re
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import seewhy
from seewhy.cli.experiments import experiment_flags
from seewhy.cli.flags import overrides
from seewhy.cli.progress import shown
from seewhy.config.options import parse_value
from seewhy.config.plan import load_plan, make_plan
from seewhy.errors import UsageError


@click.command(context_settings={"max_content_width": 110})
@experiment_flags("ablation")
@click.option("--rows", type=click.Path(path_type=Path), help="YAML file of named rows")
@click.option(
    "--without",
    multiple=True,
    metavar="FIELD[+FIELD],...",
    help="a row without a recipe field or section, for each; + joins fields to one row",
)
@click.option(
    "--with",
    "with_",
    multiple=True,
    metavar="KEY=VALUE[+KEY=VALUE],...",
    help="a row with a recipe field set, for each",
)
@click.option("--seeds", type=int, help="runs a row, of successive seeds [3]")
@click.option("--target", type=float, help="validation accuracy, the way to which is measured")
@click.pass_context
def command(
    context: click.Context,
    /,
    recipe: str,
    data: str,
    out: Path | None,
    as_json: bool,
    rows: Path | None,
    without: tuple[str, ...],
    with_: tuple[str, ...],
    seeds: int | None,
    target: float | None,
    **fields: Any,
) -> None:
    """Say what each option of a recipe brings: rows without it or with it, compared seed by seed.

    \b
    seewhy ablate --recipe regularized-cnn --without augment --with model.dropout=0,train.ema=0.99
    seewhy ablate --rows FILE.yaml        named rows, also on top of each other, or of other recipes

    Runs go to OUT/ROW/seed-N, the tables to OUT/ablation.md, .csv and .json, the picture to OUT/figures.
    Stopped, the same command goes on.
    """
    if (rows is None) == (not without and not with_):
        raise UsageError("give the rows: either --rows FILE, or --without and --with")
    given: dict[str, Any] = {"recipe": recipe, "seeds": seeds, "target": target}
    if rows is None:
        tree: dict[str, Any] = {"rows": _rows(without, with_)}
    else:
        tree = load_plan(rows).model_dump()
        if context.get_parameter_source("recipe") is ParameterSource.DEFAULT:
            del given["recipe"]
    tree |= {name: value for name, value in given.items() if value is not None}
    plan = make_plan(tree, "the ablation")
    with shown() as terminal:
        result = seewhy.ablate(
            data,
            plan,
            out=out,
            overrides=overrides(fields),
            on_event=terminal,
        )
    if as_json:
        click.echo(json.dumps(seewhy.to_json(result)))
        return
    click.echo(result.markdown(brief=True))
    click.echo(f"all columns: {result.path / 'ablation.md'}   runs: {result.path}")


def _rows(without: tuple[str, ...], with_: tuple[str, ...]) -> dict[str, Any]:
    """A row for each part of the options: `,` parts rows, `+` joins fields to one."""
    rows: dict[str, Any] = {}
    for text in without:
        for part in text.split(","):
            rows[f"without {part}"] = {"without": part.split("+")}
    for text in with_:
        for part in re.split(r",(?=[a-z_.]+=)", text):
            settings = [setting.partition("=") for setting in re.split(r"\+(?=[a-z_.]+=)", part)]
            if not all(equals for _, equals, _ in settings):
                raise UsageError(f"--with {text}: expected KEY=VALUE, such as train.ema=0.99")
            rows[part] = {"with": {key.strip(): parse_value(value) for key, _, value in settings}}
    return rows
