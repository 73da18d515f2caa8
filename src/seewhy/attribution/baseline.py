"""Baselines: what replaces a removed part of an image."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from seewhy.inference.forward import network_and_views

GREY = 0.5
BLUR = 8  # side of the image divided by the std of the blur


def mean_colour(model: nn.Module, images: Tensor) -> Tensor:
    """Flat images (N, 3, H, W) in the mean colour of the training images, where the model knows it.

    It is the value that the model sees as 0; mid-grey for a model without a `mean`.
    """
    mean = getattr(network_and_views(model)[0], "mean", None)
    if not isinstance(mean, Tensor) or mean.shape != (3,):
        mean = images.new_full((3,), GREY)
    return mean.to(images)[None, :, None, None].expand_as(images)


def blurred(images: Tensor) -> Tensor:
    """The images (N, 3, H, W) blurred beyond recognition, by a Gaussian of an eighth of their side.

    The borders are mirrored.
    """
    for dim in (2, 3):
        side = images.shape[dim]
        sigma = side / BLUR
        reach = min(math.ceil(3 * sigma), side - 1)
        offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        shape = [1, 1, 1, 1]
        shape[dim] = len(kernel)
        padding = [reach, reach, 0, 0] if dim == 3 else [0, 0, reach, reach]
        padded = functional.pad(images, padding, mode="reflect").flatten(0, 1)[:, None]
        smooth = functional.conv2d(padded, (kernel / kernel.sum()).reshape(shape))
        images = smooth[:, 0].unflatten(0, images.shape[:2])
    return images


def training_colours(model: nn.Module, count: int, generator: torch.Generator) -> Tensor:
    """Flat images (count, 3, 1, 1) in colours drawn with the training images' mean and std.

    Grey with a std of 0.25 for a model without `mean` and `std`.
    """
    network, _ = network_and_views(model)
    mean, std = (getattr(network, name, None) for name in ("mean", "std"))
    if not (
        isinstance(mean, Tensor) and isinstance(std, Tensor) and mean.shape == std.shape == (3,)
    ):
        mean, std = torch.full((3,), GREY), torch.full((3,), 0.25)
    drawn = mean.cpu() + std.cpu() * torch.randn(count, 3, generator=generator)
    return drawn.clamp(0, 1)[..., None, None]
