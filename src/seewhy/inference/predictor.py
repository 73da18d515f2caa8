"""The seam of everything that predicts: a PyTorch bundle, an ONNX file, an ensemble."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seewhy.data import InputRule
from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision

if TYPE_CHECKING:
    from torch import nn

MOST, MOST_PIXELS = 256, 1 << 20  # of a batch: 20 images at 224 pixels take 1 GB of activations

Outputs = tuple[NDArray[np.float32], NDArray[np.float32] | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor(ABC):
    """A verified model.

    `classes` name the logits in order; `rule` makes its input from an image; `decision` makes an answer of
    its logits; `views` are the test-time augmentations over which logits are averaged; `digest` is its
    permanent identifier, 64 hex digits; `facts` say how it was trained; `fingerprint` is that of the training
    data; `parents` are the digests of what it was made from; `parameters` counts its weights.
    """

    classes: tuple[str, ...]
    rule: InputRule
    decision: Decision
    views: tuple[str, ...]
    digest: str
    facts: Mapping[str, Any]
    fingerprint: str
    parents: tuple[str, ...]
    parameters: int

    @abstractmethod
    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        """Logits float32 (N, K) of images uint8 (N, size, size, 3), untempered, views averaged.

        With `embed` also embeddings (N, D), the pooled feature maps, where the model has some. Threads may
        call it at once: it touches no state of the process. Raises `DivergedError` for a logit that is not
        finite.
        """

    def differentiable(self) -> "nn.Module | None":
        """A network of the caller's own, in evaluation mode: for attribution, fine-tuning and export.

        It takes floats (N, 3, size, size) in [0, 1] and shows one view. None where the model is not a
        single network.
        """
        return None

    def save(self, path: Path) -> None:
        """Writes the model to one file; never over another.

        Raises `UsageError` when one is there, and for a model that is not one file.
        """
        raise UsageError("this model is not one file: save the models that it is made of")


def at_a_time(pixels: int) -> int:
    """How many images of so many pixels a network is shown at a time, which bounds memory."""
    return max(1, min(MOST, MOST_PIXELS // pixels))
