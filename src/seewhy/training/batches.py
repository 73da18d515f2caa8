"""The batch source: the augmented images of step t with their soft targets.

Everything is a function of (seed, step), so a run can be resumed at any step, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seewhy.augment import augment
from seewhy.config.augment import AugmentConfig
from seewhy.data import ImageSet
from seewhy.training.curriculum import Curriculum
from seewhy.training.hardest import Hardest

# Independent streams of random numbers.
ORDER, AUGMENT, NETWORK, WEIGHTS, POLICY, FLIP = range(6)

LEAST = 2  # images of a shard or a micro-batch: of a single one, batch norm may have no statistics
FULL_AFTER = 0.75  # share of the epochs after which images have their full side


def seed_of(seed: int, stream: int, index: int) -> int:
    """A 63-bit seed for one purpose, independent of all others (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence([seed, stream, index]).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a training set, by step number.

    The shuffled orders of all epochs are concatenated and cut into batches, so a batch may span two
    epochs, only the last can be short, and no image is left out, unless a `curriculum` repeats the easy ones
    at first, or later epochs have the `hardest` alone. `size` is the network's input side; `progressive` is
    the share of it that the first epoch has. A batch is cut into `shards`, each of two images or more: a
    shorter one into fewer. `resident` are all images, uint8 (N, S, S, 3), on a device that then augments
    them: the same pixels but for its rounding.
    """

    images: ImageSet
    size: int
    batch_size: int
    epochs: int
    seed: int
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    sampling: Literal["balanced"] | None = None
    progressive: float | None = None
    curriculum: Curriculum | None = None
    shards: int = 1
    hardest: Hardest | None = None
    resident: Tensor | None = None

    @cached_property
    def _order(self) -> Callable[[int], np.ndarray]:
        """The order of an epoch; a batch needs those of two."""
        return lru_cache(maxsize=2)(self._order_of)

    def _order_of(self, epoch: int) -> np.ndarray:
        if self.hardest is not None and epoch >= self.hardest.first:
            rows = self.hardest.rows(epoch)
            return np.random.default_rng(seed_of(self.seed, ORDER, epoch)).permutation(rows)
        return _order(self.images.labels, self.sampling, self.seed, self.curriculum, epoch)

    @cached_property
    def _ends(self) -> np.ndarray:
        """The number of images after each epoch."""
        lengths = np.full(self.epochs, len(self.images))
        if self.hardest is not None:
            lengths[self.hardest.first :] = self.hardest.count
        return lengths.cumsum()

    @property
    def total_images(self) -> int:
        """The number of images of all batches."""
        return int(self._ends[-1])

    @property
    def total_steps(self) -> int:
        return -(-self.total_images // self.batch_size)

    def epochs_done(self, step: int) -> int:
        """The number of epochs that are complete after `step` steps."""
        return int(self._epochs(step * self.batch_size))

    def _epochs(self, positions: np.ndarray | int) -> np.ndarray:
        """The epoch of each of these images, by its position among all."""
        return np.asarray(np.searchsorted(self._ends, positions, side="right"))

    def rows(self, step: int) -> np.ndarray:
        """Rows of the training set in the batch of `step`."""
        first = step * self.batch_size
        positions = np.arange(first, first + self.count(step))
        epochs = self._epochs(positions)
        places = positions - np.append(0, self._ends)[epochs]
        parts = [self._order(int(e))[places[epochs == e]] for e in np.unique(epochs)]
        return np.concatenate(parts)

    def count(self, step: int) -> int:
        """The number of images in the batch of `step`."""
        return min(self.batch_size, self.total_images - step * self.batch_size)

    def side(self, step: int) -> int:
        """The side in pixels of the images of `step`, below `size` where it grows over the epochs."""
        if self.progressive is None:
            return self.size
        return progressive_side(self.size, self.progressive, self.epochs_done(step) / self.epochs)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of `step`: x (B, 3, side, side) floats in [0, 1], targets (B, K) summing to 1."""
        return self._augmented(step, self.rows(step), 0)

    def cut(self, step: int) -> list[np.ndarray]:
        """The rows of each shard of the batch of `step`."""
        rows = self.rows(step)
        return np.array_split(rows, max(1, min(self.shards, len(rows) // LEAST)))

    def most_at_once(self, parts: int | None) -> int:
        """The number of images in a shard, or in one of the `parts` of a batch, if these are smaller."""
        return -(-self.batch_size // max(parts or 1, self.shards))

    def at(self, step: int, shard: int) -> tuple[Tensor, Tensor]:
        """A shard of the batch of `step`: its images as they are in the batch, mixed among themselves."""
        parts = self.cut(step)
        batch = self._augmented(step, parts[shard], sum(map(len, parts[:shard])))
        later = self.cut(step + 1) if self._is_known(step + 1) else []
        if shard < len(later) and self.resident is None:
            self.images.expect(later[shard], shard)
        return batch

    def _mirrored(self, position: int, rows: np.ndarray) -> Tensor | None:
        """Which of these images, from `position` of all on, are mirrored by turns; None where by chance."""
        if not self.augmentation.alternate_flip:
            return None
        epochs = self._epochs(position + np.arange(len(rows)))
        return torch.from_numpy((self._turns[rows] + epochs) % 2 == 0)

    @cached_property
    def _turns(self) -> np.ndarray:
        """0 for the images that are mirrored in even epochs, 1 for the others."""
        return np.random.default_rng(seed_of(self.seed, FLIP, 0)).integers(0, 2, len(self.images))

    def _is_known(self, step: int) -> bool:
        """Whether there is such a step, and it is known already which images it has."""
        if step >= self.total_steps:
            return False
        if self.hardest is None:
            return True
        epoch = int(self._epochs(step * self.batch_size + self.count(step) - 1))
        return epoch < self.hardest.first or epoch in self.hardest.chosen

    def _augmented(self, step: int, rows: np.ndarray, first: int) -> tuple[Tensor, Tensor]:
        """The images of these rows, the first of which is number `first` of the batch."""
        labels = torch.from_numpy(self.images.labels[rows])
        targets = torch.zeros(len(rows), len(self.images.classes)).scatter_(1, labels[:, None], 1.0)
        if self.resident is None:
            images = torch.from_numpy(np.ascontiguousarray(self.images.images[rows]))
        else:
            device = self.resident.device
            images = self.resident[torch.from_numpy(rows).to(device, non_blocking=True)]
            targets = targets.to(device, non_blocking=True)
        generator, policy = (
            torch.Generator().manual_seed(seed_of(self.seed, stream, step))
            for stream in (AUGMENT, POLICY)
        )
        place = first, self.count(step)
        mirrored = self._mirrored(step * self.batch_size + first, rows)
        x, y = augment(
            images, targets, self.size, self.augmentation, generator, policy, place, mirrored
        )
        side = self.side(step)
        if side < self.size:
            x = functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        return x, y


def progressive_side(size: int, start: float, done: float) -> int:
    """The side of images after this share of the epochs: from `start` of `size` to all at `FULL_AFTER`.

    The nearest multiple of four pixels, which networks halve without a rest.
    """
    if done >= FULL_AFTER:
        return size
    share = start + (1 - start) * done / FULL_AFTER
    return min(size, max(4, 4 * round(share * size / 4)))


def _order(
    labels: np.ndarray, sampling: str | None, seed: int, curriculum: Curriculum | None, epoch: int
) -> np.ndarray:
    """The order of one epoch, as many rows as there are images.

    It is a permutation of all rows; classes equally often, or easy rows alone, repeat some.
    """
    rng = np.random.default_rng(seed_of(seed, ORDER, epoch))
    count = len(labels)
    rows = np.arange(count) if curriculum is None else curriculum.rows(labels, epoch)
    if sampling is None:
        rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
        return np.concatenate(rounds)[:count]
    classes = np.unique(labels)
    share = -(-count // len(classes))
    drawn = []
    for label in classes:
        own = rows[labels[rows] == label]
        rounds = [rng.permutation(own) for _ in range(-(-share // len(own)))]
        drawn.append(np.concatenate(rounds)[:share])
    return rng.permutation(np.concatenate(drawn))[:count]
