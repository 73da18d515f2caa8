"""Schedules of the learning rate and of dropout: pure functions of the progress.

A schedule returns the factor in [0, 1] of the learning rate after `epochs` (fractional) of `config.epochs`;
its options are a record in `config/schedules.py`.
"""

import math
from collections.abc import Callable
from typing import Any

from seewhy.config.schedules import Cosine, Falling, Linear, OneCycle, Plateau, Range, Warmed
from seewhy.config.training import TrainConfig
from seewhy.text import counted

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4
RANGE_START = 1e-6


def constant(options: Warmed, config: TrainConfig, epochs: float) -> float:
    """1 after the warm-up; the loop lowers the rate at a plateau, as that factor is part of its state."""
    if options.warmup is not None and epochs < options.warmup:
        return max(epochs / options.warmup, 1e-3)
    return 1.0


def cosine(options: Falling, config: TrainConfig, epochs: float) -> float:
    """Half a cosine after the warm-up, to `final_lr` or zero."""
    return _fallen(_anneal, options, config, epochs)


def linear(options: Falling, config: TrainConfig, epochs: float) -> float:
    """A straight line after the warm-up, to `final_lr` or zero."""
    return _fallen(_straight, options, config, epochs)


def _fallen(
    fall: Callable[[float, float, float], float],
    options: Falling,
    config: TrainConfig,
    epochs: float,
) -> float:
    start = options.warmup or 0.0
    if epochs < start:
        return constant(options, config, epochs)
    progress = (epochs - start) / (config.epochs - start)
    return fall(1.0, (options.final_lr or 0.0) / config.lr, progress)


def one_cycle(options: OneCycle, config: TrainConfig, epochs: float) -> float:
    """Half a cosine up for 30% of the run, then half a cosine down to 1e-4."""
    progress = epochs / config.epochs
    if progress < ONE_CYCLE_RISE:
        return _anneal(ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE)
    return _anneal(1.0, ONE_CYCLE_END, (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))


def rising(options: Range, config: TrainConfig, epochs: float) -> float:
    """Exponentially from 1e-6 to 1."""
    return RANGE_START ** (1 - epochs / config.epochs)


SCHEDULES: dict[str, Callable[[Any, TrainConfig, float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "one_cycle": one_cycle,
    "plateau": constant,
    "range": rising,
}


def in_words(config: TrainConfig) -> str:
    """What the learning rate does over the run; empty where it stays the same."""
    match config.schedule_options:
        case Cosine(final_lr=end):
            return f"half a cosine from {config.lr:g} to {end or 0:g}"
        case Linear(final_lr=end):
            return f"a straight line from {config.lr:g} to {end or 0:g}"
        case OneCycle():
            peak = round(ONE_CYCLE_RISE * config.epochs, 1)
            return f"up to {config.lr:g} at epoch {peak:g}, then down to almost 0"
        case Plateau(plateau_factor=factor, plateau_patience=patience):
            epochs = counted(patience, "epoch")
            return f"times {factor:g} after {epochs} without a better {config.monitor}"
        case Range():
            return f"up to {config.lr:g}"
    return ""


def lr_factor(config: TrainConfig, epochs: float) -> float:
    """The schedule's factor in [0, 1] after `epochs` (fractional) of `config.epochs`."""
    return SCHEDULES[config.schedule](config.schedule_options, config, epochs)


def dropout_rate(config: TrainConfig, epochs_done: int) -> float | None:
    """The rate of all dropout layers in the epoch that follows `epochs_done`; None: the network's own."""
    rates = config.dropout_schedule
    return None if rates is None else rates[epochs_done * len(rates) // config.epochs]


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


def _straight(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress
