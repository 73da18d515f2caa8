"""Grad-CAM: the places of the last maps that speak for the class, for any head."""

import torch
from torch import Tensor, nn

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.method import explanation_by_view, maps_and_gradients


@explanation_by_view
def grad_cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps the places that speak for the target (Selvaraju et al. 2017, arXiv:1610.02391).

    `M = sum_c a_c * A_c` with `a_c` the mean over all places of the gradient of the target's logit by
    map `A_c`; enlarged to the image. Positive: more of what is there raises the logit. The paper
    cuts the negative part off; here it stays, as what speaks against the target. On a pooled
    linear head it is `cam` divided by the number of places.
    """
    maps, gradients = maps_and_gradients(model, images, targets)
    weights = gradients.mean((2, 3))
    return enlarge(model, torch.einsum("nc,nchw->nhw", weights, maps), images)
