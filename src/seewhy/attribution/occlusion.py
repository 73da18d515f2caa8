"""Occlusion: how much the class loses when a part of the image is covered."""

import torch
from torch import Tensor, nn

from seewhy.attribution.baseline import mean_colour
from seewhy.attribution.method import explanation

WINDOWS = 4  # side of the image by side of the window; it moves by half a window


@explanation
def occlusion(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps the logit that is lost when a window is covered (Zeiler & Fergus 2014, arXiv:1311.2901).

    `M = f(x) - f(x with the window in the training images' mean colour)`, the mean over the windows
    that cover a pixel; windows have a quarter of the image's side. Positive: what is there speaks
    for the target.
    """
    from captum.attr import Occlusion

    height, width = images.shape[2:]
    window = 3, -(-height // WINDOWS), -(-width // WINDOWS)
    strides = 3, -(-window[1] // 2), -(-window[2] // 2)
    with torch.no_grad():
        attributions: Tensor = Occlusion(model).attribute(
            images, window, strides, mean_colour(model, images), targets
        )
    return attributions[:, 0]  # the same for each colour
