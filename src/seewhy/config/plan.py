"""The plan of an ablation: rows that set options of a recipe, or remove them.

about: The effect of each part of the first CNN
recipe: regularized-cnn
seeds: 3
target: 0.6                       # epochs and seconds to this validation accuracy
set: {train.epochs: 10}           # of every row
rows:
  no flips: {without: augment.flip}
  no augmentation: {without: augment}
  wider: {with: {model.width: 2}}
  wider, trained longer: {after: wider, with: {train.epochs: 20}}
  another network: {recipe: resnet18}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from seewhy.config.options import first_fault, read_yaml
from seewhy.config.recipe import Recipe, load_recipe, options
from seewhy.errors import UsageError


class Row(BaseModel):
    """How a row of an ablation differs from the base recipe, or from another row."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    recipe: str | None = Field(None, description="another recipe to start from, by name or path")
    after: str | None = Field(
        None,
        description="an earlier row that it is compared with, and builds on unless it has a `recipe`; None: "
        "the base",
    )
    with_: dict[str, Any] = Field({}, alias="with", description="recipe fields and their values")
    without: tuple[str, ...] = Field(
        (), description="recipe fields, or whole sections, that are reset to their defaults"
    )

    @field_validator("without", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class Plan(BaseModel):
    """An ablation: a base recipe and named rows; the order of the rows is that of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    about: str = Field("", max_length=500, description="its purpose, in one line")
    recipe: str | None = Field(
        None, description="the base, by name or path; None: the one that suits the images"
    )
    base: str | None = Field(None, description="name of the base's row; None: its recipe's")
    seeds: int = Field(3, ge=1, le=1000, description="runs per row; the same seeds in every row")
    target: float | None = Field(
        None,
        gt=0,
        le=1,
        description="validation accuracy; the epochs and seconds to reach it are measured",
    )
    set_: dict[str, Any] = Field({}, alias="set", description="recipe fields of every row")
    rows: dict[str, Row] = Field(min_length=1, description="the rows by name")

    def shared(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe fields of every row, where `overrides` are set too."""
        return {**self.set_, **overrides}


@dataclass(frozen=True)
class Variant:
    """A resolved row: the recipe and the fields that its runs are trained with."""

    name: str
    recipe: str
    overrides: Mapping[str, Any]
    after: str | None  # the row that it is compared with; None for the base
    changes: str  # as a reader sees them

    @property
    def folder(self) -> str:
        return re.sub(r"[^\w.+-]+", "-", self.name).strip("-.") or "row"


def load_plan(path: str | Path) -> Plan:
    """Reads a plan from a YAML file; its recipes may be in the same folder. Raises `UsageError`."""
    path = Path(path)
    try:
        plan = make_plan(read_yaml(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    rows = {
        name: row.model_copy(update={"recipe": row.recipe and _beside(row.recipe, path)})
        for name, row in plan.rows.items()
    }
    base = plan.recipe and _beside(plan.recipe, path)
    return plan.model_copy(update={"recipe": base, "rows": rows})


def make_plan(tree: Any, label: str) -> Plan:
    """A plan from its fields. Raises `UsageError`, which names `label` and the wrong field."""
    try:
        return Plan.model_validate(tree)
    except ValidationError as error:
        name, reason, value = first_fault(error)
        raise UsageError(f"{label}: {name or 'it'}: {reason} (got {value!r})") from None


def variants(plan: Plan, recipe: str, overrides: Mapping[str, Any]) -> list[Variant]:
    """The base `recipe` and every row of a plan, with `overrides` for all; every recipe is validated.

    Raises `UsageError` with the name of the row if it changes nothing, names an unknown field or row, or sets
    fields that contradict each other.
    """
    shared = plan.shared(overrides)
    base = plan.base or load_recipe(recipe, shared).name
    resolved = {base: Variant(base, recipe, shared, None, "")}
    for name, row in plan.rows.items():
        if name in resolved:
            raise UsageError(f"there are two rows {name!r}: give one another name")
        if row.after is not None and row.after not in resolved:
            raise UsageError(f"row {name!r} comes after {row.after!r}, which is no row above it")
        try:
            resolved[name] = _variant(name, row, resolved[row.after or base], shared)
        except UsageError as error:
            raise UsageError(f"row {name!r}: {error}") from None
    folders = [variant.folder for variant in resolved.values()]
    for variant in resolved.values():
        if folders.count(variant.folder) > 1:
            raise UsageError(f"row {variant.name!r} and another would share a folder: rename it")
    return list(resolved.values())


def _variant(name: str, row: Row, before: Variant, shared: Mapping[str, Any]) -> Variant:
    if row.recipe is not None:
        before = Variant(before.name, row.recipe, shared, None, "")
    start = load_recipe(before.recipe, before.overrides)
    changes = dict(row.with_)
    if "train.seed" in changes:
        raise UsageError("train.seed is that of each run, the same in all rows: leave it out")
    for field in row.without:
        changes |= _defaults(field, start)
    now = load_recipe(before.recipe, {**before.overrides, **changes})
    for field in changes:
        if _value(now, field) == _value(start, field):
            raise UsageError(f"{field} is {_value(start, field)!r} already")
    if row.recipe is None and not changes:
        raise UsageError("it changes nothing: give it with, without or recipe")
    shown = [row.recipe] if row.recipe else []
    shown += [f"without {field}" for field in row.without]
    shown += [f"{field}={value}" for field, value in row.with_.items()]
    overrides = {**before.overrides, **changes}
    return Variant(name, before.recipe, overrides, before.name, ", ".join(shown))


def _defaults(field: str, recipe: Recipe) -> dict[str, Any]:
    """The defaults of an option, or of all options that are set in a section."""
    leaves = [o for o in options() if o.name == field or o.name.startswith(f"{field}.")]
    if not leaves:
        raise UsageError(
            f"no recipe field or section {field!r}: `seewhy recipes show {recipe.name}` lists them"
        )
    set_here = {o.name: o.default for o in leaves if _value(recipe, o.name) != o.default}
    if not set_here:
        raise UsageError(f"{field} is not set, so there is nothing to remove")
    return set_here


def _value(recipe: Recipe, field: str) -> Any:
    return attrgetter(field)(recipe)


def _beside(recipe: str, path: Path) -> str:
    """The path of a recipe in the folder of the plan, else its name."""
    near = path.parent / recipe
    return str(near) if near.is_file() else recipe
