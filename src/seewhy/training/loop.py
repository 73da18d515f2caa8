"""The training loop: forward, loss, backward, step, schedule, in one place."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn, optim

from seewhy.config.schedules import Plateau
from seewhy.config.training import TrainConfig
from seewhy.errors import DivergedError
from seewhy.events import Epoch, Note, Step
from seewhy.inference.device import device_of
from seewhy.text import counted
from seewhy.training.averages import (
    Weights,
    averaged,
    fit_batch_norm,
    next_average,
    start_average,
    swa_start,
)
from seewhy.training.batches import NETWORK, Batches, seed_of
from seewhy.training.guards import deterministic, memory_capped, reseed, take_peak_memory
from seewhy.training.layers import (
    batch_norm_momentum,
    freeze_batch_norms,
    freeze_blocks,
    gradient_norms,
    set_dropout,
)
from seewhy.training.micro_batches import cut, fitting_memory
from seewhy.training.objectives import Objective
from seewhy.training.optimisers import build_optimizer
from seewhy.training.ranks import ALONE, Ranks
from seewhy.training.schedules import dropout_rate, lr_factor
from seewhy.training.shards import Computed, add_up, seed_of_shard

# Metrics of the network on the validation images, `loss` among them.
Validate = Callable[[nn.Module], Mapping[str, float]]

BATCH_NORM_STEPS = 64  # whose batches give an average's batch-norm statistics


@dataclass
class TrainProgress:
    """The state of a run except tensors; stored as JSON in a checkpoint.

    `events_length` is the length of the run's events.jsonl in bytes; None if the run has no such file.
    `micro_batch` is the number of images of a micro-batch since memory ran out; None: as the recipe says.
    """

    step: int = 0
    elapsed: float = 0.0
    loss_sum: float = 0.0
    correct: float = 0.0
    seen: int = 0
    best_epoch: int = 0
    best_step: int = 0
    best_value: float | None = None
    stale: int = 0
    plateau_factor: float = 1.0
    plateau_stale: int = 0
    out_of_time: bool = False
    stopped: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    gradient_norms: list[dict[str, float]] = field(default_factory=list)
    events_length: int | None = None
    micro_batch: int | None = None

    @property
    def epoch(self) -> int:
        """The number of epochs done; that in which the last layer was fitted to frozen features is 0."""
        return int(self.history[-1]["epoch"]) if self.history else 0


@dataclass
class TrainState:
    """The whole state of training: weights, optimiser, average and progress.

    `threads` is the number with which each step is computed; None: as many as PyTorch takes.
    """

    network: nn.Module
    optimizer: optim.Optimizer
    average: Weights | None
    progress: TrainProgress
    threads: int | None = None

    @classmethod
    def start(
        cls, network: nn.Module, config: TrainConfig, threads: int | None = None
    ) -> "TrainState":
        average = start_average(network) if config.ema is not None else None
        if config.freeze is not None:
            freeze_blocks(network, config.freeze)
        optimizer = build_optimizer(network, config)
        return cls(network, optimizer, average, TrainProgress(), threads)


def train(
    state: TrainState,
    batches: Batches,
    objective: Objective,
    config: TrainConfig,
    *,
    validate: Validate,
    mode: str,
    device: torch.device,
    amp: torch.dtype | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[Step | Epoch | Note]:
    """Trains until the last epoch, the patience or the time limit, and yields every step and epoch.

    A step for which memory runs out is done again in smaller micro-batches, and so are the later ones; a
    `Note` says so. The caller may stop at any yield and continue later with the same `state`, bit for bit.
    With several `ranks` each computes some shards of every batch, and all have the same state after it; the
    first alone validates. Global settings, such as random states, are set and restored within a step.
    `mode` is "max" or "min", the better direction of `config.monitor`. Raises `DivergedError` if a loss is
    not finite.
    """
    network, progress, threads = state.network, state.progress, state.threads
    compiled = cast(nn.Module, torch.compile(network)) if config.compile else network
    backward = partial(_backward, network, compiled, _in_precision(objective, device, amp))
    # Of a state that was loaded, by the rules of this recipe, which may allow more.
    progress.out_of_time = _out_of_time(progress, config)
    progress.stopped = reason_to_stop(progress, config)
    while progress.stopped is None:
        clock = time.monotonic()
        seed = seed_of(config.seed, NETWORK, progress.step)
        if batches.epochs_done(progress.step) > progress.epoch or progress.out_of_time:
            with deterministic(device, seed, threads), memory_capped(device, config.device_memory):
                metrics = ranks.of_first(partial(_validated, state, batches, config, validate))
            seconds, peak = ranks.agreed(time.monotonic() - clock), take_peak_memory(device)
            yield close_epoch(progress, progress.epoch + 1, config, metrics, mode, seconds, peak)
            continue

        with deterministic(device, seed, threads), memory_capped(device, config.device_memory):
            lr = _set_rates(state, batches, config)
            _set_training_mode(network, config)
            state.optimizer.zero_grad()
            size = progress.micro_batch or batches.most_at_once(config.accumulate)
            shard = partial(_shard, network, backward, batches, progress.step, seed, size)
            done = add_up(network, len(batches.cut(progress.step)), shard, ranks)
            due = config.gradient_norms and progress.step % config.gradient_norms == 0
            norms = gradient_norms(network) if due else None
            if config.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            state.optimizer.step()
            total = batches.total_steps
            state.average = next_average(state.average, network, config, progress.step, total)

        _require_finite(done.loss.item(), progress.step, lr)
        event = _count_step(progress, batches, done, lr, clock, norms)
        progress.elapsed = ranks.agreed(progress.elapsed)
        progress.out_of_time = _out_of_time(progress, config)
        if done.fitted < size:
            progress.micro_batch = done.fitted
            yield Note(_in_micro_batches(network, progress.step, done.fitted, batches.batch_size))
        yield event


def _validated(
    state: TrainState,
    batches: Batches,
    config: TrainConfig,
    validate: Validate,
) -> Mapping[str, float]:
    """The metrics of the averaged weights, where there are some; those of SWA get their own batch norm.

    Batch norms that are frozen keep their statistics.
    """
    network, step = state.network, state.progress.step
    with averaged(network, state.average):
        if config.swa is not None and state.average is not None and not config.freeze_batch_norm:
            latest = range(max(step - BATCH_NORM_STEPS, 0), step)
            images = (batches(number)[0].to(device_of(network)) for number in latest)
            state.average = fit_batch_norm(network, images)
        return validate(network)


def _in_precision(objective: Objective, device: torch.device, amp: torch.dtype | None) -> Objective:
    """The objective, computed in the number format `amp` where there is one."""
    if amp is None:
        return objective

    def mixed(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, amp):
            return objective(model, x, y)

    return mixed


def _shard(
    network: nn.Module,
    backward: Callable[..., tuple[Tensor, Tensor]],
    batches: Batches,
    step: int,
    seed: int,
    size: int,
    shard: int,
) -> Computed:
    """Adds the gradients of a shard of the batch of `step`, by its share of the images, to the network's."""
    device = device_of(network)
    seed = seed_of_shard(seed, shard)
    reseed(device, seed)
    x, y = (part.to(device, non_blocking=True) for part in batches.at(step, shard))
    share = len(y) / batches.count(step)
    (loss, logits), fitted = fitting_memory(network, partial(backward, x, y, share), size, seed)
    return Computed(loss, (logits.argmax(1) == y.argmax(1)).sum(), share, fitted)


