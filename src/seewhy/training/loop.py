"""The training loop: forward, loss, backward, step, schedule, in one place."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn, optim

from seewhy.config.training import TrainConfig
from seewhy.events import Epoch, Note, Step
from seewhy.inference.device import device_of
from seewhy.training.averages import (
    BATCH_NORM_STEPS,
    Weights,
    averaged,
    fit_batch_norm,
    next_average,
    start_average,
)
from seewhy.training.batches import NETWORK, Batches, seed_of
from seewhy.training.guards import deterministic, memory_capped, reseed, take_peak_memory
from seewhy.training.hardest import Hardest
from seewhy.training.layers import (
    batch_norm_momentum,
    freeze_batch_norms,
    freeze_blocks,
    gradient_norms,
    set_dropout,
)
from seewhy.training.micro_batches import cut, fitting_memory
from seewhy.training.narrow_maps import SideBySide
from seewhy.training.objectives import Objective
from seewhy.training.optimisers import build_optimizer
from seewhy.training.progress import (
    TrainProgress,
    close_epoch,
    out_of_time,
    reason_to_stop,
    require_finite,
)
from seewhy.training.ranks import ALONE, Ranks
from seewhy.training.schedules import dropout_rate, lr_factor
from seewhy.training.shards import Computed, add_up, seed_of_shard

# Metrics of the network on the validation images, `loss` among them.
Validate = Callable[[nn.Module], Mapping[str, float]]

# Steps between two readings of the losses, by device: where the loop does not wait for each, it runs ahead.
READ_EVERY = {"cpu": 1, "cuda": 50, "mps": 50}


@dataclass
class TrainState:
    """The whole state of training: weights, optimiser, average, progress and the hardest images.

    `threads` is the number with which each step is computed; None: as many as PyTorch takes.
    """

    network: nn.Module
    optimizer: optim.Optimizer
    average: Weights | None
    progress: TrainProgress
    threads: int | None = None
    hardest: Hardest | None = None

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

    Losses are read together every `READ_EVERY` steps, and before an epoch's end; then the steps are yielded.
    A step for which memory runs out is done again in smaller micro-batches, and so are the later ones; a
    `Note` says so. The caller may stop at any yield and continue later with the same `state`, bit for bit.
    With several `ranks` each computes some shards of every batch, and all have the same state after it; the
    first alone validates. Global settings, such as random states, are set and restored within a step.
    `mode` says whether "max" or "min" is better. Raises `DivergedError` if a loss is not finite.
    """
    network, progress, threads = state.network, state.progress, state.threads
    compiled = cast(nn.Module, torch.compile(network)) if config.compile else network
    narrow = device.type == "cpu" and amp == torch.bfloat16 and not config.compile
    side_by_side = SideBySide() if narrow else None
    mixed = _in_precision(objective, device, amp)
    backward = partial(_backward, network, compiled, mixed, side_by_side)
    read_every = 1 if config.schedule == "range" else READ_EVERY[device.type]
    unread: list[_Unread] = []
    # Of a state that was loaded, by the rules of this recipe, which may allow more.
    progress.out_of_time = out_of_time(progress, config)
    progress.stopped = reason_to_stop(progress, config)
    while progress.stopped is None:
        if not unread:
            clock = time.monotonic()
        seed = seed_of(config.seed, NETWORK, progress.step)
        ended = batches.epochs_done(progress.step) > min(progress.epoch, config.epochs - 1)
        if ended or progress.out_of_time:
            progress.cut_short = not ended
            with deterministic(device, seed, threads), memory_capped(device, config.device_memory):
                metrics = ranks.of_first(partial(_validated, state, batches, config, validate))
            seconds, peak = ranks.agreed(time.monotonic() - clock), take_peak_memory(device)
            yield close_epoch(progress, progress.epoch + 1, config, metrics, mode, seconds, peak)
            continue

        size = progress.micro_batch or batches.most_at_once(config.accumulate)
        with deterministic(device, seed, threads), memory_capped(device, config.device_memory):
            shard = partial(_shard, network, backward, batches, progress.step, seed, size)
            unread.append(_step(state, batches, config, shard, ranks))

        fitted = unread[-1].done.fitted
        in_epoch = batches.epochs_done(progress.step) == progress.epoch
        if len(unread) < read_every and in_epoch and fitted == size:
            continue
        steps, unread = _read(progress, unread, batches.total_steps, clock), []
        progress.elapsed = ranks.agreed(progress.elapsed)
        progress.out_of_time = out_of_time(progress, config)
        if fitted < size:
            progress.micro_batch = fitted
            yield Note(_in_micro_batches(network, progress.step, fitted, batches.batch_size))
        yield from steps


