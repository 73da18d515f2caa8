"""What the tests of augmentation share: images, a batch varied, and the draws behind it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seewhy.augment import DRAWS, augment
from seewhy.config.augment import AugmentConfig


def pictures(count: int, side: int, seed: int = 0) -> Tensor:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(drawn)


def one_hot(count: int, classes: int = 5) -> Tensor:
    return torch.eye(classes)[torch.arange(count) % classes]


def varied(images: Tensor, size: int, seed: int = 0, **options: Any) -> tuple[np.ndarray, Tensor]:
    """Gives the images as `(B, size, size, 3)` and the targets."""
    config, generator = AugmentConfig(**options), torch.Generator().manual_seed(seed)
    x, targets = augment(images, one_hot(len(images)), size, config, generator)
    assert x.dtype == torch.float32 and x.shape == (len(images), 3, size, size)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.min() >= 0 and x.max() <= 1
    return x.permute(0, 2, 3, 1).numpy(), targets


def draws_of(count: int, seed: int = 0) -> list[dict[str, float]]:
    """The draws of each image, as `augment` makes them from the same seed."""
    rows = torch.rand(count, len(DRAWS), generator=torch.Generator().manual_seed(seed))
    return [dict(zip(DRAWS, row.tolist(), strict=True)) for row in rows]