def _backward(
    network: nn.Module,
    compiled: nn.Module,
    objective: Objective,
    x: Tensor,
    y: Tensor,
    whole: float,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Adds up the gradients of a shard, `whole` of its batch, in micro-batches of `size`.

    Returns its mean loss, times `whole`, and its logits.
    """
    losses, outputs = [], []
    for part_x, part_y, share in cut(x, y, size):
        share *= whole
        # The compiled network takes whole micro-batches only: compiling again for others is too slow.
        loss, logits = objective(compiled if len(part_y) == size else network, part_x, part_y)
        (loss * share).backward()
        losses.append(loss.detach() * share)
        outputs.append(logits.detach())
    return torch.stack(losses).sum(), torch.cat(outputs)


def _in_micro_batches(network: nn.Module, step: int, fitted: int, batch: int) -> str:
    text = (
        f"no memory left for step {step:,}: from this step on, a batch is computed in micro-batches of "
        f"{fitted} images, whose gradients add up to those of all {batch}"
    )
    if batch_norm_momentum(network) is None:
        return text
    return text + "; batch-norm statistics are now those of a micro-batch"


def _set_training_mode(network: nn.Module, config: TrainConfig) -> None:
    network.train()
    if config.freeze_batch_norm:
        freeze_batch_norms(network)


def _set_rates(state: TrainState, batches: Batches, config: TrainConfig) -> float:
    """Sets the rates of the step, of learning and of dropout; returns that of learning."""
    dropout = dropout_rate(config, batches.epochs_done(state.progress.step))
    if dropout is not None:
        set_dropout(state.network, dropout)
    epochs = state.progress.step * batches.batch_size / len(batches.images)
    lr = config.lr * state.progress.plateau_factor * lr_factor(config, epochs)
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def _count_step(
    progress: TrainProgress,
    batches: Batches,
    done: Computed,
    lr: float,
    clock: float,
    norms: dict[str, float] | None,
) -> Step:
    images = batches.count(progress.step)
    progress.loss_sum += done.loss.item() * images
    progress.correct += done.correct.item()
    progress.seen += images
    progress.step += 1
    if norms is not None:
        progress.gradient_norms.append({"step": progress.step, **norms})
    seconds = time.monotonic() - clock
    progress.elapsed += seconds
    return Step(
        step=progress.step,
        total_steps=batches.total_steps,
        epoch=progress.epoch + 1,
        loss=progress.loss_sum / progress.seen,
        accuracy=progress.correct / progress.seen,
        lr=lr,
        images_per_second=images / seconds,
        seconds=progress.elapsed,
        gradient_norms=norms,
    )


def close_epoch(
    progress: TrainProgress,
    number: int,
    config: TrainConfig,
    metrics: Mapping[str, float],
    mode: str,
    seconds: float,
    peak_memory: int | None = None,
) -> Epoch:
    """Adds an epoch that is validated to the history; `seconds` are those since its last step."""
    metrics = {name: math.nan if score is None else score for name, score in metrics.items()}
    value = metrics[config.monitor]
    lr = config.lr * progress.plateau_factor * lr_factor(config, number) if number else 0.0
    _require_finite(metrics["loss"], progress.step, lr)
    improved, equal = _compare(value, progress.best_value, mode)
    best = next((row for row in progress.history if row["epoch"] == progress.best_epoch), None)
    is_best = improved or (best is not None and equal and metrics["loss"] < best["val_loss"])
    if is_best:
        progress.best_value, progress.best_epoch, progress.best_step = value, number, progress.step
    if improved:
        progress.stale = progress.plateau_stale = 0
    else:
        progress.stale += 1
        progress.plateau_stale += 1
    schedule = config.schedule_options
    if isinstance(schedule, Plateau) and progress.plateau_stale >= schedule.plateau_patience:
        progress.plateau_factor *= schedule.plateau_factor
        progress.plateau_stale = 0
    progress.elapsed += seconds
    epoch = Epoch(
        epoch=number,
        lr=lr,
        train_loss=progress.loss_sum / max(progress.seen, 1),
        train_accuracy=progress.correct / max(progress.seen, 1),
        validation=metrics,
        best=is_best,
        seconds=progress.elapsed,
        peak_memory=peak_memory,
    )
    progress.history.append(epoch.row())
    progress.loss_sum, progress.correct, progress.seen = 0.0, 0.0, 0
    progress.stopped = reason_to_stop(progress, config)
    return epoch


def reason_to_stop(progress: TrainProgress, config: TrainConfig) -> str | None:
    """Why a training ends after its last epoch, by the rules of its recipe; None if it goes on."""
    if progress.seen:  # in the middle of an epoch
        return None
    if _out_of_time(progress, config):
        return f"time limit of {config.time_limit:g} s reached"
    if config.unfreeze is None and progress.history:
        return "the last layer is fitted; the others stay frozen"
    if progress.epoch >= config.epochs:
        return "all epochs done"
    if config.patience is not None and progress.stale >= config.patience:
        return f"no better {config.monitor} for {counted(config.patience, 'epoch')}"
    return None


def notes_on_swa(progress: TrainProgress, config: TrainConfig, total_steps: int) -> list[str]:
    """A line where the weights that a finished training keeps are not those that `swa` averages."""
    if config.swa is None or config.unfreeze is None:  # then no step is made
        return []
    start = swa_start(config.swa, total_steps)
    begins = f"averaging begins after step {start:,} of {total_steps:,}"
    if progress.step <= start:
        ended = f"the training ended after step {progress.step:,}"
        return [f"swa: no weights were averaged, since {begins} and {ended}: raise --train.swa"]
    if config.keep == "best" and progress.best_step <= start:
        best = f"the best epoch, {progress.best_epoch}, ended at step {progress.best_step:,}"
        return [
            f"swa: the weights kept are no mean, since {begins} and {best}: --train.keep last keeps it"
        ]
    return []


def _out_of_time(progress: TrainProgress, config: TrainConfig) -> bool:
    return progress.elapsed > (config.time_limit or math.inf)


def _compare(value: float, best: float | None, mode: str) -> tuple[bool, bool]:
    """Whether a metric is better than the best so far, and whether it is equal but for rounding."""
    if best is None or math.isnan(best):
        return True, False
    if math.isclose(value, best, rel_tol=1e-9, abs_tol=1e-12):
        return False, True
    return (value > best if mode == "max" else value < best), False


def _require_finite(loss: float, step: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss}", step, lr)
