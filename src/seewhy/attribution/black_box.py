"""A predictor that only answers, as a model for the methods that need pixels alone."""

import torch
from torch import Tensor, nn

from seewhy.inference.predictor import Predictor


class BlackBox(nn.Module):
    """Logits of images, floats (N, 3, H, W) in [0, 1], rounded to bytes; it has no gradient."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self._predictor = predictor

    def forward(self, x: Tensor) -> Tensor:
        images = (x.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return torch.from_numpy(self._predictor.outputs(images.cpu().numpy())[0]).to(x)
