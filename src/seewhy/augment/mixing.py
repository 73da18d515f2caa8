"""Random erasing, mixup and CutMix: images and targets."""

import math

import torch
from torch import Tensor

from seewhy.augment.colour import mean_colour
from seewhy.augment.geometry import sides
from seewhy.config.augment import AugmentConfig

ERASED_AREA = (0.02, 0.4)  # share of the image, as in the paper
ERASED_ASPECTS = (0.3, 1 / 0.3)


def erase(x: Tensor, chance: float, draw: dict[str, Tensor]) -> Tensor:
    """Paints a box of each chosen image in the image's mean colour."""
    size = x.shape[1]
    low, high = ERASED_AREA
    sizes = sides(low + (high - low) * draw["erase_area"], ERASED_ASPECTS, draw["erase_aspect"])
    height, width = (side.mul(size).round().long().clamp(min=1) for side in sizes)
    top = (draw["erase_top"] * (size - height + 1)).long()
    left = (draw["erase_left"] * (size - width + 1)).long()
    box = _box(top, top + height, left, left + width, size)
    chosen = (draw["erase"] < chance)[:, None, None]
    return x.lerp(mean_colour(x).repeat(1, size)[:, None], box * chosen)


def _box(top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, size: int) -> Tensor:
    """Returns `(B, size, size * 3)`: 1 for top <= y < bottom and left <= x < right, else 0."""
    step = torch.arange(size, device=top.device)
    rows = (step >= top[:, None]) & (step < bottom[:, None])
    columns = (step >= left[:, None]) & (step < right[:, None])
    return rows.float()[:, :, None] * columns.float().repeat_interleave(3, 1)[:, None, :]


def mix(
    x: Tensor, targets: Tensor, config: AugmentConfig, draw: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Blends each image and its target with those of another image of the batch.

    `keep` is the share of the original image at each pixel: one number for mixup, a box of zeros for
    cutmix. The targets are blended by its mean, the share that is actually kept.
    """
    size = x.shape[1]
    keep = torch.ones(len(x), 1, 1, device=x.device)
    if config.mixup is not None:
        keep = beta(config.mixup, draw["share"], draw["share_angle"])[:, None, None]
    if config.cutmix is not None:
        share = beta(config.cutmix, draw["share"], draw["share_angle"])
        half = (1 - share).sqrt() / 2
        top, bottom, left, right = (
            (size * (draw[centre] + side)).round()
            for centre in ("cut_top", "cut_left")
            for side in (-half, half)
        )
        outside = 1 - _box(top, bottom, left, right, size)
        blended = (draw["mix"] < 0.5)[:, None, None] & (config.mixup is not None)
        keep = torch.where(blended, keep, outside)
    order = draw["partner"].argsort(stable=True)
    partner = order.roll(1)[order.argsort()]  # the one before it in a random ring, never itself
    share = keep.mean((1, 2))[:, None]
    x = x.index_select(0, partner).lerp(x, keep)
    return x, targets.index_select(0, partner).lerp(targets, share)


def beta(alpha: float, draw: Tensor, angle: Tensor) -> Tensor:
    """Turns two uniform draws into one of Beta(alpha, alpha).

    Bailey's polar method gives Student's t with 2 alpha degrees of freedom, of which a symmetric
    Beta is a function (Devroye 1996, "Random variate generation in one line of code").
    """
    cosine = (2 * math.pi * angle).cos()
    t2 = torch.expm1(-draw.log() / alpha) * cosine.square()
    return 0.5 + 0.5 * cosine.sign() * (1 + 1 / t2).rsqrt()
