"""What the verbs for experiments share: their flags and their tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from seewhy.cli.flags import recipe_flags
from seewhy.cli.tables import value


def experiment_flags(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds --recipe, --data, --out, --json and a flag for each field of a recipe."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        command = recipe_flags(command)
        for option in (
            click.option(
                "--json", "as_json", is_flag=True, help="one JSON object on standard output"
            ),
            click.option(
                "--out", type=click.Path(path_type=Path), help=f"directory [runs/RECIPE-{kind}]"
            ),
            click.option("--data", default="cifar10", show_default=True, help="as for train"),
            click.option(
                "--recipe", default="fast", show_default=True, help="a recipe's name or YAML file"
            ),
        ):
            command = option(command)
        return command

    return add


def summary_table(figures: Mapping[str, Any]) -> str:
    """Means and standard deviations by metric, with the mean's interval where it has one."""
    interval = any(hasattr(one, "low") for one in figures.values())
    header = ("", "mean", "sd", "95% interval of the mean" if interval else "")
    rows = []
    for name, one in figures.items():
        ends = f"{value(one.low, name)} to {value(one.high, name)}" if interval else ""
        rows.append((name.replace("_", " "), value(one.mean, name), value(one.sd, name), ends))
    return table([header, *rows])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
