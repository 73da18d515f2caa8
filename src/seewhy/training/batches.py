"""The batch source: the augmented images of step t with their soft targets.

Everything is a function of (seed, step), so a run can be resumed at any step, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seewhy.augment import augment
from seewhy.config.augment import AugmentConfig
from seewhy.data import ImageSet

# Independent streams of random numbers.
ORDER, AUGMENT, NETWORK, WEIGHTS, POLICY = range(5)


def seed_of(seed: int, stream: int, index: int) -> int:
    """A 63-bit seed for one purpose, independent of all others (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence([seed, stream, index]).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a training set, by step number.

    The shuffled orders of all epochs are concatenated and cut into batches, so a batch may span two
    epochs, only the last can be short, and no image is left out. `size` is the network's input side.
    """

    images: ImageSet
    size: int
    batch_size: int
    epochs: int
    seed: int
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    sampling: Literal["balanced"] | None = None

    @cached_property
    def _order(self) -> Callable[[int], np.ndarray]:
        """The order of an epoch; a batch needs those of two."""
        order = partial(_order, self.images.labels, self.sampling, self.seed)
        return lru_cache(maxsize=2)(order)

    @property
    def total_steps(self) -> int:
        return -(-self.epochs * len(self.images) // self.batch_size)

    def epochs_done(self, step: int) -> int:
        """The number of epochs that are complete after `step` steps."""
        return min(step * self.batch_size, self.epochs * len(self.images)) // len(self.images)

    def rows(self, step: int) -> np.ndarray:
        """Rows of the training set in the batch of `step`."""
        count, first = len(self.images), step * self.batch_size
        positions = np.arange(first, min(first + self.batch_size, self.epochs * count))
        epochs, places = np.divmod(positions, count)
        parts = [self._order(int(e))[places[epochs == e]] for e in np.unique(epochs)]
        return np.concatenate(parts)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of `step`: x (B, 3, size, size) floats in [0, 1], targets (B, K) summing to 1."""
        rows = self.rows(step)
        images = torch.from_numpy(np.ascontiguousarray(self.images.images[rows]))
        labels = torch.from_numpy(self.images.labels[rows])
        targets = torch.nn.functional.one_hot(labels, len(self.images.classes)).float()
        generator, policy = (
            torch.Generator().manual_seed(seed_of(self.seed, stream, step))
            for stream in (AUGMENT, POLICY)
        )
        return augment(images, targets, self.size, self.augmentation, generator, policy)


def _order(labels: np.ndarray, sampling: str | None, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: a permutation of the rows, or as many rows with classes equally often."""
    rng = np.random.default_rng(seed_of(seed, ORDER, epoch))
    count = len(labels)
    if sampling is None:
        return rng.permutation(count)
    classes = np.unique(labels)
    share = -(-count // len(classes))
    drawn = []
    for label in classes:
        rows = np.flatnonzero(labels == label)
        rounds = [rng.permutation(rows) for _ in range(-(-share // len(rows)))]
        drawn.append(np.concatenate(rounds)[:share])
    return rng.permutation(np.concatenate(drawn))[:count]
