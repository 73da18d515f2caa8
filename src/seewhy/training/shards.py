"""A batch in shards that are computed one by one, or by several processes, to the same bits.

Each shard starts from the same weights and running statistics, with random numbers of its own. What the
shards give is added up in their order, whoever computed them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seewhy.training.batches import NETWORK, seed_of
from seewhy.training.ranks import Ranks


@dataclass(frozen=True, eq=False)
class Computed:
    """What computing a shard, or a whole batch, gives beside gradients and running statistics.

    loss: the mean loss, times the share of the batch's images.
    correct: the number of images classified correctly.
    share: the share of the batch's images.
    fitted: the largest size of a micro-batch that fits into memory.
    """

    loss: Tensor
    correct: Tensor
    share: float
    fitted: int


def seed_of_shard(seed: int, shard: int) -> int:
    """The seed of a shard's dropout, by that of the step, which is that of the first shard."""
    return seed if shard == 0 else seed_of(seed, NETWORK, shard)


def add_up(
    network: nn.Module, shards: int, compute: Callable[[int], Computed], ranks: Ranks
) -> Computed:
    """Computes all shards of a batch, here or shared among ranks, which all get the same.

    `compute` adds the gradients of a shard, by its share of the batch, to those of the network. Afterwards
    the network has the sum of all gradients, and the mean of the running statistics of all shards.
    Buffers that are neither floats nor counters, such as masks, are those of the last shard.
    """
    if shards == 1 and ranks.world == 1:
        return compute(0)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    statistics = [b for b in network.buffers() if b.is_floating_point() or b.dtype == torch.int64]
    before = [buffer.clone() for buffer in statistics]
    parts: list[Tensor] = []
    for first in range(0, shards, ranks.world):
        shard = first + ranks.rank
        network.zero_grad()
        for buffer, value in zip(statistics, before, strict=True):
            buffer.copy_(value)
        done = compute(shard) if shard < shards else None  # ranks beyond the last shard wait
        own = _vector(weights, statistics, before, done)
        parts += ranks.gathered(own)[: shards - first]
    total = sum(parts[1:], parts[0])
    tensors = iter(total.split([one.numel() for one in (*weights, *before)] + [3]))
    for weight in weights:
        weight.grad = torch.empty_like(weight).copy_(next(tensors).view(weight.shape))
    for buffer, value in zip(statistics, before, strict=True):
        change = next(tensors).view(value.shape)
        buffer.copy_(value + (change if value.is_floating_point() else change.round()))
    loss, correct, _ = next(tensors)
    return Computed(loss, correct, 1.0, int(min(part[-1].item() for part in parts)))


def _change(now: Tensor, before: Tensor) -> Tensor:
    """The difference; of values that stayed it is zero, also of infinite ones."""
    return (now - before).masked_fill(now == before, 0)


def _vector(
    weights: Sequence[Tensor],
    buffers: Sequence[Tensor],
    before: Sequence[Tensor],
    done: Computed | None,
) -> Tensor:
    """What a shard adds to its batch, as one vector: gradients, changes of statistics, three numbers."""
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    share = 0.0 if done is None else done.share
    changes = [share * _change(now, value) for now, value in zip(buffers, before, strict=True)]
    numbers = (0, 0, 0) if done is None else (done.loss, done.correct, done.fitted)
    three = torch.tensor(numbers, device=weights[0].device)
    return torch.cat([tensor.detach().reshape(-1) for tensor in (*gradients, *changes, three)])
