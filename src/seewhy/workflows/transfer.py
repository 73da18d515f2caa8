"""Transfer learning: what of a pretrained network is trained, and its last layer on frozen features."""

import copy
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from seewhy.config.networks.options import LARGEST_SMALL
from seewhy.config.recipe import Recipe
from seewhy.config.training import TrainConfig
from seewhy.data import ImageSet, Splits
from seewhy.data.imageset import numbered
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import score
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Epoch, Note, Progress
from seewhy.inference.device import pick_amp, pick_device, place
from seewhy.models.pretrained import last_layer
from seewhy.run import Run
from seewhy.text import counted
from seewhy.training.averages import start_average
from seewhy.training.batches import progressive_side
from seewhy.training.features import FrozenFeatures, logit_scale
from seewhy.training.guards import deterministic, memory_capped
from seewhy.training.head import Head, fit_head
from seewhy.training.layers import freeze_batch_norms, freeze_blocks
from seewhy.training.loop import TrainState
from seewhy.training.micro_batches import fitting_memory
from seewhy.training.objectives import balanced_weights
from seewhy.training.progress import close_epoch

FEW = 1_000  # training images up to which the last layer alone is trained
FEWEST_EPOCHS = 2  # of the whole network; fewer do it no good
VIEWS = ("identity", "flip")  # of a training image


def enlarging(recipe: Recipe, side: int, begun: Run | None, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe whose pretrained network enlarges images of `side` pixels to `data.size`, which it knows.

    Not thumbnails, as it takes long where they are many; nor where `model.enlarge` is given. A run that was
    begun keeps what it had. Progressive resizing would save no time, and is left out unless the `overrides`
    ask for it.
    """
    if "enlarge" in recipe.model.model_fields_set:
        return recipe
    enlarge = recipe.data.size if LARGEST_SMALL < side < recipe.data.size else None
    if begun is not None:
        enlarge = begun.config["recipe"]["model"].get("enlarge")
    if enlarge is None:
        return recipe
    if "train.progressive" not in overrides:
        recipe = _with(recipe, progressive=None)
    model = recipe.model.model_copy(update={"enlarge": enlarge})
    return recipe.model_copy(update={"model": model})


def decide(
    recipe: Recipe,
    splits: Splits,
    network: nn.Module,
    begun: Run | None,
    overrides: Mapping[str, Any],
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with `unfreeze` decided, and why; a run that was begun keeps what it decided.

    Its epochs are those of the `overrides`, unless the same `time_limit` has decided them.

    With up to `FEW` images, the last layer alone is trained. With more, all layers are, for as many epochs as
    fit `time_limit` by the measured time of a step, the recipe's at most.
    """
    config = recipe.train
    if config.unfreeze != "auto":
        return recipe, ()
    if begun is not None and begun.config["recipe"]["train"].get("unfreeze") != "auto":
        own = begun.config["recipe"]["train"]
        limited = config.time_limit is not None and config.time_limit == own.get("time_limit")
        asked = "train.epochs" in overrides and not limited
        epochs = config.epochs if asked else own["epochs"]
        return _with(recipe, unfreeze=own["unfreeze"], epochs=epochs), ()
    images = len(splits.train)
    if images <= FEW:
        note = (
            f"{counted(images, 'training image', 'are')} few: the last layer alone is trained "
            "(--train.unfreeze all trains all layers)"
        )
        # Of folds, the first says it for all.
        return _with(recipe, unfreeze=None), () if recipe.data.fold else (note,)
    if config.time_limit is None:
        return _with(recipe, unfreeze="all"), (
            f"all layers are trained for {config.epochs} epochs, without a --train.time_limit",
        )
    forward, step = _seconds(network, splits.rule.size, recipe.train)
    head = forward * (len(VIEWS) * images + len(splits.val))
    epoch = step * images + forward * len(splits.val)
    epochs = min(config.epochs, int((config.time_limit - head) / epoch))
    limit = f"of --train.time_limit {config.time_limit:g} s"
    warmup = getattr(config.schedule_options, "warmup", None) or 0
    if epochs < FEWEST_EPOCHS or epochs <= warmup:
        note = f"the last layer alone is trained: an epoch of all layers takes about {epoch:,.0f} s {limit}"
        return _with(recipe, unfreeze=None), (note,)
    note = (
        f"the last layer is trained for about {head:,.0f} s, then all layers for {epochs} epochs of about "
        f"{epoch:,.0f} s, {limit}"
    )
    return _with(recipe, unfreeze="all", epochs=epochs), (note,)


def fit_last_layer(
    state: TrainState, splits: Splits, config: TrainConfig, amp: torch.dtype | None
) -> Iterator[Progress | Note | Epoch]:
    """Fits the last layer to features of the frozen network; the `Epoch` that it yields is number 0."""
    clock = time.monotonic()
    network, train, val = state.network, splits.train, splits.val
    frozen = FrozenFeatures(network, splits.rule, VIEWS, amp)
    yield from frozen.compute(train, "features of train")
    yield from frozen.compute(val, "features of val")
    features, labels = frozen.read(train), torch.from_numpy(train.labels)
    classes = len(train.classes)
    weights = balanced_weights(train.labels, classes) if config.class_weights else None
    layer = cast(nn.Linear, network.get_submodule(last_layer(network)))
    bias: nn.Parameter | None = layer.bias
    groups = None if train.groups is None else numbered(train.groups)
    head = fit_head(
        features, labels, classes, weights=weights, groups=groups, bias=bias is not None
    )
    scale = logit_scale(network, classes, splits.rule.size)
    with torch.no_grad():
        layer.weight.copy_(head.weight / scale)
        if bias is not None:
            bias.copy_(head.bias / scale)
    if state.average is not None:
        state.average = start_average(network)
    learned = _answers(head, features, train)
    state.progress.loss_sum = score("loss", learned) * len(train)
    state.progress.correct = score("accuracy", learned) * len(train)
    state.progress.seen = len(train)
    answers = _answers(head, frozen.read(val), val)
    metrics = {name: score(name, answers) for name in config.validated}
    yield close_epoch(state.progress, 0, config, metrics, config.better, time.monotonic() - clock)
    yield Note(_described(head))


def require_pretrained(config: TrainConfig, pretrained: bool) -> None:
    """Raises `UsageError` for `unfreeze` or `freeze` where nothing was trained before."""
    for name, asked in (("unfreeze", config.unfreeze != "all"), ("freeze", config.freeze)):
        if asked and not pretrained:
            raise UsageError(
                f"train.{name} has no effect on random weights: set model.weights, or --init MODEL"
            )


def _with(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=changes)})


