"""Guided Grad-CAM: the edges that guided backpropagation finds, where Grad-CAM sees the class."""

import warnings

from torch import Tensor, nn

from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.method import explanation


@explanation
def guided_grad_cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps fine detail inside what Grad-CAM found (Selvaraju et al. 2017, arXiv:1610.02391).

    The positive part of `grad_cam` times the gradient of the target's logit in which every ReLU
    passes back positive parts alone (guided backpropagation, Springenberg 2015, arXiv:1412.6806),
    summed over colours. Positive: brighter would be more of the detail. Handle with care: guided
    backpropagation draws the edges of an image whatever the last layers have learnt (Adebayo 2018).
    """
    from captum.attr import GuidedBackprop

    with warnings.catch_warnings():
        # It announces the hooks that it sets, and removes them whatever happens.
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU activations")
        guided = GuidedBackprop(model).attribute(images.requires_grad_(), targets)
    return grad_cam(model, images, targets).clamp(min=0) * guided.sum(1)
