"""Options that several verbs share. A recipe's flags are derived from its typed records."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

import seewhy
from seewhy.config.data import DataConfig
from seewhy.config.options import parse_value
from seewhy.config.recipe import options
from seewhy.errors import UsageError

# Short names of the fields that are set most often.
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

Verb = Callable[..., Any]

DATA = "digits, cifar10, a folder or an archive"
PATH = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="print one JSON object")
data_option = click.option("--data", required=True, help=DATA)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or mps"
)


def split_option(*splits: str) -> Callable[[Verb], Verb]:
    """Adds --split, validation by default."""
    return click.option("--split", type=click.Choice(splits), default="val", show_default=True)


def show(result: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Prints a result, as one JSON object or as `text` formats it."""
    click.echo(json.dumps(seewhy.to_json(result)) if as_json else text(result))


def training_flags(suffix: str = "") -> Callable[[Verb], Verb]:
    """Adds --recipe, --data, --out, --json and a flag for each field of a recipe."""
    recipe = "a recipe's name or YAML file"
    flags = (
        click.option("--recipe", default="fast", show_default=True, help=recipe),
        click.option("--data", default="cifar10", show_default=True, help=DATA),
        click.option("--out", type=PATH, help=f"output directory [runs/RECIPE{suffix}]"),
        as_json,
        recipe_flags,
    )
    return lambda verb: functools.reduce(lambda inner, flag: flag(inner), reversed(flags), verb)


def recipe_flags(verb: Verb) -> Verb:
    """Adds a flag for each field of a recipe, and `--set`; the verb gets their values as `overrides`."""

    @functools.wraps(verb)
    def command(**values: Any) -> Any:
        overrides = _overrides(values)
        return verb(**values, overrides=overrides)

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


def _overrides(values: dict[str, Any]) -> dict[str, Any]:
    """Takes the recipe fields that were set out of the values; returns them by dotted name."""
    texts = {option.name: values.pop(_parameter(option.name)) for option in options()}
    overrides = {name: parse_value(text) for name, text in texts.items() if text is not None}
    for setting in values.pop("settings"):
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected section.key=value, such as train.lr=0.01")
        overrides[key.strip()] = parse_value(text)
    return overrides


def fields(*names: str) -> Callable[[Verb], Verb]:
    """Adds a flag for each of these fields of `DataConfig`."""

    def add(verb: Verb) -> Verb:
        for name in reversed(names):
            about = DataConfig.model_fields[name].description
            verb = click.option(_flag(name), name, metavar="VALUE", help=about)(verb)
        return verb

    return add


def config_of(values: Mapping[str, str | None], **defaults: Any) -> DataConfig:
    """Returns the configuration that the flags set. Raises `UsageError` for an invalid value."""
    try:
        return DataConfig(**defaults | {k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        flag = f"{_flag(name)} {first['input']}: " if name else ""
        raise UsageError(flag + first["msg"].removeprefix("Value error, ")) from None


def _flag(name: str) -> str:
    return "--seed" if name == "split_seed" else "--" + name.replace("_", "-")


def _parameter(name: str) -> str:
    return "field_" + name.replace(".", "__")
