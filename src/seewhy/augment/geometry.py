"""Geometric augmentations: crops, flips, and one warp for all others."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from seewhy.config.augment import AugmentConfig
from seewhy.errors import UsageError

ASPECTS = (3 / 4, 4 / 3)  # of a random resized crop, as in its paper
FILLS = {"reflect": "reflection", "nearest": "border", "zero": "zeros"}


def to_float(images: Tensor) -> Tensor:
    return images.to(torch.float32).div(255)


def crop(images: Tensor, size: int, config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Crops each image (padded, if so configured) and mirrors some of them.

    It gathers bytes, first rows and then columns, for any padding. Mirrored padding does not repeat
    the edge pixel. Returns uint8 `(B, size, size * 3)`.
    """
    side = images.shape[1]
    left, top = _corner(side, size, config, draw)
    step = torch.arange(size, device=images.device)
    across = torch.where(_flipped(config, draw), size - 1 - step, step)
    rows = top[:, None] + step  # (B, size), beyond the image where it is padded
    columns = left[:, None] + across
    fill = _nearest if config.padding_mode == "nearest" else _reflect
    window = _gather(images, fill(rows, side), fill(columns, side))
    if config.padding_mode == "zero":
        window *= _within(rows, side)[:, :, None]
        window *= _within(columns, side).repeat_interleave(3, 1)[:, None, :]
    return window


def _corner(
    side: int, size: int, config: AugmentConfig, draw: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Returns the first column and row `(B,)` of each image's crop. Raises `UsageError`."""
    require_crop(side, size, config)
    padding = config.crop_padding
    if padding is None:
        middle = torch.full_like(draw["top"], (side - size) // 2, dtype=torch.int64)
        return middle, middle
    places = side + 2 * padding - size + 1
    left, top = (draw[edge].mul(places).long() - padding for edge in ("left", "top"))
    return left, top


def require_crop(side: int, size: int, config: AugmentConfig) -> None:
    """Raises `UsageError` for a padding that images of `side` pixels, cropped to `size`, do not allow."""
    padding = config.crop_padding
    if padding is not None and (padding >= side or side + 2 * padding == size):
        raise UsageError(
            f"crop_padding={padding} does not fit images of {side} pixels cropped to {size}: "
            f"choose 1 to {side - 1}, or leave it out"
        )


def _flipped(config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    return (draw["flip"] < (config.flip or 0))[:, None]


def _within(places: Tensor, side: int) -> Tensor:
    return (places >= 0) & (places < side)


def _reflect(places: Tensor, side: int) -> Tensor:
    """Mirrors positions beyond the image at its edge pixels, which are not repeated."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def _nearest(places: Tensor, side: int) -> Tensor:
    """Returns the edge pixel for positions beyond the image."""
    return places.clamp(0, side - 1)


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Returns the pixels at `rows` `(B, h)` and `columns` `(B, w)`, `(B, h, w * 3)`."""
    batch, side = images.shape[:2]
    first = torch.arange(batch, device=images.device)[:, None] * side
    lines = images.reshape(batch * side, side * 3).index_select(0, (first + rows).flatten())
    lines = lines.view(batch, -1, side * 3)
    places = (columns[:, :, None] * 3 + torch.arange(3, device=images.device)).flatten(1)
    return lines.gather(2, places[:, None].expand(-1, lines.shape[1], -1))


def warp(images: Tensor, size: int, config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Crops, zooms, shears, rotates, shifts and mirrors each image in one bilinear interpolation.

    Beyond the edges `padding_mode` applies; mirroring repeats the edge pixel. An image that shrinks is not
    antialiased: with a large `zoom`, or a large `random_resized_crop`, fine patterns may become coarse
    ones. Returns floats `(B, size, size * 3)`.
    """
    side = images.shape[1]
    centre, scale = _window(side, size, config, draw)
    matrix = scale[:, :, None] * _turn(config, draw)
    step = torch.arange(size, device=images.device) - (size - 1) / 2  # pixels from the centre
    down, right = (size * (config.shift or 0.0) * (2 * draw[k] - 1) for k in ("down", "right"))
    across = torch.where(_flipped(config, draw), -step, step) - right[:, None]  # (B, size)
    along = step - down[:, None]
    places = (  # (B, size, size, 2), x before y, in pixels of the image
        matrix[:, None, None, :, 0] * across[:, None, :, None]
        + matrix[:, None, None, :, 1] * along[:, :, None, None]
        + centre[:, None, None, :]
    )
    sampled = functional.grid_sample(
        to_float(images).permute(0, 3, 1, 2),
        (2 * places + 1) / side - 1,
        padding_mode=FILLS[config.padding_mode or "reflect"],
        align_corners=False,
    )
    return sampled.permute(0, 2, 3, 1).flatten(2)


def _window(
    side: int, size: int, config: AugmentConfig, draw: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Returns centres and scales `(B, 2)`, x before y, of the crops.

    Centres are in pixels of the image, scales in its pixels per pixel of the crop.
    """
    if config.random_resized_crop is None:
        centre = torch.stack(_corner(side, size, config, draw), 1) + (size - 1) / 2
        return centre, torch.ones_like(centre)
    smallest = config.random_resized_crop
    height, width = sides(smallest + (1 - smallest) * draw["area"], ASPECTS, draw["aspect"])
    part = torch.stack([width, height], 1)
    corner = torch.stack([draw["left"], draw["top"]], 1) * (1 - part)
    return (corner + part / 2) * side - 0.5, part * side / size


def _turn(config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Returns `(B, 2, 2)`, which maps offsets from the centre of the output to offsets in the image."""
    angle = math.radians(config.rotate or 0.0) * (2 * draw["rotate"] - 1)
    slant = (math.radians(config.shear or 0.0) * (2 * draw["shear"] - 1)).tan()
    cosine, sine = angle.cos(), angle.sin()
    rows = [  # a rotation after a shear of x by y
        torch.stack([cosine, slant * cosine - sine], 1),
        torch.stack([sine, slant * sine + cosine], 1),
    ]
    return (1 + (config.zoom or 0.0) * (2 * draw["zoom"] - 1))[:, None, None] * torch.stack(rows, 1)


def sides(area: Tensor, aspects: tuple[float, float], draw: Tensor) -> tuple[Tensor, Tensor]:
    """Returns heights and widths in (0, 1] of boxes with this share of a square's area.

    The aspect is log-uniform in its range, limited to boxes that fit in the square.
    """
    low = area.clamp(min=aspects[0]).log()
    high = (1 / area).clamp(max=aspects[1]).log()
    aspect = (low + (high - low) * draw).exp()
    return (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
