"""What a training starts from: its recipe, images, network and run directory, new or to be resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.config.input_rule import Interpolation
from seewhy.config.recipe import Recipe, load_recipe, make_recipe
from seewhy.data import Data, Splits, load_data
from seewhy.data.sources import describe
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import require_metric
from seewhy.evaluation.predictions import Predictions
from seewhy.events import OnEvent, ignore
from seewhy.files import require_writable
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.container import read_header
from seewhy.inference.device import pick_device
from seewhy.inference.forward import predict
from seewhy.inference.locate import find_model
from seewhy.models.pretrained import Weights, fill, last_layer, read_weights
from seewhy.models.registry import Network, build, name_of
from seewhy.run import BEFORE, Run, new_run, require_same, resumable_run, runs_here, started_run
from seewhy.text import counted
from seewhy.training.batches import WEIGHTS, seed_of
from seewhy.training.checkpoint import latest_checkpoint, load_progress
from seewhy.training.layers import batch_norm_momentum, check_layers, check_sides, notes_on_network
from seewhy.training.loop import reason_to_stop
from seewhy.training.reference import Reference
from seewhy.workflows.fine_tuning import require_own_classes, what_is_kept
from seewhy.workflows.suited import DATA, suited_recipe
from seewhy.workflows.transfer import decide, require_pretrained

IN_MEMORY = "in memory: "  # how `describe` names data that no path leads to
# What may differ in a finished run that is trained on: the fields that end a training.
ENDS = ("recipe.train.epochs", "recipe.train.patience", "recipe.train.time_limit")


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
    notes: tuple[str, ...]

    @property
    def starts_with_last_layer(self) -> bool:
        """Whether the last layer is fitted to frozen features before other layers are trained."""
        recipe = self.recipe
        return recipe.train.unfreeze is None or recipe.model.weights is not None

    def predict_val(
        self, network: nn.Module, views: Sequence[str], amp: torch.dtype | None = None
    ) -> Predictions:
        size = self.splits.rule.size
        return predict(
            network, self.splits.val, size=size, views=views, device=self.device, amp=amp
        )


def prepare(request: Request, on_event: OnEvent) -> Job:
    """Reads recipe, images and network, and makes the run directory, or finds the one to resume.

    What the request does not name is that of the run to resume. Nothing is written before all of it is read.
    """
    begun = _begun(request)
    alone = begun is not None and request.recipe is None
    if begun is not None and alone:
        chosen = make_recipe(begun.config["recipe"], request.overrides, f"of {begun.path}")
    else:
        chosen = load_recipe(_named(request, on_event), request.overrides)
        chosen = chosen if begun is None else _with_own_rule(chosen, begun, request.overrides or {})
    init = (
        _own_init(begun) if begun is not None and alone and request.init is None else request.init
    )
    home = "runs" if request.out is None else request.out
    require_writable(begun.path if begun is not None else Path(home))
    start = None if init is None else bundles.load(find_model(init), model=request.model)
    if start is not None:
        chosen = _fine_tuned(chosen, start, request.overrides or {}, begun)
    weights = _pretrained(chosen) if request.model is None else None
    if weights is not None:
        chosen = _resized_as(chosen, weights.card.interpolation)
    data = _own_data(begun) if request.data is None else request.data
    rule = start.rule if start else None
    splits = load_data(data, chosen.data, on_event=on_event, rule=rule)
    chosen, notes = _fitting(chosen, len(splits.train), begun)
    require_metric(chosen.train.monitor, splits.classes)
    device = _device(chosen)
    require_pretrained(chosen.train, start is not None or chosen.model.weights is not None)
    network = _build(chosen, splits, start, request.model)
    if weights is not None and isinstance(network, Network):
        notes += (fill(network, weights, chosen.model.name),)
    check_layers(network, chosen.train)
    notes = (*notes, *notes_on_network(network, chosen.train))
    check_sides(network, chosen.train, splits.rule.size)
    teacher, judge = (_reference(chosen, splits, name) for name in ("teacher", "difficulty"))
    chosen, decided = decide(chosen, splits, network, begun)
    notes = (*notes, *decided)
    if start is not None:
        notes = (*notes, *what_is_kept(str(init), start, splits))
    notes = (*splits.notes, *notes, *_technique_notes(chosen, splits, network, teacher, judge))
    target = None if request.out is None else Path(request.out)
    run = begun or (resumable_run if request.resume else new_run)(target, chosen.name)
    config = {
        "recipe": chosen.model_dump(mode="json"),
        "data": describe(data),
        "data_fingerprint": splits.fingerprint,
        "init": start.digest if start else None,
        "weights": weights.sha256 if weights else None,
        "init_model": None if init is None else str(init),
        "teacher": teacher.digests if teacher else None,
        "difficulty": judge.digests if judge else None,
    }
    return Job(chosen, splits, network, run, device, start, teacher, judge, config, notes)


def _technique_notes(
    recipe: Recipe,
    splits: Splits,
    network: nn.Module,
    teacher: Reference | None,
    judge: Reference | None,
) -> list[str]:
    """What a user must know of the techniques that a recipe uses."""
    notes, train = [], recipe.train
    if train.accumulate is not None and batch_norm_momentum(network) is not None:
        size = -(-train.batch_size // train.accumulate)
        notes.append(
            f"accumulate: batch-norm statistics are those of micro-batches of {size} images"
        )
    for option, model in (("teacher", teacher), ("difficulty", judge)):
        if model is not None:
            notes.append(f"{option}: {model.note(splits.rule.size)}")
    return notes


def _reference(recipe: Recipe, splits: Splits, option: str) -> Reference | None:
    """The model that a field of the training section names."""
    name = getattr(recipe.train, option)
    return None if name is None else Reference.load(name, splits.classes, f"train.{option}")


def check_resumable(job: Job) -> None:
    """Raises `UsageError` naming the first setting in which a started run differs from the job.

    A finished run that has its checkpoint may be trained on: its `ENDS` may differ, if they allow more.
    """
    run = job.run
    defaults = {"recipe": Recipe().model_dump(mode="json")}
    checkpoint = latest_checkpoint(run.checkpoints)
    before = _own_recipe(run).train
    if checkpoint is None or not is_finished(run, before):
        require_same(run, job.config, defaults)
        return
    require_same(run, job.config, defaults, free=ENDS)
    ends = [name.rpartition(".")[2] for name in ENDS]
    reason = reason_to_stop(load_progress(checkpoint), job.recipe.train)
    if reason and any(getattr(before, name) != getattr(job.recipe.train, name) for name in ends):
        raise UsageError(
            f"{run.path} has {counted(len(run.history), 'epoch')}, and these settings would not "
            f"have trained it longer "
            f"({reason}): give more --epochs, --train.patience or --train.time_limit"
        )


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


def _named(request: Request, on_event: OnEvent) -> str | Path:
    """The recipe that was asked for, or that suits the data."""
    if request.recipe is not None:
        return request.recipe
    if request.init is not None or request.model is not None:
        return "fast"
    return suited_recipe(request.data, request.overrides, on_event)


def _begun(request: Request) -> Run | None:
    """The run to resume, if it has its settings; None for a new one."""
    if not request.resume:
        return None
    out = None if request.out is None else Path(request.out)
    known = request.recipe or request.data is None
    name = load_recipe((request.recipe or "fast") if known else _named(request, ignore)).name
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


def _own_recipe(run: Run) -> Recipe:
    return make_recipe(run.config["recipe"], None, f"of {run.path}")


def _own_data(begun: Run | None) -> Data:
    """The data of the run to resume, or those of a new one."""
    if begun is None:
        return DATA
    data = begun.data
    if data.startswith(IN_MEMORY):
        raise UsageError(f"{begun.path} was trained on data {data}: give them again as data=")
    return data


def _own_init(begun: Run) -> str | None:
    """The model from which the run to resume was fine-tuned."""
    config = begun.config
    if config.get("init") and not config.get("init_model"):
        raise UsageError(
            f"{begun.path} was fine-tuned from the model {config['init'][:12]}: name its file with --init"
        )
    name: str | None = config.get("init_model")
    return name


def _with_own_rule(recipe: Recipe, begun: Run, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with the input rule of the run to resume: a new default binds new runs only."""
    own = begun.config["recipe"]["data"]
    kept = {name: own[name] for name in BEFORE if f"data.{name}" not in overrides}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=kept)})


