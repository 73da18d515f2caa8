"""Batch augmentations: from uint8 images to floats in [0, 1], with random draws per image."""

import torch
from torch import Tensor

from seewhy.augment.colour import recolour
from seewhy.augment.geometry import crop, to_float, warp
from seewhy.augment.mixing import erase, mix
from seewhy.augment.policies import Plan, draw_plan, follow
from seewhy.config.augment import AugmentConfig

__all__ = ["augment", "centre_crop"]

# One row of draws per image and one column per use, always all columns: so the draws of an image depend
# neither on the rest of its batch nor on the other augmentations.
DRAWS = (
    *("flip", "top", "left", "area", "aspect", "brightness", "contrast"),
    *("erase", "erase_area", "erase_aspect", "erase_top", "erase_left"),
    *("mix", "share", "share_angle", "cut_top", "cut_left", "partner"),
    *("rotate", "down", "right", "zoom", "shear", "saturation", "hue"),
)


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Returns the centre of uint8 images `(B, S, S, 3)` as floats `(B, 3, size, size)` in [0, 1].

    The result is channels last in memory.
    """
    assert images.shape[1] >= size
    start = (images.shape[1] - size) // 2
    return to_float(images[:, start : start + size, start : start + size]).permute(0, 3, 1, 2)


def augment(
    images: Tensor,
    targets: Tensor,
    size: int,
    config: AugmentConfig,
    generator: torch.Generator,
    policy_generator: torch.Generator | None = None,
    place: tuple[int, int] | None = None,
    mirrored: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Augments a batch of uint8 images `(B, S, S, 3)` and its float targets `(B, K)`.

    Returns floats `(B, 3, size, size)` in [0, 1], channels last, and the targets. All random numbers come
    from `generator`, on the CPU, in one draw whose row i belongs to image i; those of a policy come from
    `policy_generator`. With `place`, the images are a part of a batch: its first row there and the batch's
    size; so each image is drawn what it is in the whole batch, and mixed with another of the part. Without a
    random crop, the centre is used. `mirrored` (B,) says which images are, instead of chance. Raises
    `UsageError` for a crop that the images do not allow.
    """
    first, count = place or (0, len(images))
    part = slice(first, first + len(images))
    rows = torch.rand(count, len(DRAWS), generator=generator)[part].to(images.device)
    draw = dict(zip(DRAWS, rows.unbind(1), strict=True))
    if mirrored is not None:
        draw["flip"] = 1.0 - mirrored.to(rows)
    plan = None
    if config.policy is not None:
        assert policy_generator is not None
        plan = draw_plan(config, count, size, policy_generator)[part]
    return augment_by(draw, images, targets, size, config, plan)


def augment_by(
    draw: dict[str, Tensor],
    images: Tensor,
    targets: Tensor,
    size: int,
    config: AugmentConfig,
    plan: Plan | None = None,
) -> tuple[Tensor, Tensor]:
    """Augments with given draws: for each name in `DRAWS` numbers in [0, 1), `(B,)`; and a policy's plan."""
    assert images.shape[1] >= size
    # Images are rows of pixels, (B, size, size * 3), until the end: torch is several times slower
    # when it broadcasts a mask over an innermost axis of three.
    if config.warps or config.random_resized_crop is not None:
        x = warp(images, size, config, draw)
    elif config.crop_padding is not None or config.flip is not None:
        x = to_float(crop(images, size, config, draw))
    else:
        x = centre_crop(images, size).permute(0, 2, 3, 1).flatten(2)
    x = recolour(x, config, draw)
    if plan is not None:
        x = follow(plan, x)
    if config.erasing is not None:
        x = erase(x, config.erasing, draw)
    if config.mixup is not None or config.cutmix is not None:
        x, targets = mix(x, targets, config, draw)
    return x.view(-1, size, size, 3).permute(0, 3, 1, 2), targets
