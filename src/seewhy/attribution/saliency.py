"""Saliency: the gradient of the class by the pixels."""

from torch import Tensor, nn

from seewhy.attribution.method import explanation


@explanation
def saliency(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps how much a slight change of each pixel changes the target (Simonyan 2014, arXiv:1312.6034).

    `M = sum over colours of d logit / d pixel`, per unit of [0, 1]. Positive: making the pixel
    brighter raises the logit. The paper draws the largest size over colours; here the sign stays.
    """
    return gradients(model, images, targets).sum(1)


def gradients(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The gradient (N, 3, H, W) of each target's logit by the pixels."""
    from captum.attr import Saliency

    return Saliency(model).attribute(images.detach().requires_grad_(), targets, abs=False)
