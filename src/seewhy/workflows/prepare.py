"""What a training starts from: its recipe, images, network and run directory, new or to be resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seewhy.augment.geometry import require_crop
from seewhy.config.recipe import Recipe, make_recipe, seen_by
from seewhy.config.training import TrainConfig
from seewhy.data import Splits, load_data
from seewhy.data.sources import describe
from seewhy.data.split import shares
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import require_metric
from seewhy.evaluation.predictions import Predictions
from seewhy.events import OnEvent
from seewhy.files import named_path, require_writable
from seewhy.inference.bundle import Bundle
from seewhy.inference.device import pick_device
from seewhy.inference.forward import predict
from seewhy.models.pretrained import Weights, fill, read_weights
from seewhy.models.registry import build
from seewhy.run import Run, new_run, resumable_run
from seewhy.text import counted
from seewhy.training.batches import LEAST, WEIGHTS, seed_of
from seewhy.training.busy import free_threads
from seewhy.training.custom_network import check_custom
from seewhy.training.features import logit_scale
from seewhy.training.layers import batch_norm_momentum, check_layers, check_sides, notes_on_network
from seewhy.training.ranks import ALONE, Ranks
from seewhy.training.reference import Reference
from seewhy.workflows.fine_tuning import (
    fine_tuned,
    require_own_classes,
    weights_by_name,
    what_is_kept,
    what_teachers_saw,
)
from seewhy.workflows.request import (
    Request,
    begun_run,
    chosen_recipe,
    in_own_order,
    own_data,
    own_init,
    with_own_rule,
)
from seewhy.workflows.transfer import decide, enlarging, require_pretrained

# Techniques of training steps, of which the last layer alone takes none.
OF_STEPS = ("teacher", "curriculum", "hardest", "ema", "swa")
# The fields of the training section that it does take, or that decide whether it is trained alone.
OF_LAST_LAYER = (
    *("seed", "unfreeze", "time_limit", "class_weights", "monitor", "monitor_mode", "keep"),
    *("device", "amp", "device_memory", "checkpoint_seconds"),
)


@dataclass(frozen=True)
class Job:
    """The inputs of one training; `config` is what the run stores of them, `notes` are for the user.

    `start` is the model to fine-tune, `teacher` the one to distil, `judge` the one that
    tells which images are difficult.
    """

    recipe: Recipe
    splits: Splits
    network: nn.Module
    run: Run
    device: torch.device
    start: Bundle | None
    teacher: Reference | None
    judge: Reference | None
    config: Mapping[str, Any]
    notes: Sequence[str]
    ranks: Ranks = ALONE

    @property
    def threads(self) -> int | None:
        """The number of threads that computes a step, or a shard; None: as many as PyTorch takes."""
        own: int | None = self.config["threads"]
        return own

    @property
    def starts_with_last_layer(self) -> bool:
        """Whether the last layer is fitted to frozen features before other layers are trained."""
        return self.recipe.train.unfreeze is None or self.config["weights"] is not None

    def predict_val(
        self, network: nn.Module, views: Sequence[str], amp: torch.dtype | None = None
    ) -> Predictions:
        size = self.splits.rule.size
        return predict(
            network, self.splits.val, size=size, views=views, device=self.device, amp=amp
        )


def prepare(
    request: Request, on_event: OnEvent, ranks: Ranks = ALONE, led: Run | None = None
) -> Job:
    """Reads recipe, images and network, and makes the run directory, or finds the one to resume.

    What the request does not name is that of the run to resume, or of the run of the first rank, by which
    another one is `led`. Nothing is written before all of it is read.
    """
    begun, overrides = led or begun_run(request), request.overrides or {}
    if begun is not None and request.recipe is None:
        if request.init is None and (own := own_init(begun)) is not None:
            request = replace(request, init=own)
        chosen = make_recipe(begun.config["recipe"], overrides, f"of {begun.path}")
    else:
        chosen = chosen_recipe(request, on_event)
        chosen = chosen if begun is None else with_own_rule(chosen, begun, overrides)
    home = "runs" if request.out is None else request.out
    require_writable(begun.path if begun is not None else Path(home))
    start = request.start
    if start is not None:
        chosen = fine_tuned(chosen, start, overrides, begun)
    weights = _pretrained(chosen) if request.model is None else None
    if weights is not None:
        chosen = seen_by(chosen, weights.card)
    data = own_data(begun) if request.data is None else request.data
    rule = start.rule if start else None
    images = data if request.images is None else request.images
    splits = in_own_order(load_data(images, chosen.data, on_event=on_event, rule=rule), begun)
    chosen, smaller_batch = _fitting(_with_shares(chosen, splits), len(splits.train), begun)
    require_metric(chosen.train.monitor, splits.classes)
    device = _device(chosen)
    chosen = enlarging(chosen, splits.rule.size, begun, overrides) if weights else chosen
    require_pretrained(chosen.train, start is not None or weights is not None)
    network, notes = _build(chosen, splits, start, request.model, weights)
    check_layers(network, chosen.train)
    notes += notes_on_network(network, chosen.train)
    check_sides(network, chosen.train, splits.rule.size)
    require_crop(splits.rule.store, splits.rule.size, chosen.augment)
    chosen, decided = decide(chosen, splits, network, begun, overrides)
    if fitted := chosen.train.unfreeze is None:
        logit_scale(network, len(splits.classes), splits.rule.size)  # refuses what cannot be fitted
        smaller_batch = ()
    teacher, judge = (_reference(chosen, splits, name) for name in ("teacher", "difficulty"))
    kept = () if start is None else what_is_kept(str(request.init), start, splits, fitted)
    techniques = _technique_notes(chosen, overrides, splits, network, teacher, judge)
    threads, seen = _threads(chosen, device, ranks, begun)
    notes = [*splits.notes, *smaller_batch, *notes, *decided, *kept, *techniques, *seen]
    target = None if request.out is None else named_path(request.out)
    run = begun or (resumable_run if request.resume else new_run)(target, chosen.name)
    config = {
        "recipe": chosen.model_dump(mode="json"),
        "data": describe(data),
        "data_fingerprint": splits.fingerprint,
        "init": start.digest if start else None,
        "weights": weights.sha256 if weights else None,
        "init_model": None if request.init is None else str(request.init),
        "teacher": teacher.digests if teacher else None,
        "difficulty": judge.digests if judge else None,
        "threads": threads,
    }
    return Job(chosen, splits, network, run, device, start, teacher, judge, config, notes, ranks)


def _threads(
    recipe: Recipe, device: torch.device, ranks: Ranks, begun: Run | None
) -> tuple[int | None, list[str]]:
    """The number of threads that computes a step, None for as many as PyTorch takes; what is said of it.

    All shards need the same number, and a run that was begun keeps its own.
    """
    most = torch.get_num_threads()
    threads = most
    if begun is not None:
        if "threads" in begun.config:
            return begun.config["threads"], []
    elif device.type == "cpu" and ranks.world == 1:
        threads = free_threads()
        if threads < most:
            return threads, [
                f"other processes keep {counted(most - threads, 'core')} busy: this training takes "
                f"{counted(threads, 'thread')}, as more would wait for each other (OMP_NUM_THREADS sets "
                "another number)"
            ]
    return threads if threads != most or recipe.train.shards > 1 else None, []


def _technique_notes(
    recipe: Recipe,
    overrides: Mapping[str, Any],
    splits: Splits,
    network: nn.Module,
    teacher: Reference | None,
    judge: Reference | None,
) -> list[str]:
    """What a user must know of the techniques that a recipe uses."""
    notes, train = [], recipe.train
    if train.unfreeze is None:
        return _without_steps(train, overrides)
    moving = batch_norm_momentum(network) is not None and not train.freeze_batch_norm
    if train.accumulate is not None and moving:
        size = max(LEAST, -(-train.batch_size // train.accumulate))
        notes.append(
            f"accumulate: batch-norm statistics are those of micro-batches of {size} images"
        )
    if train.hardest is not None:
        images, first = len(splits.train), train.first_hardest
        count = train.hardest_of(images)
        why = "there are too few epochs" if first >= train.epochs else "a batch has as many"
        notes.append(
            f"hardest has no effect: all epochs have all images, as {why}"
            if first >= train.epochs or count == images
            else f"hardest: training loss and accuracy after epoch {first} are those of the hardest "
            f"{count / images:.0%} of the images"
        )
    if train.swa is not None and (train.patience or train.time_limit):
        notes.append(
            f"swa: averaging begins after {1 - train.swa:.0%} of the steps of {train.epochs} epochs; where "
            "patience or time_limit ends the training before, no weights are averaged"
        )
    if teacher is not None:
        saw = what_teachers_saw(teacher.name, teacher.models, splits)
        notes.append(f"teacher: {teacher.note(splits.rule)}{saw}")
    if judge is not None:
        notes.append(f"difficulty: {judge.note(splits.rule)}")
    return notes


def _without_steps(train: TrainConfig, overrides: Mapping[str, Any]) -> list[str]:
    """A note of what was asked for and has no effect on a last layer that is trained alone."""
    unused = [f"train.{name}" for name in OF_STEPS if getattr(train, name) is not None]
    for name, value in overrides.items():
        section, _, field = name.partition(".")
        of_steps = section == "augment" or (section == "train" and field not in OF_LAST_LAYER)
        if of_steps and value is not None and name not in unused:
            unused.append(name)
    have = "has" if len(unused) == 1 else "have"
    text = f"{', '.join(unused)} {have} no effect: the last layer is fitted, and no step is made"
    return [text] if unused else []


def _reference(recipe: Recipe, splits: Splits, option: str) -> Reference | None:
    """The model that a field of the training section names; None also where no step is made to use it."""
    name = getattr(recipe.train, option)
    if name is None or recipe.train.unfreeze is None:
        return None
    return Reference.load(name, splits.classes, f"train.{option}")


def _device(recipe: Recipe) -> torch.device:
    device = pick_device(recipe.train.device)
    if recipe.train.device_memory is not None and device.type != "cuda":
        raise UsageError(
            f"train.device_memory has no effect on {device.type}, it limits the memory of a GPU: leave it out"
        )
    return device


def _pretrained(recipe: Recipe) -> Weights | None:
    """The weights that the recipe names."""
    name = recipe.model.weights
    return None if name is None else read_weights(recipe.model.name, name)


def _with_shares(recipe: Recipe, splits: Splits) -> Recipe:
    """The recipe with the share of test that was drawn because val alone was named, so that it is stored."""
    if not (splits.drawn and recipe.data.names_val_alone):
        return recipe
    val, test = shares(recipe.data)
    return recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"val": val, "test": test})}
    )


def _fitting(recipe: Recipe, images: int, begun: Run | None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with a batch of no more images than there are; a run begun with a larger one keeps it.

    Nor is it cut into more parts than it allows.
    """
    batch = recipe.train.batch_size
    if batch <= images:
        return recipe, ()
    if begun is not None and begun.config["recipe"]["train"]["batch_size"] == batch:
        return recipe, ()
    note = (
        f"batch_size is {images} and not {batch}, as there are {counted(images, 'training image')}; "
        f"the learning rate "
        f"stays {recipe.train.lr:g}"
    )
    parts = recipe.train.accumulate and min(recipe.train.accumulate, images)
    shards = max(1, min(recipe.train.shards, images // LEAST))
    fitting = {"batch_size": images, "accumulate": parts, "shards": shards}
    train = recipe.train.model_copy(update=fitting)
    return recipe.model_copy(update={"train": train}), (note,)


def _build(
    recipe: Recipe,
    splits: Splits,
    start: Bundle | None,
    model: nn.Module | None,
    weights: Weights | None,
) -> tuple[nn.Module, list[str]]:
    """The network before the first step, on the CPU, and what is said of its weights."""
    size, classes = splits.rule.size, splits.classes
    if model is not None:
        if start is not None:
            require_own_classes(start, splits)
        network = start.network if start else model
        check_custom(network, recipe.train, len(classes), size, len(splits.train))
        return network, []
    options = recipe.model.options.model_dump()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(recipe.train.seed, WEIGHTS, 0))
        network = build(recipe.model.name, num_classes=len(classes), size=size, **options)
    if start is None:
        network.fit_input(splits.train.images)
    else:
        network.load_state_dict(weights_by_name(start, network, classes))
    return network, [] if weights is None else [fill(network, weights, recipe.model.name)]
