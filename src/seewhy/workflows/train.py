"""Training, as a function that returns a finished run and as a generator of events."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.analysis import diagnostics
from seewhy.config.recipe import Recipe, load_recipe
from seewhy.config.training import TrainConfig
from seewhy.data import Data, Splits, load_data, write_bad_files, write_splits
from seewhy.data.sources import describe
from seewhy.errors import DivergedError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.metrics import by_name, metrics, require_metric, score
from seewhy.evaluation.predictions import Predictions
from seewhy.events import (
    Diagnostic,
    Epoch,
    Event,
    Note,
    OnEvent,
    RunFinished,
    RunStarted,
    StoredEvent,
    ignore,
)
from seewhy.files import require_space, require_writable
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.device import pick_amp, pick_device, place
from seewhy.inference.forward import predict
from seewhy.inference.locate import find_model
from seewhy.models.registry import Network, build, name_of
from seewhy.run import Run, new_run, require_same, resumable_run, writing
from seewhy.training.batches import WEIGHTS, Batches, seed_of
from seewhy.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from seewhy.training.guards import (
    as_exception,
    compiler_named,
    memory_named,
    stopping_signals,
)
from seewhy.training.layers import check_layers
from seewhy.training.loop import TrainState
from seewhy.training.loop import train as training_loop
from seewhy.training.objectives import balanced_weights, cross_entropy
from seewhy.workflows.evaluate import colour_diagnostics, store


def train(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    model: nn.Module | None = None,
    on_event: OnEvent = ignore,
) -> Run:
    """Trains a classifier by a recipe and returns its finished run directory. Never opens the test split.

    `data` is a path, a name or data in memory, as `load_data` accepts. `overrides` sets recipe fields by
    dotted name, such as `{"train.epochs": 5}`. `resume` continues the run in `out` (or the newest of this
    recipe), bit for bit as if it had not been interrupted; `init` fine-tunes a bundle, whose classes are
    matched by name; `model` is a custom network. `on_event` receives all events.

    Ctrl-C and SIGTERM save a checkpoint and raise `KeyboardInterrupt` or `SystemExit(143)`. Raises a
    `SeeWhyError` for errors that the user can fix.
    """
    with training_events(
        data,
        recipe,
        out=out,
        overrides=overrides,
        resume=resume,
        init=init,
        model=model,
        on_event=on_event,
    ) as events:
        for event in events:
            on_event(event)
            if isinstance(event, RunFinished):
                run = Run(Path(event.path))
    return run


@contextmanager
def training_events(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    model: nn.Module | None = None,
    on_event: OnEvent = ignore,
) -> Iterator[Iterator[Event]]:
    """A training as a generator of events; the run is locked during the block.

    Takes the parameters of `train`; `on_event` receives only the events of reading the data, which comes
    first. An `Epoch` is yielded when its checkpoint is on disk; the last event is `RunFinished`. A run whose
    block is left earlier can be resumed. Raises as `train` does.
    """
    chosen = load_recipe(recipe, overrides)
    require_writable(Path("runs") if out is None else Path(out))
    start = bundles.load(find_model(init), model=model) if init is not None else None
    if start is not None:
        chosen = _recipe_for(chosen, start)
    splits = load_data(data, chosen.data, on_event=on_event, rule=start.rule if start else None)
    require_metric(chosen.train.monitor, splits.classes)
    network = _build(chosen, splits, start, model)
    check_layers(network, chosen.train)
    target = None if out is None else Path(out)
    run = (resumable_run if resume else new_run)(target, chosen.name)
    config = {
        "recipe": chosen.model_dump(mode="json"),
        "data": describe(data),
        "data_fingerprint": splits.fingerprint,
        "init": start.digest if start else None,
    }
    with writing(run):
        if run.started:
            require_same(run, config, {"recipe": Recipe().model_dump(mode="json")})
        job = _Job(chosen, splits, network, run, pick_device(chosen.train.device), start)
        with closing(_events(job, config, resume)) as events:
            yield events


@dataclass(frozen=True)
class _Job:
    """The inputs of one training."""

    recipe: Recipe
    splits: Splits
    network: nn.Module
    run: Run
    device: torch.device
    start: Bundle | None

    def predict_val(
        self, network: nn.Module, views: Sequence[str], amp: torch.dtype | None = None
    ) -> Predictions:
        size = self.splits.rule.size
        return predict(
            network, self.splits.val, size=size, views=views, device=self.device, amp=amp
        )


def _events(job: _Job, config: Mapping[str, Any], resume: bool) -> Generator[Event, None, None]:
    """The events of a training, from its first file to its bundle."""
    run, splits, recipe = job.run, job.splits, job.recipe
    if run.finished:
        yield _finished(run, "nothing to resume")
        return
    with memory_named(recipe.train.batch_size):
        started = RunStarted(str(run.path), recipe.train.epochs, recipe.train.monitor)
        initial: list[StoredEvent] = [*map(Note, splits.notes), started]
        yield from initial
        _write_start(run, config, splits)
        diagnosed = diagnostics.in_labels(splits.train.labels, splits.classes, recipe.train)
        mean = job.network.mean.numpy() if isinstance(job.network, Network) else None
        diagnosed += colour_diagnostics(mean, splits.train)
        yield from _logged(run, diagnosed)
        place(job.network, job.device)
        state = TrainState.start(job.network, recipe.train)
        _require_space(state, run, recipe.train)
        checkpoint = latest_checkpoint(run.checkpoints) if resume else None
        if checkpoint is None:
            state.progress.events_length = run.add_events([*initial, *diagnosed], 0)
        else:
            differs = load_checkpoint(state, checkpoint)
            resumed = Note(differs or f"resumed at step {state.progress.step:,}")
            yield resumed
            length = state.progress.events_length
            state.progress.events_length = run.add_events([resumed], length)
        yield from _fit(job, state)
        yield from _finish(job, state.progress.events_length)


def _logged(run: Run, diagnosed: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Writes the diagnostics to the run's log, and returns them."""
    for diagnostic in diagnosed:
        run.log(diagnostic.text)
    return diagnosed


