"""The operations of augmentation policies, on batches of bytes, each equal to Pillow's.

An operation takes uint8 `(N, 3, H, W)` and an amount for each image, float64 `(N,)` on their device, and
returns the images changed. Beyond its edges an image is grey.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

GREY = 128


def identity(x: Tensor, _amount: Tensor) -> Tensor:
    return x


# ------------------------------------------------------------------ where a pixel comes from


def shear_x(x: Tensor, amount: Tensor) -> Tensor:
    """Moves each row by `amount` times its distance from the upper edge."""
    one, none = torch.ones_like(amount), torch.zeros_like(amount)
    return _moved(x, (one, amount, none), (none, one, none))


def shear_y(x: Tensor, amount: Tensor) -> Tensor:
    """Moves each column by `amount` times its distance from the left edge."""
    one, none = torch.ones_like(amount), torch.zeros_like(amount)
    return _moved(x, (one, none, none), (amount, one, none))


def translate_x(x: Tensor, amount: Tensor) -> Tensor:
    """Moves the image to the left by this share of its width."""
    one, none = torch.ones_like(amount), torch.zeros_like(amount)
    return _moved(x, (one, none, amount * x.shape[3]), (none, one, none))


def translate_y(x: Tensor, amount: Tensor) -> Tensor:
    """Moves the image up by this share of its height."""
    one, none = torch.ones_like(amount), torch.zeros_like(amount)
    return _moved(x, (one, none, none), (none, one, amount * x.shape[2]))


def rotate(x: Tensor, amount: Tensor) -> Tensor:
    """Rotates by `amount` degrees, counterclockwise, about the centre."""
    angle = -amount * (math.pi / 180)
    cosine, sine = angle.cos(), angle.sin()
    middle_x, middle_y = x.shape[3] / 2, x.shape[2] / 2
    return _moved(
        x,
        (cosine, sine, middle_x - cosine * middle_x - sine * middle_y),
        (-sine, cosine, middle_y + sine * middle_x - cosine * middle_y),
    )


def _moved(x: Tensor, across: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> Tensor:
    """Takes each pixel from the place `(across, along)`, each a*x + b*y + c of its own, without blending."""
    height, width = x.shape[2:]
    columns = torch.arange(width, dtype=torch.float64, device=x.device) + 0.5
    rows = torch.arange(height, dtype=torch.float64, device=x.device)[:, None] + 0.5
    left, top = (
        (a[:, None, None] * columns + b[:, None, None] * rows + c[:, None, None]).floor().long()
        for a, b, c in (across, along)
    )  # (N, H, W)
    inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)
    places = (top * width + left).where(inside, 0).flatten(1)[:, None]
    taken = x.flatten(2).gather(2, places.expand(-1, 3, -1)).view_as(x)
    return taken.where(inside[:, None], GREY)


# ------------------------------------------------------------------ what a pixel becomes


def brightness(x: Tensor, amount: Tensor) -> Tensor:
    return _blended(torch.zeros(()), x, amount)


def color(x: Tensor, amount: Tensor) -> Tensor:
    """Scales the saturation."""
    return _blended(_grey(x).float(), x, amount)


def contrast(x: Tensor, amount: Tensor) -> Tensor:
    """Scales the distance from the mean grey."""
    return _blended(
        (_grey(x).double().mean((1, 2, 3), keepdim=True) + 0.5).floor().float(), x, amount
    )


def sharpness(x: Tensor, amount: Tensor) -> Tensor:
    """Scales the distance from a smoothed image, whose outermost pixels are the image's own."""
    smooth = x.float()
    if min(x.shape[2:]) >= 3:
        rows = smooth[:, :, :-2] + smooth[:, :, 1:-1] + smooth[:, :, 2:]
        summed = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * smooth[..., 1:-1, 1:-1]
        smooth[..., 1:-1, 1:-1] = (summed / 13 + 0.5).floor()
    return _blended(smooth, x, amount)


def posterize(x: Tensor, amount: Tensor) -> Tensor:
    """Keeps so many bits of each value; the amount is rounded."""
    return x & (256 - 2 ** (8 - amount.round().long())).to(torch.uint8)[:, None, None, None]


def solarize(x: Tensor, amount: Tensor) -> Tensor:
    """Inverts all values from the amount on."""
    return x.where(x < amount[:, None, None, None], 255 - x)


def invert(x: Tensor, _amount: Tensor) -> Tensor:
    return 255 - x


def auto_contrast(x: Tensor, _amount: Tensor) -> Tensor:
    """Stretches each channel from its lowest and highest value to 0 and 255."""
    low, high = (edge[..., None].double() for edge in torch.aminmax(x.flatten(2), dim=2))
    scale = 255 / (high - low)  # infinite where a channel has one value only
    values = torch.arange(256, dtype=torch.float64, device=x.device)
    table = (values * scale - low * scale).trunc().clamp(0, 255)
    return _looked_up(x, table.where(high > low, values))


def equalize(x: Tensor, _amount: Tensor) -> Tensor:
    """Makes the histogram of each channel even."""
    pixels = x.flatten(2).long()
    histogram = pixels.new_zeros(*pixels.shape[:2], 256)
    histogram.scatter_add_(2, pixels, torch.ones_like(pixels))
    highest = histogram.gather(2, pixels.amax(2, keepdim=True))
    step = (pixels.shape[2] - highest) // 255
    below = histogram.cumsum(2) - histogram
    table = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    return _looked_up(x, table.where(step > 0, torch.arange(256, device=x.device)))


def _grey(x: Tensor) -> Tensor:
    """ITU-R BT.601 in whole numbers, int32 (N, 1, H, W)."""
    red, green, blue = x.int().split(1, 1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _blended(start: Tensor, x: Tensor, amount: Tensor) -> Tensor:
    """Goes from `start` towards the image, and past it where the amount is above 1."""
    share = amount.float()[:, None, None, None]
    return (start + share * (x.float() - start)).clamp(0, 255).to(torch.uint8)


def _looked_up(x: Tensor, table: Tensor) -> Tensor:
    """Replaces each value by that of a table for each channel, (N, 3, 256)."""
    return table.to(torch.uint8).gather(2, x.flatten(2).long()).view_as(x)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    one.__name__: one
    for one in (
        *(identity, shear_x, shear_y, translate_x, translate_y, rotate),
        *(brightness, color, contrast, sharpness, posterize, solarize, auto_contrast, equalize),
        invert,
    )
}
