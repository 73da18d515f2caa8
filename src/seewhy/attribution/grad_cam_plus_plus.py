"""Grad-CAM++: Grad-CAM with weights for images that hold the class more than once."""

from torch import Tensor, nn

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.method import explanation_by_view, maps_and_gradients


@explanation_by_view
def grad_cam_plus_plus(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps the places that raise the target, small ones as well (Chattopadhay 2018, arXiv:1710.11063).

    `M = sum_c a_c * A_c` with `a_c = sum over places of alpha * max(g, 0)` and
    `alpha = g^2 / (2 g^2 + g^3 * sum over places of A_c)`, where `g` is the gradient of the target's
    logit by map `A_c` (the paper's closed form for the exponential of the logit, but for a positive
    factor an image); enlarged to the image. Only maps that raise the target count, so where the
    maps end in a ReLU nothing is negative: 0 means nothing found, not against.
    """
    maps, gradients = maps_and_gradients(model, images, targets)
    squares = gradients**2
    bottom = 2 * squares + gradients**3 * maps.sum((2, 3), keepdim=True)
    alpha = squares / bottom.where(bottom != 0, 1)
    weights = (alpha * gradients.clamp(min=0)).sum((2, 3), keepdim=True)
    return enlarge(model, (weights * maps).sum(1), images)
