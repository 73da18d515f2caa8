"""Batch augmentations: uint8 pictures in, floats in [0, 1] out, every draw made per image."""

import math
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

from seewhy.errors import UsageError

LUMA = (0.299, 0.587, 0.114)  # grey of RGB, ITU-R BT.601
ASPECTS = (3 / 4, 4 / 3)  # of a random resized crop, as in its paper
ERASED_AREA = (0.02, 0.4)  # share of the picture, as in the paper
ERASED_ASPECTS = (0.3, 1 / 0.3)

# One row of draws per image and one column per use, always all of them: so an image's draws depend
# neither on the rest of its batch nor on which other augmentations are on.
DRAWS = (
    *("flip", "top", "left", "area", "aspect", "brightness", "contrast"),
    *("erase", "erase_area", "erase_aspect", "erase_top", "erase_left"),
    *("mix", "share", "share_angle", "cut_top", "cut_left", "partner"),
)


class AugmentConfig(BaseModel):
    """How training pictures are varied; a field left out is off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: float | None = Field(
        None, gt=0, le=1, description="chance of mirroring left and right (0 to 1)"
    )
    crop_padding: int | None = Field(
        None,
        ge=0,
        le=256,
        description="pixels added on every side before a crop at a random place (0 to 256); 0 "
        "crops from the stored picture as it is",
    )
    padding_mode: Literal["reflect", "zero"] | None = Field(
        None, description="what the added pixels show: the mirrored picture (default) or black"
    )
    random_resized_crop: float | None = Field(
        None,
        ge=0.05,
        lt=1,
        description="smallest share of the picture's area (0.05 to 1) that a crop of random area "
        "and of aspect 3/4 to 4/3 may take before it is resized (Szegedy 2014)",
    )
    brightness: float | None = Field(
        None, gt=0, le=1, description="brightness is multiplied by 1 ± this (0 to 1)"
    )
    contrast: float | None = Field(
        None, gt=0, le=1, description="distance from mean grey is multiplied by 1 ± this (0 to 1)"
    )
    erasing: float | None = Field(
        None,
        gt=0,
        le=1,
        description="chance of painting a box of 2% to 40% of the area in the picture's mean "
        "colour (random erasing, Zhong 2017)",
    )
    mixup: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the share kept when a picture and its "
        "target are blended with another's (Zhang 2017); larger blends more",
    )
    cutmix: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the area kept when a box of another "
        "picture is pasted and the targets blended (Yun 2019); with mixup, each takes half the "
        "images",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_padding is not None and self.random_resized_crop is not None:
            raise ValueError("crop_padding and random_resized_crop exclude each other: choose one")
        if self.padding_mode is not None and not self.crop_padding:
            raise ValueError(
                "padding_mode has no effect without crop_padding: set it or leave both"
            )
        return self


def to_input(images: Tensor, size: int) -> Tensor:
    """Gives the centre of uint8 pictures `(B, S, S, 3)` as floats `(B, 3, size, size)` in [0, 1].

    This is the way of every picture that is not augmented. The result is laid out channels last.
    """
    assert images.shape[1] >= size
    start = (images.shape[1] - size) // 2
    return _to_float(images[:, start : start + size, start : start + size]).permute(0, 3, 1, 2)


def augment(
    images: Tensor, targets: Tensor, size: int, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Varies a batch of uint8 pictures `(B, S, S, 3)` and its float targets `(B, K)`.

    Gives floats `(B, 3, size, size)` in [0, 1], channels last, and the targets. All chance comes
    from `generator`, a CPU one, in one draw whose row i belongs to image i. With no crop on, the
    centre is taken. Raises `UsageError` for a crop that the pictures do not allow.
    """
    assert images.shape[1] >= size
    rows = torch.rand(len(images), len(DRAWS), generator=generator).to(images.device)
    draw = dict(zip(DRAWS, rows.unbind(1), strict=True))

    # Pictures are lines of pixels, (B, size, size * 3), while they are worked on: torch is several
    # times slower when it spreads a mask over an innermost axis of three.
    if config.random_resized_crop is not None:
        x = _resized_crop(images, size, config, draw)
    elif config.crop_padding is not None or config.flip is not None:
        x = _to_float(_crop(images, size, config, draw))
    else:
        x = to_input(images, size).permute(0, 2, 3, 1).flatten(2)
    if config.brightness is not None:
        x = (x * _factor(config.brightness, draw["brightness"])).clamp(0, 1)
    if config.contrast is not None:
        grey = (_mean_colour(x) @ x.new_tensor(LUMA))[:, None, None]
        x = grey.lerp(x, _factor(config.contrast, draw["contrast"])).clamp(0, 1)
    if config.erasing is not None:
        x = _erase(x, config.erasing, draw)
    if config.mixup is not None or config.cutmix is not None:
        x, targets = _mix(x, targets, config, draw)
    return x.view(-1, size, size, 3).permute(0, 3, 1, 2), targets


def _to_float(images: Tensor) -> Tensor:
    return images.to(torch.float32).div(255)


def _factor(spread: float, draw: Tensor) -> Tensor:
    """Gives factors `(B, 1, 1)` between 1 - spread and 1 + spread."""
    return (1 + spread * (2 * draw - 1))[:, None, None]


def _mean_colour(x: Tensor) -> Tensor:
    """Gives the mean RGB `(B, 3)` of pictures `(B, size, size * 3)`."""
    return x.view(len(x), -1, 3).mean(1)


def _crop(images: Tensor, size: int, config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Cuts a window out of each picture (padded, if so configured) and mirrors some of them.

    Works on the bytes, by one gather of rows and one of columns, whatever the padding.
    """
    side = images.shape[1]
    padding = config.crop_padding or 0
    places = side + 2 * padding - size + 1
    if config.crop_padding is None:
        top = left = torch.full_like(draw["top"], (side - size) // 2, dtype=torch.int64)
    elif places == 1 or padding >= side:
        raise UsageError(
            f"crop_padding={padding} does not go with pictures of {side} pixels cropped to {size}: "
            f"choose 1 to {side - 1}, or leave it out"
        )
    else:
        top, left = (draw["top"] * places).long(), (draw["left"] * places).long()

    step = torch.arange(size, device=images.device)
    across = torch.where(_flipped(config, draw), size - 1 - step, step)
    rows = top[:, None] + step - padding  # (B, size), beyond the picture where it is padded
    columns = left[:, None] + across - padding
    window = _gather(images, _reflect(rows, side), _reflect(columns, side))
    if config.padding_mode == "zero":
        window *= _within(rows, side)[:, :, None]
        window *= _within(columns, side).repeat_interleave(3, 1)[:, None, :]
    return window


def _flipped(config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    return (draw["flip"] < (config.flip or 0))[:, None]


def _within(places: Tensor, side: int) -> Tensor:
    return (places >= 0) & (places < side)


def _reflect(places: Tensor, side: int) -> Tensor:
    """Mirrors places beyond the picture at its edge pixels, which are not repeated."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Gives the pixels at `rows` `(B, h)` and `columns` `(B, w)` as lines `(B, h, w * 3)`."""
    batch, side = images.shape[:2]
    first = torch.arange(batch, device=images.device)[:, None] * side
    lines = images.reshape(batch * side, side * 3).index_select(0, (first + rows).flatten())
    lines = lines.view(batch, -1, side * 3)
    places = (columns[:, :, None] * 3 + torch.arange(3, device=images.device)).flatten(1)
    return lines.gather(2, places[:, None].expand(-1, lines.shape[1], -1))


def _resized_crop(
    images: Tensor, size: int, config: AugmentConfig, draw: dict[str, Tensor]
) -> Tensor:
    """Takes a box of random area, aspect and place, resizes it bilinearly and mirrors some."""
    smallest = config.random_resized_crop
    assert smallest is not None
    height, width = _sides(smallest + (1 - smallest) * draw["area"], ASPECTS, draw["aspect"])
    top, left = draw["top"] * (1 - height), draw["left"] * (1 - width)
    step = (torch.arange(size, device=images.device) + 0.5) / size
    across = torch.where(_flipped(config, draw), 1 - step, step)
    y = top[:, None] + step * height[:, None]  # (B, size), in [0, 1] of the picture
    x = left[:, None] + across * width[:, None]
    grid = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
    )
    pictures = _to_float(images).permute(0, 3, 1, 2)
    sampled = functional.grid_sample(
        pictures, 2 * grid - 1, padding_mode="border", align_corners=False
    )
    return sampled.permute(0, 2, 3, 1).flatten(2)


def _sides(area: Tensor, aspects: tuple[float, float], draw: Tensor) -> tuple[Tensor, Tensor]:
    """Gives heights and widths in (0, 1] of boxes that take this share of a square's area.

    The aspect is log-uniform in its range, cut to what fits in the square at that area.
    """
    low = area.clamp(min=aspects[0]).log()
    high = (1 / area).clamp(max=aspects[1]).log()
    aspect = (low + (high - low) * draw).exp()
    return (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)


def _erase(x: Tensor, chance: float, draw: dict[str, Tensor]) -> Tensor:
    """Paints a box of each chosen picture in the picture's mean colour."""
    size = x.shape[1]
    low, high = ERASED_AREA
    sides = _sides(low + (high - low) * draw["erase_area"], ERASED_ASPECTS, draw["erase_aspect"])
    height, width = (side.mul(size).round().long().clamp(min=1) for side in sides)
    top = (draw["erase_top"] * (size - height + 1)).long()
    left = (draw["erase_left"] * (size - width + 1)).long()
    box = _box(top, top + height, left, left + width, size)
    chosen = (draw["erase"] < chance)[:, None, None]
    return x.lerp(_mean_colour(x).repeat(1, size)[:, None], box * chosen)


def _box(top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, size: int) -> Tensor:
    """Gives `(B, size, size * 3)`: 1 from top to before bottom and left to before right, else 0."""
    step = torch.arange(size, device=top.device)
    rows = (step >= top[:, None]) & (step < bottom[:, None])
    columns = (step >= left[:, None]) & (step < right[:, None])
    return rows.float()[:, :, None] * columns.float().repeat_interleave(3, 1)[:, None, :]


def _mix(
    x: Tensor, targets: Tensor, config: AugmentConfig, draw: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Blends each picture and its target with another's of the batch, by its own share.

    `keep` is the share of the own picture at each place: one number for mixup, a box of zeros for
    cutmix. The targets are blended by its mean, the share that is really kept.
    """
    size = x.shape[1]
    keep = torch.ones(len(x), 1, 1, device=x.device)
    if config.mixup is not None:
        keep = _beta(config.mixup, draw["share"], draw["share_angle"])[:, None, None]
    if config.cutmix is not None:
        share = _beta(config.cutmix, draw["share"], draw["share_angle"])
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


def _beta(alpha: float, draw: Tensor, angle: Tensor) -> Tensor:
    """Turns two uniform draws into one of Beta(alpha, alpha).

    Bailey's polar method gives Student's t with 2 alpha degrees of freedom, of which a symmetric
    Beta is a function (Devroye 1996, "Random variate generation in one line of code").
    """
    cosine = (2 * math.pi * angle).cos()
    t2 = torch.expm1(-draw.log() / alpha) * cosine.square()
    return 0.5 + 0.5 * cosine.sign() * (1 + 1 / t2).rsqrt()