def _fine_tuned(
    recipe: Recipe, start: Bundle, overrides: Mapping[str, Any], begun: Run | None
) -> Recipe:
    """The recipe with the network and the input rule of the bundle to fine-tune.

    A run that stored another size, when sizes were not yet taken over, keeps it. Raises `UsageError` for an
    override that would have no effect.
    """
    update: dict[str, Any] = {}
    depth = "range" if start.rule.depth else "upper_byte"
    if begun is None:
        own = {"size": start.rule.size, "fit": start.rule.fit, "depth": depth}
        update["data"] = recipe.data.model_copy(update=own)
    elif begun.config["recipe"]["data"]["size"] != recipe.data.size:
        update["data"] = recipe.data.model_copy(update={"size": start.rule.size})
    if isinstance(start.network, Network):
        arguments = start.network.arguments
        options = {k: v for k, v in arguments.items() if k not in ("num_classes", "size")}
        update["model"] = recipe.model.model_validate({"name": name_of(start.network), **options})
    tuned = recipe.model_copy(update=update)
    for name in overrides:
        section, _, field = name.rpartition(".")
        taken_over = section == "model" and "model" in update
        if not taken_over and name not in ("data.size", "data.fit", "data.depth"):
            continue
        own, now = (getattr(getattr(one, section), field) for one in (recipe, tuned))
        if own != now:
            raise UsageError(
                f"{name}={own} has no effect with --init: the model to fine-tune has {now}; leave it out"
            )
    return tuned


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


