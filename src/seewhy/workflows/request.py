"""What a training is asked for, and the run that it resumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from seewhy.config.recipe import Recipe, load_recipe, make_recipe, recipe_names
from seewhy.data import Data, ImageSet, Listed, Splits
from seewhy.errors import DataError, UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.container import read_header
from seewhy.inference.locate import find_model
from seewhy.run import BEFORE, Run, runs_here, started_run
from seewhy.text import counted, escape_cell
from seewhy.training.checkpoint import latest_checkpoint, load_progress
from seewhy.training.progress import reason_to_stop
from seewhy.workflows.suited import DATA, LARGE, MANY, listed, suited_recipe

IN_MEMORY = "in memory: "  # how `describe` names data that no path leads to
# What may differ in a finished run that is trained on: the fields that end a training.
ENDS = ("recipe.train.epochs", "recipe.train.patience", "recipe.train.time_limit")
# What a resumed run need not share: what a recipe says of itself, and paths; the digest or fingerprint of
# what these lead to is stored beside them.
FREE = ("recipe.about", "data", "init_model", "recipe.train.teacher", "recipe.train.difficulty")


@dataclass(frozen=True)
class Request:
    """What a training was asked for, as the parameters of `train` say it."""

    data: Data | None
    recipe: str | Path | None
    out: str | Path | None
    overrides: Mapping[str, Any] | None
    resume: bool
    init: str | Path | None
    model: nn.Module | None

    def __post_init__(self) -> None:
        """Raises `UsageError` for an option of networks that are built by name, beside a network."""
        for name in self.overrides or {}:
            if self.model is not None and name.startswith("model."):
                raise UsageError(
                    f"{name} has no effect on a network of your own, which model= gives: leave it out"
                )

    @property
    def names_recipe(self) -> bool:
        """Whether the recipe does not depend on the images."""
        return self.recipe is not None or self.model is not None

    @cached_property
    def images(self) -> Data | Listed | None:
        """Its data, whose files are listed once where the recipe depends on the images."""
        return self.data if self.names_recipe else listed(self.data, self.overrides)

    @cached_property
    def start(self) -> Bundle | None:
        """The model to fine-tune, read once: the alias of a registry may be moved."""
        return None if self.init is None else bundles.load(find_model(self.init), model=self.model)


def begun_run(request: Request) -> Run | None:
    """The run to resume, if it has its settings; None for a new one."""
    if not request.resume:
        return None
    out = None if request.out is None else named_path(request.out)
    known = request.recipe or request.data is None
    name = (load_recipe(request.recipe or "fast") if known else chosen_recipe(request, ignore)).name
    if out is None and request.data is None:
        named = None if request.recipe is None else started_run(None, name)
        return named or _unfinished_run(None if request.recipe is None else name)
    run = started_run(out, name)
    if run is None and out is not None and request.recipe is None and request.data is None:
        raise UsageError(
            f"{out} holds no run to resume (no config.yaml): name the run directory, or --recipe and --data "
            "to start a run there"
        )
    return run


def _unfinished_run(recipe: str | None) -> Run:
    """The one unfinished run here, of this recipe or of any; `UsageError` if there is none, or several."""
    runs = [run for run in runs_here() if recipe in (None, run.config["recipe"].get("name"))]
    unfinished = [run for run in runs if not is_finished(run, _own_recipe(run).train)]
    if len(unfinished) == 1:
        return unfinished[0]
    of = "" if recipe is None else f" of the recipe {recipe}"
    if unfinished:
        which, shown = f"several unfinished runs{of} are here: resume one of them by", unfinished
    elif runs:
        which, shown = f"all runs{of} here are finished: with more --epochs one goes on by", runs
    else:
        raise UsageError(
            f"there is no run{of} to resume in {Path.cwd()} or in runs/ there: name its directory with "
            "--out, or --data to start a run"
        )
    raise UsageError("\n  ".join([which, *(run.resume_command for run in shown)]))


def chosen_recipe(request: Request, on_event: OnEvent) -> Recipe:
    """The recipe that was asked for, that of the model to fine-tune, or one that suits the data."""
    if request.recipe is not None:
        return load_recipe(request.recipe, request.overrides)
    if request.model is not None:
        return load_recipe("thumbnails", request.overrides)
    if request.start is not None:
        return _recipe_of(request.start, request, on_event)
    return load_recipe(
        suited_recipe(request.images, request.overrides, on_event), request.overrides
    )


def _recipe_of(start: Bundle, request: Request, on_event: OnEvent) -> Recipe:
    """The recipe of a model to fine-tune: a shipped one as it is now, without fields set for that training,
    and any other as the model stores it, but for its data."""
    own = start.facts.get("recipe")
    if not isinstance(own, dict) or "train" not in own:  # of no training: a mean of weights, say
        own = {"name": "thumbnails"}
    name, of_model = str(own["name"]), f"that of {request.init}"
    few = isinstance(request.images, Listed) and request.images.total < MANY
    if name in LARGE and few:
        name, of_model = "thumbnails", f"{name} makes too few steps with so few images"
    on_event(Note(f"recipe {name}: {of_model} (--recipe chooses another)"))
    if name in recipe_names():
        return load_recipe(name, request.overrides)
    return make_recipe({**own, "data": {}}, request.overrides, f"of {request.init}")


def _own_recipe(run: Run) -> Recipe:
    return make_recipe(run.config["recipe"], None, f"of {run.path}")


def own_data(begun: Run | None) -> Data:
    """The data of the run to resume, or those of a new one."""
    if begun is None:
        return DATA
    data = begun.data
    if data.startswith(IN_MEMORY):
        raise UsageError(f"{begun.path} was trained on data {data}: give them again as data=")
    return data


def own_init(begun: Run) -> str | None:
    """The model from which the run to resume was fine-tuned."""
    config = begun.config
    if config.get("init") and not config.get("init_model"):
        raise UsageError(
            f"{begun.path} was fine-tuned from the model {config['init'][:12]}: name its file with --init"
        )
    name: str | None = config.get("init_model")
    return name


def with_own_rule(recipe: Recipe, begun: Run, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with the input rule of the run to resume: a new default binds new runs only."""
    own = begun.config["recipe"]["data"]
    kept = {name: own[name] for name in BEFORE if f"data.{name}" not in overrides}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=kept)})


