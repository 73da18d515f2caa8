"""Recipes: YAML files that fix data, model, augmentation and training, read into one typed record."""

import re
import unicodedata
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from seewhy.config.augment import AugmentConfig
from seewhy.config.data import DataConfig
from seewhy.config.names import View, each_once
from seewhy.config.networks import ModelConfig
from seewhy.config.options import Option, first_fault, options_of, parse_value, read_yaml
from seewhy.config.pretrained import Pretrained
from seewhy.config.search import Space, check
from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError
from seewhy.text import near, no_such, visible

SHIPPED = Path(__file__).parent / "recipes"
MAX_BYTES = 1_000_000
MAX_EXTENDS = 8


class Recipe(BaseModel):
    """All options of a training run, except its data."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field("custom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="name")
    about: str = Field("", max_length=500, description="its purpose, in one line")
    license: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="licence of the trained model, such as apache-2.0, for its model card; None: not stated",
    )
    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    views: Annotated[tuple[View, ...], AfterValidator(each_once)] = Field(
        ("identity",),
        min_length=1,
        description="test-time augmentation (TTA) views, whose logits are averaged: the image as it is, "
        "mirrored, and moved by a 32nd of its side",
    )
    search: dict[str, Space] = Field(
        {}, exclude=True, description="values that `seewhy tune` may try, by field"
    )

    @model_validator(mode="after")
    def _searched_fields_exist(self) -> Self:
        known = {option.name: option.field for option in options()}
        for name, space in self.search.items():
            if name not in known:
                raise ValueError(f"search: no recipe field {name!r}{_nearest(name)}")
            check(name, space, known[name])
        return self


def options() -> list[Option]:
    """Every leaf of a recipe except its name and text, in order; these are the command line's flags."""
    own = ("name", "about", "search")
    return [option for option in options_of(Recipe) if option.name not in own]


def parse_fields(texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of recipe fields from their texts, by dotted name. Raises `UsageError`."""
    kinds = {option.name: option.kind for option in options()}
    return {name: parse_value(text, kinds.get(name, "")) for name, text in texts.items()}


def recipe_names() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_recipe(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Reads a shipped recipe by name or a user's by path, with `overrides` by dotted name on top.

    An existing path wins over a name. Raises `UsageError` for an unknown name, an unreadable file, an
    unknown field (naming the nearest) or a value out of range.
    """
    return make_recipe(_read(str(name_or_path), depth=0), overrides, str(name_or_path))


def make_recipe(tree: Mapping[str, Any], overrides: Mapping[str, Any] | None, label: str) -> Recipe:
    """A recipe from its fields, such as those that a run stores. Raises `UsageError` naming `label`."""
    whole = deepcopy(dict(tree))
    for dotted, value in (overrides or {}).items():
        _put(whole, dotted, value)
    try:
        recipe = Recipe.model_validate(whole)
    except ValidationError as error:
        by_user = first_fault(error)[0] in (overrides or {})
        raise UsageError(("" if by_user else f"recipe {label}: ") + _explain(error)) from None
    known = recipe.model.options.pretrained if recipe.model.weights == "imagenet" else None
    return recipe if known is None else seen_by(recipe, known)


def seen_by(recipe: Recipe, card: Pretrained) -> Recipe:
    """The recipe with images of the size and interpolation that its weights were trained with, unless it
    says otherwise."""
    data: dict[str, Any] = {}
    if "size" not in recipe.data.model_fields_set:
        data["size"] = card.size
    if recipe.data.interpolation is None and card.interpolation != "bicubic":
        data["interpolation"] = card.interpolation
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})


def to_yaml(recipe: Recipe) -> str:
    """The recipe in full, as YAML that `load_recipe` reads back to the same record."""
    tree = recipe.model_dump(mode="json")
    if recipe.search:
        tree["search"] = {
            name: space.model_dump(mode="json", exclude_defaults=True)
            for name, space in recipe.search.items()
        }
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def _read(name: str, depth: int, folder: Path = Path()) -> dict[str, Any]:
    if depth > MAX_EXTENDS:
        raise UsageError(f"recipe {name}: more than {MAX_EXTENDS} levels of extends: a circle?")
    path = folder / name
    try:
        own = _own_text(path) if path.is_file() else None
    except OSError as error:
        raise UsageError(f"recipe {path} cannot be read: {error.strerror}") from None
    if own is not None:
        text, folder, label = own, path.parent, _name(path.stem)
    elif name in recipe_names():
        text = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
        label = name
    else:
        raise UsageError(no_such("recipe or file", name, recipe_names()))
    try:
        tree = read_yaml(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"recipe {name} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"recipe {name} holds {visible(repr(tree)[:40])}, expected sections")
    base = tree.pop("extends", None)
    tree.setdefault("name", label)
    return tree if base is None else _merge(_read(str(base), depth + 1, folder), tree)


def _own_text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"recipe {path} is larger than {MAX_BYTES:,} bytes: not a recipe")
    return path.read_text(encoding="utf-8", errors="replace")


def _name(stem: str) -> str:
    """The name of a recipe from that of its file, which may be of any letters."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:64] or "custom"


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    if dotted not in {option.name for option in options()}:
        raise UsageError(f"no recipe field {dotted!r}{_nearest(dotted)}")
    *sections, leaf = dotted.split(".")
    for section in sections:
        if not isinstance(tree.get(section), dict):
            tree[section] = {}
        tree = tree[section]
    tree[leaf] = value


def _explain(error: ValidationError) -> str:
    """The first error of a validation in one line, with the nearest name for an unknown field."""
    first = error.errors(include_url=False)[0]
    dotted, message, value = first_fault(error)
    if first["type"] == "extra_forbidden":
        return f"unknown field {dotted}{_nearest(dotted)}"
    if first["type"] == "literal_error":
        kind = next((option.kind for option in options() if option.name == dotted), "")
        message += ", or none" if kind.endswith("|none") else ""
        message += near(str(value), re.findall(r"'(.*?)'", first["ctx"]["expected"]))
    got = "" if isinstance(value, dict) else f" (got {value!r})"
    return f"{dotted}: {message}{got}" if dotted else message


def _nearest(dotted: str) -> str:
    names = [option.name for option in options()]
    return near(dotted, names) or ": `seewhy recipes show fast` lists them"
