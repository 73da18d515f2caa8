"""What changes over a run, learning rate and dropout: pure functions of the progress."""

import math

from seewhy.config.training import TrainConfig

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4
RANGE_START = 1e-6


def lr_factor(config: TrainConfig, epochs: float) -> float:
    """The schedule's factor in [0, 1] after `epochs` (fractional) of `config.epochs`.

    cosine: Loshchilov & Hutter 2017, to `final_lr` or zero; one_cycle: Smith & Topin 2018, cosine up
    for 30% of the run and down to 1e-4; constant and plateau: 1 after the warm-up (plateau's own
    factor is state); range: exponentially from 1e-6 to 1, the range test of Smith 2017.
    """
    if config.schedule == "range":
        return RANGE_START ** (1 - epochs / config.epochs)
    if config.schedule == "one_cycle":
        return _one_cycle(epochs / config.epochs)
    if config.warmup is not None and epochs < config.warmup:
        return max(epochs / config.warmup, 1e-3)
    if config.schedule == "cosine":
        start = config.warmup or 0.0
        progress = (epochs - start) / (config.epochs - start)
        return _anneal(1.0, (config.final_lr or 0.0) / config.lr, progress)
    return 1.0


def dropout_rate(config: TrainConfig, epochs_done: int) -> float | None:
    """The rate of all dropout layers in the epoch that follows `epochs_done`; None: the net's own."""
    rates = config.dropout_schedule
    return None if rates is None else rates[epochs_done * len(rates) // config.epochs]


def _one_cycle(progress: float) -> float:
    if progress < ONE_CYCLE_RISE:
        return _anneal(ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE)
    return _anneal(1.0, ONE_CYCLE_END, (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
