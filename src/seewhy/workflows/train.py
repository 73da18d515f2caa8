"""Training, as a function that returns a finished run and as a generator of events."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seewhy.analysis import diagnostics
from seewhy.config.training import TrainConfig
from seewhy.data import Data, write_bad_files, write_splits
from seewhy.errors import DiskFullError, DivergedError, RankError
from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.headline import headline
from seewhy.evaluation.metrics import by_name, metrics, score
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
from seewhy.files import require_space, to_json
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.device import pick_amp, place
from seewhy.models.registry import Network
from seewhy.run import Run, writing
from seewhy.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    remove_older,
    save_checkpoint,
)
from seewhy.training.environment import restarted
from seewhy.training.guards import (
    as_exception,
    compiler_named,
    memory_held_back,
    memory_named,
    stopping_signals,
)
from seewhy.training.hardest import Hardest
from seewhy.training.layers import batch_norm_momentum
from seewhy.training.loop import TrainState
from seewhy.training.loop import train as training_loop
from seewhy.training.progress import TrainProgress, notes_on_swa
from seewhy.training.ranks import joined
from seewhy.training.schedules import in_words, lr_factor
from seewhy.workflows.environment import write_environment
from seewhy.workflows.evaluate import colour_diagnostics, store
from seewhy.workflows.prepare import Job
from seewhy.workflows.repair import rewritten
from seewhy.workflows.request import Request, check_resumable, is_finished, model_epochs
from seewhy.workflows.steps import batches_of, objective_of, parents_of, training_facts
from seewhy.workflows.together import follow, hand_out, prepare_together
from seewhy.workflows.transfer import fit_last_layer


def train(
    data: Data | None = None,
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    model: nn.Module | None = None,
    on_event: OnEvent = ignore,
) -> Run:
    """Trains a classifier by a recipe and returns its finished run directory. Never opens the test split.

    `data` is a path, a name or data in memory, as `load_data` accepts ["cifar10"], `recipe` a name or a file
    [the one that suits the images]. `overrides` sets recipe fields by dotted name, such as
    `{"train.epochs": 5}`. `init` fine-tunes a bundle, whose classes are matched by name, by its own recipe if
    none is named; `model` is a custom network, by `thumbnails` then. `on_event` receives all events.

    `resume` continues the run in `out` (or the newest of this recipe), bit for bit as if it had not been
    interrupted, by its own recipe and data where none are named; without any of these, the one unfinished run
    in the working directory or its `runs/`. A finished run goes on if `overrides` gives
    more `train.epochs` (`patience`, `time_limit`): its learning-rate schedule then spans all of them, and
    its model is replaced at the end and kept in `epochs-N/`.

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
        run: Run | None = None
        try:
            for event in events:
                on_event(event)
                if isinstance(event, RunStarted | RunFinished):
                    run = Run(event.path)
        except (DiskFullError, RankError) as error:
            if run is not None:
                error.resume = run.resume_command
            raise
    assert run is not None
    return run


@contextmanager
def training_events(
    data: Data | None = None,
    recipe: str | Path | None = None,
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
    block is left earlier can be resumed, at the step where it was left. Raises as `train` does.
    """
    resume = resume or restarted()
    request = Request(data, recipe, out, overrides, resume, init, model)
    with joined() as ranks:
        with memory_named():
            job = prepare_together(request, on_event, ranks)
        with nullcontext() if ranks.rank else writing(job.run):
            if job.run.started and not ranks.rank:
                check_resumable(job.run, job.recipe, job.config)
            with closing(follow(job) if ranks.rank else _events(job, resume)) as events:
                yield events


def _events(job: Job, resume: bool) -> Generator[Event, None, None]:
    """The events of a training, from its first file to its bundle."""
    run, splits, recipe = job.run, job.splits, job.recipe
    if is_finished(run, recipe.train):
        again = rewritten(job)
        yield _finished(run, "; ".join(["nothing to resume", *again]))
        return
    with memory_named(recipe.train.batch_size):
        _write_start(job)
        config = recipe.train
        epochs = 0 if config.unfreeze is None else config.epochs
        started = RunStarted(
            str(run.path),
            epochs,
            config.monitor,
            keep=config.keep,
            schedule=in_words(config),
            patience=config.patience,
        )
        initial: list[StoredEvent] = [*map(Note, job.notes), started]
        yield from initial
        diagnosed = diagnostics.at_start(splits.train.counts, splits.classes, config)
        mean = job.network.mean.numpy() if isinstance(job.network, Network) else None
        diagnosed += colour_diagnostics(mean, splits.train)
        yield from _logged(run, diagnosed)
        place(job.network, job.device)
        state = TrainState.start(job.network, config, job.threads)
        state.hardest = Hardest.start(config, len(job.splits.train), job.device)
        _require_space(state, run, config)
        checkpoint = latest_checkpoint(run.checkpoints) if resume else None
        if checkpoint is None:
            state.progress.events_length = run.add_events([*initial, *diagnosed], 0)
        else:
            differs = load_checkpoint(state, checkpoint)
            remove_older(run.checkpoints, state.progress)  # if it was killed before it could
            resumed = Note(differs or f"resumed at step {state.progress.step:,}")
            stored: list[StoredEvent] = [resumed]
            yield resumed
            if run.finished and model_epochs(run) == state.progress.epoch:
                longer = Note(_trained_on(state.progress, config))
                yield longer
                stored += [longer, started, *diagnosed]
            length = state.progress.events_length
            state.progress.events_length = run.add_events(stored, length)
        yield from _fit(job, state)
        yield from _finish(job, state.progress.events_length)


def _trained_on(progress: TrainProgress, config: TrainConfig) -> str:
    """What happens to the learning rate of a finished run that is given more epochs."""
    done, before = progress.epoch, progress.history[-1]["lr"]
    if done >= config.epochs:
        return (
            f"goes on in epoch {done}, which the time limit had ended; its rest is epoch {done + 1}"
        )
    after = config.lr * progress.plateau_factor * lr_factor(config, done)
    text = f"goes on after epoch {done}, to epoch {config.epochs}"
    if after == before:
        return text
    return (
        f"{text}: the {config.schedule} schedule now spans all of them, so the learning rate goes on at "
        f"{after:.2g}, where it had ended at {before:.2g}"
    )


def _logged(run: Run, diagnosed: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Writes the diagnostics to the run's log, and returns them."""
    for diagnostic in diagnosed:
        run.log(diagnostic.text)
    return diagnosed


def _fit(job: Job, state: TrainState) -> Iterator[Event]:
    """Runs the training loop and saves checkpoints."""
    config, run, progress = job.recipe.train, job.run, state.progress
    amp = pick_amp(config.amp, job.device)
    counts = job.splits.train.counts, job.splits.val.counts
    setting = diagnostics.Setting.of(*counts, config, batch_norm_momentum(job.network))

    def save() -> None:
        save_checkpoint(state, run.checkpoints)
        run.write_history(progress.history, progress.gradient_norms)

    _record_micro_batch(job, progress)
    saved, batches = time.monotonic(), batches_of(job, state.hardest)
    trained: Iterator[Event] = training_loop(
        state,
        batches,
        objective_of(job),
        config,
        validate=partial(_validate, job, amp),
        mode=job.recipe.train.better,
        device=job.device,
        amp=amp,
        ranks=job.ranks,
    )
    with (
        stopping_signals() as received,
        _advised(run, config),
        compiler_named(),
        memory_held_back(),
    ):
        for event in chain(_before_steps(job, state, amp), trained):
            diagnosed: Sequence[Diagnostic] = ()
            if isinstance(event, Epoch):
                diagnosed = _logged(run, diagnostics.in_history(progress.history, setting))
                length = progress.events_length
                progress.events_length = run.add_events([event, *diagnosed], length)
            if isinstance(event, Note):
                run.log(event.text)
                progress.events_length = run.add_events([event], progress.events_length)
                _record_micro_batch(job, progress)
            if (
                isinstance(event, Epoch | Note)
                or time.monotonic() - saved > config.checkpoint_seconds
            ):
                save()
                saved = time.monotonic()
            try:
                yield event
                yield from diagnosed
            except GeneratorExit:  # the consumer leaves; the epoch so far is kept
                with suppress(DivergedError):  # then the last good checkpoint stays
                    save()
                raise
            if job.ranks.stop_now(received):
                save()
                run.log(f"stopped by signal {received[0]} at step {progress.step}")
                raise as_exception(received.pop(0))
    run.write_history(progress.history, progress.gradient_norms)
    run.log(progress.stopped or "")
    yield from _keep_weights(job, state, batches.total_steps)


def _before_steps(job: Job, state: TrainState, amp: torch.dtype | None) -> Iterator[Event]:
    """Fits the last layer, where that comes first; then gives all ranks the state."""
    if job.starts_with_last_layer and not state.progress.history:
        yield from fit_last_layer(state, job.splits, job.recipe.train, amp)
    yield from hand_out(state, job.ranks)


def _keep_weights(job: Job, state: TrainState, total_steps: int) -> Iterator[Note]:
    """Gives the network the weights that the recipe keeps; notes where they are none that `swa` averaged."""
    config, run, progress = job.recipe.train, job.run, state.progress
    for note in notes_on_swa(progress, config, total_steps):
        run.log(note)
        progress.events_length = run.add_events([Note(note)], progress.events_length)
        yield Note(note)
    if config.keep == "best":
        best = run.checkpoints / f"step-{progress.best_step}"
        job.network.load_state_dict(load_weights(best, job.network))
    elif state.average is not None:
        job.network.load_state_dict(state.average)


def _record_micro_batch(job: Job, progress: TrainProgress) -> None:
    """Stores the size of a micro-batch in the run, once memory has run out; a checkpoint has it too."""
    if progress.micro_batch is not None:
        job.run.write_config({**job.config, "micro_batch": progress.micro_batch})


@contextmanager
def _advised(run: Run, config: TrainConfig) -> Iterator[None]:
    """Adds the last good checkpoint, and the learning rate to lower, to a `DivergedError`."""
    try:
        yield
    except DivergedError as error:
        error.highest_lr = config.lr
        error.kept = latest_checkpoint(run.checkpoints) or "none yet"
        raise


def _finish(job: Job, events_length: int | None) -> Iterator[Event]:
    """Measures the weights as stored on validation, and writes the bundle last."""
    network = place(bundles.rounded(job.network), job.device)
    predictions = job.predict_val(network, job.recipe.views)
    predictions = replace(predictions, temperature=fit_temperature(predictions))
    measured = metrics(predictions, "val")
    if job.run.finished:  # it was trained on
        job.run.set_aside(model_epochs(job.run))
    store(job.run, measured, predictions, job.splits)
    collapsed = _logged(job.run, collapse(measured.confusion, measured.classes))
    history = job.run.history
    bundle = Bundle(
        network=network,
        classes=job.splits.classes,
        rule=job.splits.rule,
        decision=Decision(temperature=predictions.temperature),
        views=job.recipe.views,
        facts={
            **training_facts(job),
            "epochs": int(history[-1]["epoch"]),
            "seconds": round(history[-1]["seconds"], 1),
            "val_accuracy": float((predictions.predicted == predictions.labels).mean()),
            "metrics": {"val": headline(to_json(measured)).model_dump(mode="json")},
        },
        fingerprint=job.splits.fingerprint,
        parents=parents_of(job),
    )
    finished = _finished(job.run)
    job.run.add_events([*collapsed, finished], events_length)
    bundles.save(bundle, job.run.model)
    yield from collapsed
    yield finished


def _finished(run: Run, note: str = "") -> RunFinished:
    metric = run.config["recipe"]["train"]["monitor"]
    if "val" not in run.metrics:
        raise run.lacks("metrics.json", "has no metrics of val")
    history = run.history
    if not history:
        raise run.lacks("history.csv", "has no epoch")
    value = by_name(run.metrics["val"]).get(metric, nan)
    return RunFinished(str(run.path), metric, value, history[-1]["seconds"], note=note)


def _validate(job: Job, amp: torch.dtype | None, network: nn.Module) -> dict[str, float]:
    """The metrics of an epoch: one TTA view, in the precision of the training, to be fast."""
    predictions = job.predict_val(network, job.recipe.views[:1], amp)
    return {name: score(name, predictions) for name in job.recipe.train.validated}


def _write_start(job: Job) -> None:
    run, splits = job.run, job.splits
    write_splits(splits, run.path / "splits.csv")
    write_bad_files(splits.bad, run.path / "bad_files.csv")
    write_environment(run)
    run.write_config(job.config)
    for note in job.notes:
        run.log(note)


def _require_space(state: TrainState, run: Run, config: TrainConfig) -> None:
    """Raises `DiskFullError` unless four checkpoints fit: the newest two, the best, one being written."""
    weights = sum(t.numel() * t.element_size() for t in state.network.state_dict().values())
    averages = config.ema is not None or config.swa is not None
    copies = 1 + config.optimiser_options.tensors_kept + averages
    require_space(run.path, 4 * copies * weights, "training")
