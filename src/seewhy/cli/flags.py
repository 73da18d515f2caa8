"""Command-line flags that are a recipe's fields: the list exists once, in the typed records."""

from collections.abc import Callable, Mapping
from typing import Any

import click
from pydantic import ValidationError

from seewhy.config.data import DataConfig
from seewhy.config.options import parse_value
from seewhy.config.recipe import options
from seewhy.errors import UsageError

# Short names of the fields that are set most.
SHORT = {
    "train.epochs": "--epochs",
    "train.seed": "--seed",
    "train.device": "--device",
    "train.amp": "--amp",
    "train.compile": "--compile",
    "data.layout": "--layout",
    "data.group_from": "--group-from",
    "data.on_bad": "--on-bad",
    "data.max_bad": "--max-bad",
}

_SHORT = {"split_seed": "--seed"}  # where nothing is trained

Verb = Callable[..., Any]


def recipe_flags(command: Verb) -> Verb:
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


def fields(*names: str) -> Callable[[Verb], Verb]:
    """Adds a flag for each of these fields of `DataConfig`."""

    def add(verb: Verb) -> Verb:
        for name in reversed(names):
            about = DataConfig.model_fields[name].description
            flag = _SHORT.get(name, "--" + name.replace("_", "-"))
            verb = click.option(flag, name, metavar="VALUE", help=about)(verb)
        return verb

    return add


def config_of(given: Mapping[str, str | None], **defaults: Any) -> DataConfig:
    """Returns the configuration that the flags give; raises `UsageError` for a value that does not fit."""
    try:
        return DataConfig(**defaults | {k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        flag = (
            _SHORT.get(name, "--" + name.replace("_", "-")) + f" {first['input']}: " if name else ""
        )
        raise UsageError(flag + first["msg"].removeprefix("Value error, ")) from None


def _parameter(name: str) -> str:
    return "field_" + name.replace(".", "__")
