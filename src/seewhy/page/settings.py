"""Recipe settings of a run as command-line arguments."""

import shlex
from collections.abc import Mapping
from typing import Any

from seewhy.config.data import DataConfig
from seewhy.config.options import set_flags
from seewhy.config.recipe import Recipe, load_recipe, recipe_names


def settings(recipe: Recipe, more: Mapping[str, Any] | None = None) -> list[str]:
    """The flags for a shipped recipe and for the fields in which the run differs from it, plus `more`.

    Empty if the recipe is not a shipped one, since the path of its file is not known.
    """
    if recipe.name not in recipe_names():
        return []
    shipped = flat(load_recipe(recipe.name))
    own = {k: v for k, v in flat(recipe).items() if k in shipped and shipped[k] != v}
    changes = own | dict(more or {})
    return ["--recipe", recipe.name, *set_flags(changes)]


def train_command(
    recipe: Recipe, init: str | None, data: str, more: Mapping[str, Any] | None = None
) -> str:
    """The command that trains by a recipe, with `more` fields changed; `init` is as in `Stored`.

    Empty if a file that it needs is not known: that of a recipe, or of the model that was fine-tuned.
    """
    known = settings(recipe, more)
    if init is not None:
        if not init:
            return ""
        # The network and the input size are the model's.
        known = [f for f in known if not f.startswith(("--set=model.", "--set=data.size="))]
        known += ["--init", init] if known else []
    return shlex.join(["seewhy", "train", "--data", data, *known]) if known else ""


def review_command(data: str, drawn: DataConfig, review: str) -> str:
    """The command that applies a label review to data that is split as `drawn` says."""
    usual = DataConfig()
    flags = {
        "--layout": "layout",
        "--label-column": "label_column",
        "--group-from": "group_from",
        "--val": "val",
        "--test": "test",
        "--seed": "split_seed",
    }
    own = ["--follow-links"] if drawn.follow_links else []
    own += [
        word
        for flag, name in flags.items()
        if getattr(drawn, name) != getattr(usual, name)
        for word in (flag, str(getattr(drawn, name)))
    ]
    return shlex.join(["seewhy", "data", "apply-review", data, review, *own, "--out", "NEW"])


def flat(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe by dotted name, as JSON values."""
    flattened: dict[str, Any] = {}
    for section, fields in recipe.model_dump(mode="json").items():
        if isinstance(fields, Mapping):
            flattened |= {f"{section}.{name}": value for name, value in fields.items()}
        elif section not in ("name", "about"):
            flattened[section] = fields
    return flattened