def _seconds(network: nn.Module, side: int, config: TrainConfig) -> tuple[float, float]:
    """The seconds that an image takes forward, and in a training step, measured on a copy.

    With progressive resizing, the step is that of an image in the middle of the training. A batch for which
    memory runs out is halved, as in training.
    """
    device = pick_device(config.device)
    amp = pick_amp(config.amp, device)
    copied = place(copy.deepcopy(network), device).train()
    freeze_batch_norms(copied)
    if config.freeze is not None:
        freeze_blocks(copied, config.freeze)
    middle = side if config.progressive is None else progressive_side(side, config.progressive, 0.4)

    def timed(side: int, backward: bool, size: int) -> float:
        shape = (size, 3, side, side)
        x = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)
        for _ in range(2):  # the first also allocates
            start = time.monotonic()
            with (
                torch.set_grad_enabled(backward),
                torch.autocast(device.type, amp, enabled=amp is not None),
            ):
                loss = copied(x).float().square().mean()
            if backward:
                loss.backward()
            loss.item()  # waits for a GPU
        return (time.monotonic() - start) / len(x)

    size = -(-config.batch_size // (config.accumulate or 1))
    with deterministic(device, 0), memory_capped(device, config.device_memory):
        forward, _ = fitting_memory(copied, partial(timed, side, False), size, 0)
        step, _ = fitting_memory(copied, partial(timed, middle, True), size, 0)
    return forward, step


def _answers(head: Head, features: torch.Tensor, images: ImageSet) -> Predictions:
    logits = (features @ head.weight.T + head.bias).mean(1)
    return Predictions(logits.numpy(), images.labels, images.classes, images.ids)


def _described(head: Head) -> str:
    text = f"the last layer is fitted to frozen features, L2 penalty {head.penalty:g}"
    if head.accuracy is None:
        return f"{text} (too few images of a class to choose it by cross-validation)"
    return f"{text}: the best in a cross-validation within train, accuracy {head.accuracy:.1%}"
