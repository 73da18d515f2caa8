"""Command-line flags that are a recipe's fields: the list exists once, in the typed records."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from seewhy.errors import UsageError
from seewhy.recipes import options, parse_value

# Short names of the fields that are set most.
SHORT = {
    "train.epochs": "--epochs",
    "train.seed": "--seed",
    "train.device": "--device",
    "train.amp": "--amp",
    "data.layout": "--layout",
    "data.group_from": "--group-from",
    "data.on_bad": "--on-bad",
    "data.max_bad": "--max-bad",
}


def recipe_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds a flag for each field of a recipe, and `--set`; `overrides` reads them back."""
    for option in reversed(options()):
        names = [SHORT[option.name]] if option.name in SHORT else []
        command = click.option(
            *names,
            f"--{option.name}",
            _parameter(option.name),
            metavar=option.kind,
            help=option.field.description,
        )(command)
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="set any recipe field"
    )(command)


def overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe fields that were set on the command line, by dotted name."""
    found = {}
    for option in options():
        text = given[_parameter(option.name)]
        if text is not None:
            found[option.name] = parse_value(text)
    for setting in given["settings"]:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected section.key=value, such as train.lr=0.01")
        found[key.strip()] = parse_value(text)
    return found


def _parameter(name: str) -> str:
    return "field_" + name.replace(".", "__")