def _fit(job: _Job, state: TrainState) -> Iterator[Event]:
    """Runs the training loop and saves checkpoints."""
    config, run, progress = job.recipe.train, job.run, state.progress
    batches = _batches(job)
    weights = None
    if config.class_weights:
        labels = job.splits.train.labels
        weights = balanced_weights(labels, len(job.splits.classes)).to(job.device)
    amp = pick_amp(config.amp, job.device)
    chance = diagnostics.chance(job.splits.train.labels, config)
    steps = len(job.splits.train) // config.batch_size

    def save() -> None:
        save_checkpoint(state, run.checkpoints)
        run.write_history(progress.history, progress.gradient_norms)

    saved = time.monotonic()
    with stopping_signals() as received, _kept_named(run), compiler_named():
        for event in training_loop(
            state,
            batches,
            cross_entropy(config.label_smoothing, weights),
            config,
            validate=partial(_validate, job, amp),
            mode=job.recipe.train.better,
            device=job.device,
            amp=amp,
        ):
            diagnosed: Sequence[Diagnostic] = ()
            if isinstance(event, Epoch):
                diagnosed = _logged(run, diagnostics.in_history(progress.history, chance, steps))
                length = progress.events_length
                progress.events_length = run.add_events([event, *diagnosed], length)
            if isinstance(event, Epoch) or time.monotonic() - saved > config.checkpoint_seconds:
                save()
                saved = time.monotonic()
            yield event
            yield from diagnosed
            if received:
                save()
                run.log(f"stopped by signal {received[0]} at step {progress.step}")
                raise as_exception(received.pop(0))
    run.write_history(progress.history, progress.gradient_norms)
    run.log(progress.stopped or "")
    if config.keep == "best":
        best = run.checkpoints / f"step-{progress.best_step}"
        job.network.load_state_dict(load_weights(best))
    elif state.average is not None:
        job.network.load_state_dict(state.average)


