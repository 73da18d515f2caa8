"""What makes a run's training again, as words of a command."""

import json
from collections.abc import Mapping
from typing import Any

from seewhy.recipes import load_recipe, recipe_names


def settings(recipe: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> list[str]:
    """A shipped recipe's name and what the run's own differs in, with `more` fields on top.

    Nothing where the recipe is not a shipped one: its file is not known.
    """
    if recipe["name"] not in recipe_names():
        return []
    shipped = flat(load_recipe(recipe["name"]).model_dump(mode="json"))
    own = {k: v for k, v in flat(recipe).items() if k in shipped and shipped[k] != v}
    changes = own | dict(more or {})
    return [
        "--recipe",
        recipe["name"],
        *(f"--set={name}={json.dumps(value)}" for name, value in changes.items()),
    ]


def flat(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's fields by dotted name."""
    found: dict[str, Any] = {}
    for section, fields in recipe.items():
        if isinstance(fields, Mapping):
            found |= {f"{section}.{name}": value for name, value in fields.items()}
        elif section not in ("name", "about"):
            found[section] = fields
    return found
