"""A step in micro-batches, whose gradients add up to those of the batch in less memory."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from seewhy.errors import MemoryLimitError, first_line, out_of_memory
from seewhy.inference.device import device_of
from seewhy.training.batches import LEAST
from seewhy.training.guards import reseed

Result = TypeVar("Result")


def cut(x: Tensor, y: Tensor, size: int) -> list[tuple[Tensor, Tensor, float]]:
    """Cuts a batch into equal parts of at most `size` images, each with its share of the images.

    A part has no image alone, and so one more where `size` is 1 or 2.
    """
    parts = min(-(-len(y) // size), len(y) // LEAST) or 1
    pairs = zip(x.tensor_split(parts), y.tensor_split(parts), strict=True)
    return [(part_x, part_y, len(part_y) / len(y)) for part_x, part_y in pairs]


def fitting_memory(
    network: nn.Module, backward: Callable[[int], Result], size: int, seed: int
) -> tuple[Result, int]:
    """Calls `backward` with the size of a micro-batch, half as large whenever memory runs out.

    Returns its result and the size that fitted. A failed attempt leaves no trace: batch-norm statistics,
    gradients and random numbers are those from before it. Raises `MemoryLimitError` if the smallest size
    does not fit either.
    """
    buffers = [buffer.clone() for buffer in network.buffers()]
    while True:
        try:
            return backward(size), size
        except Exception as error:
            if not out_of_memory(error):
                raise
            if size <= LEAST:
                raise MemoryLimitError(first_line(error), size) from None
        # Here the exception is gone, and with it the activations that its traceback held.
        size = max(LEAST, size // 2)
        for buffer, before in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(before)
        network.zero_grad()
        device = device_of(network)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        reseed(device, seed)
