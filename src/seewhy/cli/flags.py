"""The flags of recipes and data sets, derived from their typed records."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import click
from pydantic import ValidationError

from seewhy.cli.completion import complete, data_sets, recipes
from seewhy.cli.options import DATA, PATH, Verb, as_json
from seewhy.config.data import DataConfig
from seewhy.config.options import first_fault
from seewhy.config.recipe import options, parse_fields
from seewhy.errors import UsageError

# Short names of the fields that are set most often.
SHORT = {
    "train.epochs": "--epochs",
    "train.seed": "--seed",
    "train.device": "--device",
    "train.amp": "--amp",
    "train.compile": "--compile",
    "data.layout": "--layout",
    "data.follow_links": "--follow-links",
    "data.label_column": "--label-column",
    "data.group_from": "--group-from",
    "data.on_bad": "--on-bad",
    "data.max_bad": "--max-bad",
}
RECIPE = "a recipe's name or YAML file [the one that suits the images: transfer for photographs]"
TYPES = {"int", "float", "str", "bool"}  # of values that cannot be listed
# Given without a value; `--set` takes them back.
SWITCHES = {"data.follow_links"}


def training_flags(suffix: str = "") -> Callable[[Verb], Verb]:
    """Adds --recipe, --data, --out, --json and a flag for each field of a recipe."""
    flags = (
        click.option("--recipe", shell_complete=recipes, help=RECIPE),
        click.option(
            "--data", default="cifar10", show_default=True, shell_complete=data_sets, help=DATA
        ),
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
            help=option.field.description,
            **_value(option.name, option.kind),
        )(command)
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="set any recipe field"
    )(command)


def _overrides(values: dict[str, Any]) -> dict[str, Any]:
    """Takes the recipe fields that were set out of the values; returns them by dotted name."""
    typed = {option.name: values.pop(_parameter(option.name)) for option in options()}
    texts = {name: text for name, text in typed.items() if text is not None}
    for setting in values.pop("settings"):
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected section.key=value, such as train.lr=0.01")
        texts[key.strip()] = text
    return parse_fields(texts)


def fields(*names: str) -> Callable[[Verb], Verb]:
    """Adds a flag for each of these fields of `DataConfig`."""

    def add(verb: Verb) -> Verb:
        for name in reversed(names):
            about = DataConfig.model_fields[name].description
            value = _value(f"data.{name}", "VALUE")
            verb = click.option(_flag(name), name, help=about, **value)(verb)
        return verb

    return add


def size_option(default: int) -> Callable[[Verb], Verb]:
    """Adds --size, for a verb that takes `default` where it is not given."""
    text = f"largest side in pixels; if most images are smaller, theirs [{default}]"
    return click.option("--size", metavar="VALUE", help=text)


def config_of(values: Mapping[str, str | None], **defaults: Any) -> DataConfig:
    """Returns the configuration that the flags set. Raises `UsageError` for an invalid value."""
    try:
        return DataConfig(**defaults | {k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        name, reason, value = first_fault(error)
        raise UsageError((f"{_flag(name)} {value}: " if name else "") + reason) from None


def _value(name: str, kind: str) -> dict[str, Any]:
    """How click reads the value of a field."""
    if name in SWITCHES:
        return {"is_flag": True, "flag_value": "true", "default": None}
    words = [word for word in kind.split("|") if word not in TYPES] if "|" in kind else []
    return {"metavar": kind, "shell_complete": complete(lambda: words)}


def _flag(name: str) -> str:
    return "--seed" if name == "split_seed" else "--" + name.replace("_", "-")


def _parameter(name: str) -> str:
    return "field_" + name.replace(".", "__")