def _batches(job: _Job) -> Batches:
    config = job.recipe.train
    return Batches(
        images=job.splits.train,
        size=job.splits.rule.size,
        batch_size=config.batch_size,
        epochs=config.epochs,
        seed=config.seed,
        augmentation=job.recipe.augment,
        sampling=config.sampling,
    )


@contextmanager
def _kept_named(run: Run) -> Iterator[None]:
    """Adds the last good checkpoint to a `DivergedError`."""
    try:
        yield
    except DivergedError as error:
        error.kept = latest_checkpoint(run.checkpoints) or "none yet"
        raise


def _finish(job: _Job, events_length: int | None) -> Iterator[Event]:
    """Measures the weights as stored on validation, and writes the bundle last."""
    network = place(bundles.rounded(job.network), job.device)
    predictions = job.predict_val(network, job.recipe.views)
    predictions = replace(predictions, temperature=fit_temperature(predictions))
    measured = metrics(predictions, "val")
    store(job.run, measured, predictions, job.splits)
    collapsed = _logged(job.run, collapse(measured.confusion, measured.classes))
    progress = job.run.history
    bundle = Bundle(
        network=network,
        classes=job.splits.classes,
        rule=job.splits.rule,
        decision=Decision(temperature=predictions.temperature),
        views=job.recipe.views,
        facts={
            "recipe": job.recipe.model_dump(mode="json"),
            "epochs": len(progress),
            "seconds": round(progress[-1]["seconds"], 1),
            "train_pictures": len(job.splits.train),
            "val_accuracy": float((predictions.predicted == predictions.labels).mean()),
        },
        fingerprint=job.splits.fingerprint,
        parents=(job.start.digest,) if job.start else (),
    )
    finished = _finished(job.run)
    job.run.add_events([*collapsed, finished], events_length)
    bundles.save(bundle, job.run.model)
    yield from collapsed
    yield finished


def _finished(run: Run, note: str = "") -> RunFinished:
    metric = run.config["recipe"]["train"]["monitor"]
    value = by_name(run.metrics["val"]).get(metric, nan)
    return RunFinished(str(run.path), metric, value, run.history[-1]["seconds"], note=note)


def _validate(job: _Job, amp: torch.dtype | None, network: nn.Module) -> dict[str, float]:
    """The metrics of an epoch: one TTA view, in the precision of the training, to be fast."""
    predictions = job.predict_val(network, job.recipe.views[:1], amp)
    names = dict.fromkeys(("loss", "accuracy", "balanced_accuracy", job.recipe.train.monitor))
    return {name: score(name, predictions) for name in names}


def _build(
    recipe: Recipe, splits: Splits, start: Bundle | None, model: nn.Module | None
) -> nn.Module:
    """The network before the first step, on the CPU."""
    if model is not None:
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


def _recipe_for(recipe: Recipe, start: Bundle) -> Recipe:
    """The recipe with the network of the bundle to fine-tune."""
    if not isinstance(start.network, Network):
        return recipe
    arguments = start.network.arguments
    options = {k: v for k, v in arguments.items() if k not in ("num_classes", "size")}
    model = recipe.model.model_validate({"name": name_of(start.network), **options})
    return recipe.model_copy(update={"model": model})


def _weights_by_name(
    start: Bundle, network: Network, classes: tuple[str, ...]
) -> dict[str, Tensor]:
    """The bundle's weights for `network`: last-layer rows by class name, new classes initialised."""
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
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


def _write_start(run: Run, config: Mapping[str, Any], splits: Splits) -> None:
    write_splits(splits, run.path / "splits.csv")
    write_bad_files(splits.bad, run.path / "bad_files.csv")
    run.write_environment()
    run.write_config(config)
    for note in splits.notes:
        run.log(note)


def _require_space(state: TrainState, run: Run, config: TrainConfig) -> None:
    """Raises `DiskFullError` unless four checkpoints fit: the newest two, the best, one being written."""
    weights = sum(t.numel() * t.element_size() for t in state.network.state_dict().values())
    copies = 1 + config.optimiser_options.tensors_kept + (state.average is not None)
    require_space(run.path, 4 * copies * weights, "training")
