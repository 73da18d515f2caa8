"""`seewhy ablate`."""

import re
from pathlib import Path
from typing import Any

import click

import seewhy
from seewhy.cli.flags import training_flags
from seewhy.cli.options import PATH, Typed, sharing_options, show, start_processes
from seewhy.cli.progress import shown
from seewhy.cli.screen import Rows
from seewhy.config.plan import load_plan, make_plan
from seewhy.config.recipe import parse_fields
from seewhy.errors import UsageError


@click.command(cls=Typed)
@training_flags("-ablation")
@click.option("--rows", type=PATH, help="YAML file of named rows")
@click.option(
    "--without",
    multiple=True,
    metavar="FIELD[+FIELD],...",
    help="one row for each field or section, without it; + removes several fields in one row",
)
@click.option(
    "--with",
    "with_",
    multiple=True,
    metavar="KEY=VALUE[+KEY=VALUE],...",
    help="one row for each setting; + sets several fields in one row",
)
@click.option("--seeds", type=int, help="runs per row, with consecutive seeds [3]")
@click.option("--target", type=float, help="also measure the time to this validation accuracy")
@sharing_options
def command(
    recipe: str | None,
    data: str,
    as_json: bool,
    rows: Path | None,
    without: tuple[str, ...],
    with_: tuple[str, ...],
    seeds: int | None,
    target: float | None,
    processes: int | None,
    **settings: Any,
) -> None:
    """Measure the effect of each recipe option: rows without it or with it, compared seed by seed.

    \b
    seewhy ablate --recipe regularized-cnn --without augment --with model.dropout=0,train.ema=0.99
    seewhy ablate --rows FILE.yaml        named rows, which may extend other rows or recipes

    Writes the runs to OUT/ROW/seed-N, the tables to OUT/ablation.md, .csv and .json, the plot to OUT/figures.
    Run the same command again to continue after an interruption.
    """
    if (rows is None) == (not without and not with_):
        raise UsageError("specify the rows: either --rows FILE, or --without and --with")
    options: dict[str, Any] = {"recipe": recipe, "seeds": seeds, "target": target}
    if rows is None:
        tree: dict[str, Any] = {"rows": _rows(without, with_)}
    else:
        tree = load_plan(rows).model_dump()
    tree |= {name: value for name, value in options.items() if value is not None}
    plan = make_plan(tree, "the ablation")
    if processes is not None:
        start_processes(processes)
    with shown() as terminal:
        result = seewhy.ablate(data, plan, on_event=terminal, **settings)
    show(
        result,
        as_json,
        lambda ablation: [
            ablation.heading,
            "",
            Rows(ablation.brief),
            "",
            *ablation.notes,
            "",
            f"all columns: {ablation.path / 'ablation.md'}   runs: {ablation.path}",
        ],
    )


def _rows(without: tuple[str, ...], with_: tuple[str, ...]) -> dict[str, Any]:
    """The rows that the options define: `,` separates rows, `+` joins fields in one row."""
    rows: dict[str, Any] = {}
    for text in without:
        for part in text.split(","):
            rows[f"without {part}"] = {"without": part.split("+")}
    for text in with_:
        for part in re.split(r",(?=[a-z_.]+=)", text):
            settings = [setting.partition("=") for setting in re.split(r"\+(?=[a-z_.]+=)", part)]
            if not all(equals for _, equals, _ in settings):
                raise UsageError(f"--with {text}: expected KEY=VALUE, such as train.ema=0.99")
            rows[part] = {"with": parse_fields({key.strip(): text for key, _, text in settings})}
    return rows
