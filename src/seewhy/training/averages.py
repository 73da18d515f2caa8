"""Averages of the weights over steps."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from seewhy.config.training import TrainConfig

Weights = dict[str, Tensor]

BATCH_NORM_STEPS = 64  # whose batches give an average's batch-norm statistics


def start_average(network: nn.Module) -> Weights:
    """A copy of the network's state, the start of an average."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def next_average(
    average: Weights | None, network: nn.Module, config: TrainConfig, step: int, total_steps: int
) -> Weights | None:
    """The average after the update of `step` (from 0), which is changed in place; None if there is none yet.

    `ema` averages exponentially, from the weights at the start on; `swa` takes the mean of the weights after
    each of the last steps (Izmailov 2018, arXiv:1803.05407, who average one set of weights an epoch).
    """
    if config.ema is not None:
        assert average is not None
        update_average(average, network, config.ema)
        return average
    if config.swa is None:
        return None
    first = swa_start(config.swa, total_steps)
    if step <= first or average is None:
        return start_average(network) if step >= first else None
    update_average(average, network, 1 - 1 / (step - first + 1))
    return average


def swa_start(share: float, total_steps: int) -> int:
    """The number of steps after which `swa` begins to average: those before its share, the last ones."""
    return total_steps - max(round(share * total_steps), 1)


def fit_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> Weights:
    """Sets batch norm's mean and variance to those over batches of images; returns the network's state.

    A mean of weights needs them: the mean of the running statistics is not that of the averaged network.
    """
    with torch.no_grad():
        update_bn(batches, network)
    return start_average(network)


@torch.no_grad()
def update_average(average: Weights, network: nn.Module, decay: float) -> None:
    """Updates the exponential moving average (Polyak & Juditsky 1992) of the network's state.

    Batch-norm statistics are averaged with the weights; counters are copied.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
        else:
            average[name].copy_(tensor)


@contextmanager
def averaged(network: nn.Module, average: Weights | None) -> Iterator[None]:
    """Gives the network the averaged weights within the block, and its own weights after it."""
    if average is None:
        yield
        return
    own = start_average(network)
    network.load_state_dict(average)
    try:
        yield
    finally:
        network.load_state_dict(own)
