"""Training on the hardest images alone, once the network knows the others.

An image is as hard as its loss was when it was last trained on, so that no pass over the images is needed to
find the hardest (Loshchilov & Hutter 2015, arXiv:1511.06343).
"""

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seewhy.config.training import TrainConfig
from seewhy.training.averages import BATCH_NORM_STEPS


@dataclass(frozen=True, eq=False)
class Hardest:
    """From the epoch `first` on, from 0, each epoch takes the `count` hardest images.

    `losses`, float32 (N,), are those of each image when it was last trained on. What an epoch takes is chosen
    when its first batch is asked for, and is then `chosen`: rows in ascending order, by epoch. The last
    `kept` of them stay known.
    """

    first: int
    count: int
    kept: int
    losses: Tensor
    chosen: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, config: TrainConfig, images: int, device: torch.device) -> Self | None:
        """What a training starts with; None if the recipe takes all images always."""
        if config.hardest is None:
            return None
        losses = torch.full((images,), torch.inf, device=device)
        count = config.hardest_of(images)
        steps = (
            BATCH_NORM_STEPS if config.swa is not None else 1
        )  # whose images are asked for again
        kept = 1 + math.ceil(steps * config.batch_size / count)
        return cls(config.first_hardest, count, kept, losses)

    def rows(self, epoch: int) -> NDArray[np.int64]:
        """The rows of an epoch, the hardest of all."""
        if epoch not in self.chosen:
            hardest_first = np.argsort(-self.losses.cpu().numpy(), kind="stable")
            self.chosen[epoch] = torch.from_numpy(np.sort(hardest_first[: self.count]))
            for before in sorted(self.chosen)[: -self.kept]:
                del self.chosen[before]
        return self.chosen[epoch].numpy()

    def saw(self, rows: NDArray[np.int64], logits: Tensor, targets: Tensor) -> None:
        """Notes the losses of a batch: its rows, logits (B, K) and soft targets (B, K)."""
        losses = -(targets * logits.float().log_softmax(1)).sum(1)
        self.losses[torch.from_numpy(rows).to(losses.device)] = losses
