"""The leaves of a record by dotted name, and the parsing of typed values."""

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from seewhy.errors import UsageError
from seewhy.files import from_yaml


@dataclass(frozen=True)
class Option:
    """One leaf of a recipe: its dotted name, its field and its default."""

    name: str
    field: FieldInfo
    default: Any

    @property
    def kind(self) -> str:
        """The type as shown to users: `int`, `float|none`, `sgd|adam|adamw`."""
        return _kind(self.field.annotation)


def options_of(model: type[BaseModel], prefix: str = "") -> list[Option]:
    """Every leaf of a record, in order."""
    leaves = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            leaves += options_of(field.annotation, f"{prefix}{name}.")
        else:
            leaves.append(Option(prefix + name, field, field.get_default()))
    return leaves


def parse_value(text: str, kind: str = "") -> Any:
    """The value of an option from its text: YAML, or `none` for off; of the kind `str`, the text as typed,
    unless it is in quotes."""
    if text.lower() in ("", "none", "null", "~"):
        return None
    if kind.removesuffix("|none") == "str" and text[0] not in "\"'":
        return text
    try:
        return from_yaml(text)
    except yaml.YAMLError:
        raise UsageError(f"{text!r} is not a value: expected a number, a word or a list") from None


def set_flags(values: Mapping[str, Any]) -> list[str]:
    """The flags that set recipe fields, by dotted name, to these values."""
    return [f"--set={name}={json.dumps(value, allow_nan=False)}" for name, value in values.items()]


def read_yaml(text: str) -> Any:
    """The values of a YAML text that a person wrote; `none` without quotes is off, as in a flag.

    Raises `yaml.YAMLError`, also for a key that a mapping has twice: the second would hide the first.
    """
    return from_yaml(text, _check_and_switch_off)


def first_fault(error: ValidationError) -> tuple[str, str, Any]:
    """The first field that is wrong, by dotted name ("" for the whole record), the reason and the value."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    reason = reason.replace("a valid tuple", "a list, such as '[1, 2]'")
    return ".".join(map(str, first["loc"])), reason, first["input"]


def _check_and_switch_off(root: Any) -> None:
    """Requires each key once, and makes null of each `none`."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and node.value.lower() == "none" and not node.style:
            node.tag = "tag:yaml.org,2002:null"
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            names = set[str]()
            for key, value in node.value:
                if (name := str(key.value)) in names:
                    fault = f"{name} is there twice"
                    raise yaml.MarkedYAMLError(problem=fault, problem_mark=key.start_mark)
                names.add(name)
                nodes.append(value)


def _kind(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) is Literal:
        return "|".join(str(value) for value in arguments)
    if typing.get_origin(annotation) is tuple:
        return f"list of {_kind(arguments[0])}"
    if typing.get_origin(annotation) is Annotated:
        return _kind(arguments[0])
    if arguments:
        return "|".join(_kind(argument) for argument in arguments)
    return str(getattr(annotation, "__name__", annotation))