@dataclass(frozen=True, eq=False)
class _Unread:
    """A step that is made, whose loss is still on the device; `images` are those of its batch."""

    done: Computed
    images: int
    lr: float
    norms: dict[str, float] | None


def _step(
    state: TrainState,
    batches: Batches,
    config: TrainConfig,
    shard: Callable[[int], Computed],
    ranks: Ranks,
) -> _Unread:
    """Makes a step: the gradients of all shards, the update, and the average of the weights."""
    network, progress = state.network, state.progress
    lr = _set_rates(state, batches, config)
    network.train()
    if config.freeze_batch_norm:
        freeze_batch_norms(network)
    state.optimizer.zero_grad()
    done = add_up(network, len(batches.cut(progress.step)), shard, ranks)
    due = config.gradient_norms and progress.step % config.gradient_norms == 0
    norms = gradient_norms(network) if due else None
    if config.clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
    state.optimizer.step()
    total = batches.total_steps
    state.average = next_average(state.average, network, config, progress.step, total)
    progress.step += 1
    return _Unread(done, batches.count(progress.step - 1), lr, norms)


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
    if batches.hardest is not None:
        batches.hardest.saw(batches.rows(step), logits, y)
    return Computed(loss, (logits.argmax(1) == y.argmax(1)).sum(), share, fitted)


def _backward(
    network: nn.Module,
    compiled: nn.Module,
    objective: Objective,
    side_by_side: SideBySide | None,
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
        with side_by_side if side_by_side and side_by_side.useful else nullcontext():
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


def _set_rates(state: TrainState, batches: Batches, config: TrainConfig) -> float:
    """Sets the rates of the step, of learning and of dropout; returns that of learning."""
    dropout = dropout_rate(config, batches.epochs_done(state.progress.step))
    if dropout is not None:
        set_dropout(state.network, dropout)
    images = state.progress.step * batches.batch_size
    epochs = images * config.epochs / batches.total_images  # a shorter epoch counts for less
    lr = config.lr * state.progress.plateau_factor * lr_factor(config, epochs)
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def _read(
    progress: TrainProgress, unread: Sequence[_Unread], total_steps: int, clock: float
) -> list[Step]:
    """Waits for the losses of the last steps, which began at `clock`, and counts them.

    Each step has an equal share of the seconds. Raises `DivergedError` if a loss is not finite.
    """
    losses = torch.stack([step.done.loss for step in unread]).tolist()
    corrects = torch.stack([step.done.correct for step in unread]).tolist()
    seconds = (time.monotonic() - clock) / len(unread)
    first = progress.step - len(unread)
    steps = []
    for number, (step, loss, correct) in enumerate(
        zip(unread, losses, corrects, strict=True), first
    ):
        require_finite(loss, number, step.lr)
        progress.loss_sum += loss * step.images
        progress.correct += correct
        progress.seen += step.images
        progress.elapsed += seconds
        if step.norms is not None:
            progress.gradient_norms.append({"step": number + 1, **step.norms})
        steps.append(
            Step(
                step=number + 1,
                total_steps=total_steps,
                epoch=progress.epoch + 1,
                loss=progress.loss_sum / progress.seen,
                accuracy=progress.correct / progress.seen,
                lr=step.lr,
                images_per_second=step.images / seconds,
                seconds=progress.elapsed,
                gradient_norms=step.norms,
            )
        )
    return steps
