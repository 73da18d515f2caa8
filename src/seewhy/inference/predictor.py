"""The seam of everything that predicts: a PyTorch bundle, an ONNX file, an ensemble."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seewhy.config.input_rule import InputRule
from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.errors import DivergedError, UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import Predictions
from seewhy.events import OnEvent, Progress, ignore
from seewhy.text import counted

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
    data; `parents` are the digests of what it was made from; `parameters` counts its weights; `mean` is the
    colour (3,), 0 to 1, by which its network centres images, None where that is not known.
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
    mean: NDArray[np.float32] | None = None

    @property
    @abstractmethod
    def runtime(self) -> str:
        """What computes it: torch, onnx, openvino or ensemble."""

    @abstractmethod
    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        """Logits float32 (B, K) of a batch, uint8 (B, size, size, 3), untempered, views averaged.

        With `embed` also embeddings (B, D), the pooled feature maps, where the model has some. Threads may
        call it at once: it touches no state of the process. Raises `DivergedError` for a logit that is not
        finite.
        """

    @property
    def data_settings(self) -> Mapping[str, Any] | None:
        """The data settings of its recipe: none in a file that has no such facts.

        None for an ensemble whose members were trained on different splits.
        """
        recipe = self.facts.get("recipe")
        data = recipe.get("data", {}) if isinstance(recipe, Mapping) else {}
        return data if data is None or isinstance(data, Mapping) else {}

    def in_full_precision(self) -> AbstractContextManager[None]:
        """True float32 products for the block: for the owner of the process, as it may be a setting of it."""
        return nullcontext()

    def differentiable(self) -> "nn.Module | None":
        """A network of the caller's own, in evaluation mode: for attribution, fine-tuning and export.

        It takes floats (N, 3, size, size) in [0, 1] and shows one view. None where the model is not a
        single network.
        """
        return None

    @property
    def no_network(self) -> str:
        """Why `differentiable` gives none, and what to do: for messages."""
        return "an ensemble is not a single network: use one of its members"

    def save(self, path: Path) -> None:
        """Writes the model to one file; never over another.

        Raises `UsageError` when one is there, for a name of the other kind of file, and for a model that is
        not one file.
        """
        raise UsageError("this model is not one file: save the models that it is made of")


def predict_batches(
    images: ImageSet,
    size: int,
    outputs: Callable[[NDArray[np.uint8]], Outputs],
    *,
    batch_size: int | None = None,
    on_event: OnEvent = ignore,
    what: str = "predicting",
) -> Predictions:
    """Predicts a set in batches; `outputs` gives the logits and the embeddings of one.

    A batch is of 256 images, of fewer where they are large; the model sees their centre `size` x `size`.
    """
    n = len(images)
    batch_size = batch_size or at_a_time(size**2)
    logits = np.empty((n, len(images.classes)), np.float32)
    embeddings = []
    for start in range(0, n, batch_size):
        rows = slice(start, min(start + batch_size, n))
        logits[rows], pooled = outputs(centre(images.images[rows], size))
        if pooled is not None:
            embeddings.append(pooled)
        on_event(Progress(what, rows.stop, n))
    return Predictions(
        logits,
        images.labels,
        images.classes,
        images.ids,
        embeddings=np.concatenate(embeddings) if embeddings else None,
    )


def at_a_time(pixels: int) -> int:
    """How many images of so many pixels a network is shown at a time, which bounds memory."""
    return max(1, min(MOST, MOST_PIXELS // pixels))


def require_finite(logits: NDArray[np.float32]) -> None:
    """Raises `DivergedError` when a logit is NaN or infinite."""
    bad = int((~np.isfinite(logits).all(axis=1)).sum())
    if bad:
        raise DivergedError(
            f"the network answers NaN or infinity for {bad:,} of {counted(len(logits), 'image')}: "
            f"it has diverged"
        )