def in_own_order(splits: Splits, begun: Run | None) -> Splits:
    """The images of train and val in the order of the run to resume, whose steps know them by their places.

    They are known by content and class. Other images, which the run will refuse, keep their order.
    """
    if begun is None:
        return splits
    try:
        rows = begun.rows("splits.csv", "split", "label", "hash")
    except DataError:  # it is missing or damaged, and written again
        return splits

    def ordered(images: ImageSet, split: str) -> ImageSet:
        cells = [escape_cell(name) for name in images.classes]
        pairs = zip(images.hashes.tolist(), images.labels.tolist(), strict=True)
        now = np.array([f"{digest.decode()} {cells[label]}" for digest, label in pairs])
        own = np.array([f"{row['hash']} {row['label']}" for row in rows if row["split"] == split])
        now_sorted, own_sorted = (keys.argsort(kind="stable") for keys in (now, own))
        if not np.array_equal(now[now_sorted], own[own_sorted]):
            return images
        places = np.empty(len(now), np.int64)
        places[own_sorted] = now_sorted
        return images.take(places)

    return replace(splits, train=ordered(splits.train, "train"), val=ordered(splits.val, "val"))


def check_resumable(run: Run, recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raises `UsageError` naming the first setting in which a started run differs from what it is to store.

    A finished run that has its checkpoint may be trained on: its `ENDS` may differ, if they allow more.
    """
    defaults = {"recipe": Recipe().model_dump(mode="json")}
    checkpoint = latest_checkpoint(run.checkpoints)
    before = _own_recipe(run).train
    if checkpoint is None or not is_finished(run, before):
        require_same(run, config, defaults)
        return
    require_same(run, config, defaults, free=ENDS)
    ends = [name.rpartition(".")[2] for name in ENDS]
    progress = load_progress(checkpoint)
    reason = reason_to_stop(progress, recipe.train)
    if reason and any(getattr(before, name) != getattr(recipe.train, name) for name in ends):
        remedy = "give more --epochs, --train.patience or --train.time_limit"
        if recipe.train.unfreeze is None:
            remedy = "start another run with --train.unfreeze all, which trains all layers"
        raise UsageError(
            f"{run.path} has {counted(progress.epoch, 'epoch')}, and these settings would not have trained "
            f"it longer ({reason}): {remedy}"
        )


def require_same(
    run: Run, config: Mapping[str, Any], defaults: Mapping[str, Any], free: Sequence[str] = ()
) -> None:
    """Raises `UsageError` naming the first setting, but for the `free` ones, in which the run differs.

    `defaults` are the values of fields that did not exist yet when the run was started.
    """
    before, now = flat(defaults) | flat(run.config), flat(config)
    for key in now:
        if key in (*FREE, *free):
            continue
        if before.get(key) != now[key]:
            name = key.removeprefix("recipe.")
            raise UsageError(
                f"{run.path} was started with {name}={before.get(key)!r}, not {now[key]!r}: "
                "resume it with the same settings, or start another run with another --out"
            )


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by dotted name."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
        )
    return leaves


def is_finished(run: Run, config: Any) -> bool:
    """Whether the run's model is of all epochs that a recipe's training section asks for."""
    if not run.finished:
        return False
    checkpoint = latest_checkpoint(run.checkpoints)
    if checkpoint is None:  # removed, with what could be trained on
        return True
    progress = load_progress(checkpoint)
    return reason_to_stop(progress, config) is not None and model_epochs(run) == progress.epoch


def model_epochs(run: Run) -> int:
    """The number of epochs after which the run's model was written."""
    return int(str(read_header(run.model).metadata.facts["epochs"]))
