"""Integrated gradients: the logit's growth from nothing to the image, shared out to its pixels."""

from torch import Tensor, nn

from seewhy.attribution.baseline import mean_colour
from seewhy.attribution.method import explanation

STEPS = 64


@explanation
def integrated_gradients(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps what each pixel adds to the target's logit (Sundararajan 2017, arXiv:1703.01365).

    `M = sum over colours of (x - b) * integral over a in [0, 1] of d logit / d pixel at b + a (x - b)`,
    from the training images' mean colour `b`, in 64 Gauss-Legendre steps. Positive: the pixel, as
    it differs from that colour, speaks for the target. A map adds up to the logit of the image
    less that of the colour, as far as the steps go.
    """
    from captum.attr import IntegratedGradients

    attributions: Tensor = IntegratedGradients(model).attribute(
        images.requires_grad_(),
        mean_colour(model, images),
        targets,
        n_steps=STEPS,
        internal_batch_size=len(images),
    )
    return attributions.sum(1)
