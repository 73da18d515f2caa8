"""The function by which a model answers, as a module: what attribution explains."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seewhy.config.names import METHODS, PERTURBATION_METHODS
from seewhy.inference.forward import answering
from seewhy.inference.predictor import Predictor


def explainable(predictor: Predictor) -> tuple[nn.Module, Sequence[str]]:
    """The function by which a model answers, and the names of the methods that may explain it.

    Of a model that is not a single network these are the methods that need pixels alone.
    """
    network = predictor.differentiable()
    if network is None:
        return BlackBox(predictor), PERTURBATION_METHODS
    return answering(network, predictor.views), METHODS


class BlackBox(nn.Module):
    """Logits of images, floats (N, 3, H, W) in [0, 1], rounded to bytes; it has no gradient."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self._predictor = predictor

    def forward(self, x: Tensor) -> Tensor:
        images = (x.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return torch.from_numpy(self._predictor.outputs(images.cpu().numpy())[0]).to(x)