def _resized_as(recipe: Recipe, interpolation: Interpolation) -> Recipe:
    """The recipe with images resized as those that the pretrained weights have seen, unless it says how."""
    if recipe.data.interpolation is not None or interpolation == "bicubic":
        return recipe
    data = recipe.data.model_copy(update={"interpolation": interpolation})
    return recipe.model_copy(update={"data": data})


def _fitting(recipe: Recipe, images: int, begun: Run | None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with a batch of no more images than there are; a run begun with a larger one keeps it."""
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
    train = recipe.train.model_copy(update={"batch_size": images})
    return recipe.model_copy(update={"train": train}), (note,)


def _build(
    recipe: Recipe, splits: Splits, start: Bundle | None, model: nn.Module | None
) -> nn.Module:
    """The network before the first step, on the CPU."""
    if model is not None:
        if start is not None:
            require_own_classes(start, splits)
        return start.network if start else model
    size, classes = splits.rule.size, splits.classes
    options = recipe.model.options.model_dump()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(recipe.train.seed, WEIGHTS, 0))
        network = build(recipe.model.name, num_classes=len(classes), size=size, **options)
    if start is None:
        network.fit_input(splits.train.images)
    else:
        network.load_state_dict(_weights_by_name(start, network, classes))
    return network


def _weights_by_name(
    start: Bundle, network: Network, classes: tuple[str, ...]
) -> dict[str, Tensor]:
    """The bundle's weights for `network`: last-layer rows by class name, new classes initialised."""
    last = last_layer(network)
    old, new = start.network.state_dict(), network.state_dict()
    shared = [name for name in classes if name in start.classes]
    targets = [classes.index(name) for name in shared]
    rows = [start.classes.index(name) for name in shared]
    for name in new:
        if name.rpartition(".")[0] == last:
            new[name][targets] = old[name][rows]
        else:
            new[name] = old[name]
    return new
