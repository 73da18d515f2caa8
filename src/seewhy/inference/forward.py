"""One pass of a network over a split."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.data.images.decode import centre
from seewhy.errors import DivergedError
from seewhy.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from seewhy.data.imageset import ImageSet

MOST, MOST_PIXELS = 256, 1 << 20  # of a batch: 20 pictures at 224 pixels take 1 GB of activations

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "flip": lambda x: x.flip(-1),
}


def predict(
    network: nn.Module,
    images: "ImageSet",
    *,
    size: int,
    views: Sequence[str] = ("identity",),
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
    amp: torch.dtype | None = None,
    embed: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Runs a network once over a split and gives back its logits.

    `images` uint8 (N, S, S, 3) of which the centre `size` x `size` is seen, as RGB floats in [0,
    1]; `views` are averaged as logits; a batch is of 256 pictures, of fewer where they are large;
    `device` is where the network is. Computed in full float32 unless `amp` names another format:
    published figures are fp32, in which the batch size changes no logit by more than 1e-4 of it. With
    `embed` the means of the feature maps, averaged over the views, are kept too, where the network has
    `features` and `head`. `progress` hears (pictures done, pictures in all).

    Leaves no trace, also after an exception: each module's train or eval mode, the random numbers
    and torch's precision settings are as before. Raises `DivergedError` when a logit is NaN or
    infinite.
    """
    n = len(images)
    batch_size = batch_size or at_a_time(size**2)
    logits = np.empty((n, len(images.classes)), np.float32)
    embeddings = []
    features: Any = getattr(network, "features", None) if embed else None
    head: Any = getattr(network, "head", None)
    with evaluating(network), full_precision():
        for start in range(0, n, batch_size):
            rows = slice(start, min(start + batch_size, n))
            x = to_input(centre(images.images[rows], size), device)
            with torch.autocast(x.device.type, amp, enabled=amp is not None):
                if features and head:
                    maps = [features(VIEWS[view](x)) for view in views]
                    answers = [head(found).float() for found in maps]
                    embeddings.append(_mean([found.float().mean((2, 3)) for found in maps]))
                else:
                    answers = [network(VIEWS[view](x)).float() for view in views]
            logits[rows] = _mean(answers)
            if progress:
                progress(rows.stop, n)
    bad = int((~np.isfinite(logits).all(axis=1)).sum())
    if bad:
        raise DivergedError(
            f"the network answers NaN or infinity for {bad:,} of {n:,} pictures: it has diverged"
        )
    return Predictions(
        logits,
        images.labels,
        images.classes,
        images.ids,
        embeddings=np.concatenate(embeddings) if embeddings else None,
    )


def at_a_time(pixels: int) -> int:
    """How many pictures of so many pixels a network is shown at a time, which bounds memory."""
    return max(1, min(MOST, MOST_PIXELS // pixels))


def _mean(tensors: Sequence[Tensor]) -> np.ndarray:
    return (torch.stack(tuple(tensors)).sum(0) / len(tensors)).cpu().numpy()


def to_input(images: np.ndarray, device: torch.device | str) -> Tensor:
    """uint8 (B, H, W, 3) to what a network takes: float32 (B, 3, H, W) in [0, 1], channels last."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
    return x.float().div_(255)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode without gradients for the block; each module's own mode and the RNG come back."""
    modes = [(module, module.training) for module in network.modules()]
    gpus = {p.device for p in network.parameters() if p.device.type == "cuda"}
    try:
        network.eval()
        with torch.random.fork_rng(devices=gpus), torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def full_precision() -> Iterator[None]:
    """True float32 products for the block: no TF32 on a GPU, no bfloat16 on a processor."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    backends: tuple[Any, ...] = (
        cudnn.conv,
        torch.backends.cuda.matmul,
        mkldnn.conv,
        mkldnn.matmul,
    )
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
