"""Class activation maps: what each place adds to the class, where the head is a pooled linear layer."""

import torch
from torch import Tensor, nn

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.method import explanation_by_view, halves
from seewhy.errors import UsageError


@explanation_by_view
def cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps what each place adds to the target's logit (Zhou et al. 2016, arXiv:1512.04150).

    `M = sum_c w[target, c] * A_c`, of the maps `A` that a global average and one linear layer of
    weights `w` turn into logits; enlarged to the image. Positive: the place speaks for the
    target. The mean over all places of `A`, plus the bias, is the logit itself. Raises `UsageError`
    where the head is another one: `grad_cam` takes any.
    """
    features, _ = halves(model)
    with torch.no_grad():
        maps = features(images)
        weights = _pooled_linear(model, maps).weight[targets]  # (N, C)
        return enlarge(model, torch.einsum("nc,nchw->nhw", weights, maps), images)


def _pooled_linear(model: nn.Module, maps: Tensor) -> nn.Linear:
    """The linear layer whose outputs for the maps, averaged over all places, are those of the head."""
    _, head = halves(model)
    logits, means = head(maps), maps.mean((2, 3))
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.in_features == means.shape[1]:
            outputs = layer(means)
            if outputs.shape == logits.shape and torch.allclose(outputs, logits, 1e-4, 1e-5):
                return layer
    raise UsageError(
        "cam needs a head that is one linear layer on globally averaged maps, and that of "
        f"{type(model).__name__} is not: take grad_cam, which is the same for such a head and takes any other"
    )
