"""Averages of the weights over steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def start_average(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's state, the start of an average."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """Updates the exponential moving average (Polyak & Juditsky 1992) of the network's state.

    Batch-norm statistics are averaged with the weights; counters are copied.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
        else:
            average[name].copy_(tensor)


@contextmanager
def averaged(network: nn.Module, average: dict[str, Tensor] | None) -> Iterator[None]:
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
