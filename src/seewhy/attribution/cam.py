"""Class activation maps: what each place adds to the class, where the head is a pooled linear layer."""

import torch
from torch import Tensor, nn

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.method import explanation_by_view, halves
from seewhy.errors import UsageError

_PASSED = (nn.Flatten, nn.Dropout, nn.Identity)  # change nothing in eval mode but the shape


@explanation_by_view
def cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps what each place adds to the target's logit (Zhou et al. 2016, arXiv:1512.04150).

    `M = sum_c w[target, c] * A_c`, of the maps `A` that a global average and one linear layer of
    weights `w` turn into logits; enlarged to the image. Positive: the place speaks for the
    target. The mean over all places of `A`, plus the bias, is the logit itself. Raises `UsageError`
    where the head is another one: `grad_cam` takes any.
    """
    features, head = halves(model)
    weights = _pooled_linear(head)[targets]  # (N, C)
    with torch.no_grad():
        return enlarge(model, torch.einsum("nc,nchw->nhw", weights, features(images)), images)


def _pooled_linear(head: nn.Module) -> Tensor:
    """The weights (K, C) of a head that averages over all places and applies one linear layer."""
    parts = [part for part in head.modules() if not list(part.children())]
    parts = [part for part in parts if not isinstance(part, _PASSED)]
    match parts:
        case [nn.AdaptiveAvgPool2d(output_size=1 | (1, 1)), nn.Linear() as linear]:
            if type(head) is nn.Sequential:  # the code of another class may do more
                return linear.weight
    raise UsageError(
        "cam needs a head that is one linear layer on globally averaged maps, and this one is "
        f"{', '.join(type(part).__name__ for part in parts)}: take grad_cam, which is the same for such a "
        "head and takes any other"
    )
