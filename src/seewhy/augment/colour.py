"""Brightness, contrast, saturation and hue, drawn per image."""

import math

import torch
from torch import Tensor

from seewhy.config.augment import AugmentConfig

# Brightness and two axes of colour (YIQ, the American colour television standard of 1953); the first
# is grey as in ITU-R BT.601, and greys are zero on the others.
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
LUMA = YIQ[0]


def recolour(x: Tensor, config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Changes the colours of images `(B, size, size * 3)`, clipped to [0, 1] after each change."""
    if config.brightness is not None:
        x = (x * _factor(config.brightness, draw["brightness"])).clamp(0, 1)
    if config.contrast is not None:
        grey = (mean_colour(x) @ x.new_tensor(LUMA))[:, None, None]
        x = grey.lerp(x, _factor(config.contrast, draw["contrast"])).clamp(0, 1)
    if config.saturation is not None or config.hue is not None:
        pixels = x.view(len(x), -1, 3) @ _colour_matrix(config, draw).mT
        x = pixels.clamp(0, 1).view(x.shape)
    return x


def mean_colour(x: Tensor) -> Tensor:
    """Returns the mean RGB `(B, 3)` of images `(B, size, size * 3)`."""
    return x.view(len(x), -1, 3).mean(1)


def _factor(spread: float, draw: Tensor) -> Tensor:
    """Returns factors `(B, 1, 1)` between 1 - spread and 1 + spread."""
    return (1 + spread * (2 * draw - 1))[:, None, None]


def _colour_matrix(config: AugmentConfig, draw: dict[str, Tensor]) -> Tensor:
    """Returns `(B, 3, 3)`, which rotates and scales colours and keeps the grey level of each pixel.

    Hue is rotated in the plane of YIQ, which costs a matrix product; HSV would need to sort the channels
    of each pixel.
    """
    angle = 2 * math.pi * (config.hue or 0.0) * (2 * draw["hue"] - 1)
    cosine, sine = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    yiq = draw["hue"].new_tensor(YIQ)
    back = torch.linalg.inv(yiq)
    grey = back[:, :1] @ yiq[:1]
    return grey + _factor(config.saturation or 0.0, draw["saturation"]) * (
        back[:, 1:] @ turn @ yiq[1:]
    )
