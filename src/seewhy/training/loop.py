"""The training loop: forward, loss, backward, step, schedule, in one place."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn, optim

from seewhy.config.schedules import Plateau
from seewhy.config.training import TrainConfig
from seewhy.errors import DivergedError
from seewhy.events import Epoch, Step
from seewhy.training.averages import averaged, start_average, update_average
from seewhy.training.batches import NETWORK, Batches, seed_of
from seewhy.training.guards import deterministic
from seewhy.training.layers import freeze_batch_norms, gradient_norms, set_dropout
from seewhy.training.objectives import Objective
from seewhy.training.optimisers import build_optimizer
from seewhy.training.schedules import dropout_rate, lr_factor

# Metrics of the network on the validation images, `loss` among them.
Validate = Callable[[nn.Module], Mapping[str, float]]


@dataclass
class TrainProgress:
    """The state of a run except tensors; stored as JSON in a checkpoint.

    `events_length` is the length of the run's events.jsonl in bytes; None if the run has no such file.
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

    @property
    def epoch(self) -> int:
        """The number of epochs done; that in which the last layer was fitted to frozen features is 0."""
        return int(self.history[-1]["epoch"]) if self.history else 0


@dataclass
class TrainState:
    """The whole state of training: weights, optimiser, average and progress."""

    network: nn.Module
    optimizer: optim.Optimizer
    average: dict[str, Tensor] | None
    progress: TrainProgress

    @classmethod
    def start(cls, network: nn.Module, config: TrainConfig) -> "TrainState":
        average = start_average(network) if config.ema is not None else None
        return cls(network, build_optimizer(network, config), average, TrainProgress())


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
) -> Iterator[Step | Epoch]:
    """Trains until the last epoch, the patience or the time limit, and yields every step and epoch.

    The caller may stop at any yield and continue later with the same `state`, bit for bit. Global settings,
    such as random states, are set and restored within a step. `mode` is "max" or "min", the better
    direction of `config.monitor`. Raises `DivergedError` if a loss is not finite.
    """
    network, progress = state.network, state.progress
    # The compiled network takes full batches only: compiling again for a short last one is too slow.
    whole = cast(nn.Module, torch.compile(network)) if config.compile else network
    # Of a state that was loaded, by the rules of this recipe, which may allow more.
    progress.out_of_time = _out_of_time(progress, config)
    progress.stopped = reason_to_stop(progress, config)
    while progress.stopped is None:
        clock = time.monotonic()
        seed = seed_of(config.seed, NETWORK, progress.step)
        if batches.epochs_done(progress.step) > progress.epoch or progress.out_of_time:
            with deterministic(device, seed), averaged(network, state.average):
                metrics = validate(network)
            yield close_epoch(progress, progress.epoch + 1, config, metrics, mode, clock)
            continue

        with deterministic(device, seed):
            x, y = batches(progress.step)
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            lr = _set_lr(state, batches, config)
            rate = dropout_rate(config, batches.epochs_done(progress.step))
            if rate is not None:
                set_dropout(network, rate)

            network.train()
            if config.freeze_batch_norm:
                freeze_batch_norms(network)
            with torch.autocast(device.type, amp) if amp else nullcontext():
                loss, logits = objective(whole if len(y) == batches.batch_size else network, x, y)
            state.optimizer.zero_grad()
            loss.backward()
            norms = None
            if config.gradient_norms is not None and progress.step % config.gradient_norms == 0:
                norms = gradient_norms(network)
            if config.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            state.optimizer.step()
            if state.average is not None and config.ema is not None:
                update_average(state.average, network, config.ema)

        _require_finite(loss.item(), progress.step, lr)
        done = _count_step(progress, batches, loss, logits, y, lr, clock, norms)
        progress.out_of_time = _out_of_time(progress, config)
        yield done


def _set_lr(state: TrainState, batches: Batches, config: TrainConfig) -> float:
    epochs = state.progress.step * batches.batch_size / len(batches.images)
    lr = config.lr * state.progress.plateau_factor * lr_factor(config, epochs)
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def _count_step(
    progress: TrainProgress,
    batches: Batches,
    loss: Tensor,
    logits: Tensor,
    y: Tensor,
    lr: float,
    clock: float,
    norms: dict[str, float] | None,
) -> Step:
    progress.loss_sum += loss.item() * len(y)
    progress.correct += (logits.argmax(1) == y.argmax(1)).sum().item()
    progress.seen += len(y)
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
        images_per_second=len(y) / seconds,
        seconds=progress.elapsed,
        gradient_norms=norms,
    )


def close_epoch(
    progress: TrainProgress,
    number: int,
    config: TrainConfig,
    metrics: Mapping[str, float],
    mode: str,
    clock: float,
) -> Epoch:
    """Adds an epoch that is validated to the history; whatever was done since `clock` counts to it."""
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
    progress.elapsed += time.monotonic() - clock
    epoch = Epoch(
        epoch=number,
        lr=lr,
        train_loss=progress.loss_sum / max(progress.seen, 1),
        train_accuracy=progress.correct / max(progress.seen, 1),
        validation=dict(metrics),
        best=is_best,
        seconds=progress.elapsed,
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
    if config.unfreeze == "none" and progress.history:
        return "the last layer is fitted; the others stay frozen"
    if progress.epoch >= config.epochs:
        return "all epochs done"
    if config.patience is not None and progress.stale >= config.patience:
        return f"no better {config.monitor} for {config.patience} epochs"
    return None


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
