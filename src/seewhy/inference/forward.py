"""One pass of a network over a split."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.evaluation.predictions import Predictions
from seewhy.events import OnEvent, ignore
from seewhy.inference.predictor import Outputs, predict_batches, require_finite

if TYPE_CHECKING:
    from seewhy.data.imageset import ImageSet

MOVED = 32  # a view is moved by the side of the image over this


def _moved(x: Tensor, direction: int) -> Tensor:
    """Moves images or maps (..., H, W) up and left (-1), or down and right (1); the edge is mirrored.

    Maps of few places, which are coarser than that, stay where they are.
    """
    by = (x.shape[-1] + MOVED // 2) // MOVED
    padded = nn.functional.pad(x, (by,) * 4, mode="reflect")
    first = by - direction * by
    return padded[..., first : first + x.shape[-2], first : first + x.shape[-1]]


def _flipped(x: Tensor) -> Tensor:
    return x.flip(-1)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "flip": _flipped,
    "up_left": lambda x: _moved(x, -1),
    "up_left_flip": lambda x: _flipped(_moved(x, -1)),
    "down_right": lambda x: _moved(x, 1),
    "down_right_flip": lambda x: _flipped(_moved(x, 1)),
}
# What carries maps (..., H, W) of a view back onto the image.
INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda maps: maps,
    "flip": _flipped,
    "up_left": lambda maps: _moved(maps, 1),
    "up_left_flip": lambda maps: _moved(_flipped(maps), 1),
    "down_right": lambda maps: _moved(maps, -1),
    "down_right_flip": lambda maps: _moved(_flipped(maps), -1),
}


class AveragedViews(nn.Module):
    """The mean of a network's logits over TTA views, as one function of the image."""

    def __init__(self, network: nn.Module, views: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.views = tuple(views)

    def forward(self, x: Tensor) -> Tensor:
        return _mean([self.network(VIEWS[view](x)).float() for view in self.views])


def answering(network: nn.Module, views: Sequence[str]) -> nn.Module:
    """The function by which a model answers: the network itself, or the mean of its TTA views."""
    return network if tuple(views) == ("identity",) else AveragedViews(network, views)


def network_and_views(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The network of a model and its TTA views; of a plain network the image as it is."""
    return (
        (model.network, model.views) if isinstance(model, AveragedViews) else (model, ("identity",))
    )


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
    on_event: OnEvent = ignore,
) -> Predictions:
    """Runs a network that is still in training once over a split and returns its logits.

    `images` uint8 (N, S, S, 3) of which the centre `size` x `size` is seen, as RGB floats in [0,
    1]; `views` are averaged as logits; a batch is of 256 images, of fewer where they are large;
    `device` is where the network is. Computed in full float32 unless `amp` names another format:
    published metrics are fp32, in which the batch size changes no logit by more than 1e-4 of it. With
    `embed` the means of the feature maps, averaged over the views, are kept too, where the network has
    `features` and `head`.

    Leaves no trace, also after an exception: each module's train or eval mode, the random numbers
    and torch's precision settings are as before. Raises `DivergedError` when a logit is NaN or
    infinite.
    """

    def outputs(batch: NDArray[np.uint8]) -> Outputs:
        x = to_input(batch, device)
        with torch.autocast(x.device.type, amp, enabled=amp is not None):
            return outputs_of(network, x, views, embed)

    with evaluating(network), full_precision():
        predictions = predict_batches(
            images, size, outputs, batch_size=batch_size, on_event=on_event
        )
    require_finite(predictions.logits)
    return predictions


def outputs_of(network: nn.Module, x: Tensor, views: Sequence[str], embed: bool) -> Outputs:
    """Logits (B, K) of a batch as the network takes it, views averaged, and its embeddings (B, D).

    The embeddings are None unless asked for, and where the network has no `features` and `head`.
    """
    features: Any = getattr(network, "features", None) if embed else None
    head: Any = getattr(network, "head", None)
    if not (features and head):
        logits = _mean([network(VIEWS[view](x)).float() for view in views])
        return logits.cpu().numpy(), None
    maps = [features(VIEWS[view](x)) for view in views]
    logits = _mean([head(view_maps).float() for view_maps in maps])
    embeddings = _mean([view_maps.float().mean((2, 3)) for view_maps in maps])
    return logits.cpu().numpy(), embeddings.cpu().numpy()


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(tuple(tensors)).sum(0) / len(tensors)


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


_precision_lock = threading.Lock()
_precise_users = 0
_precision_before: list[str] = []


@contextmanager
def full_precision() -> Iterator[None]:
    """True float32 products for the block: no TF32 on a GPU, no bfloat16 on a processor.

    The setting is the process's own: of several threads, the first sets it and the last restores it.
    """
    global _precise_users, _precision_before
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    backends: list[Any] = [cudnn.conv, torch.backends.cuda.matmul, mkldnn.conv, mkldnn.matmul]
    with _precision_lock:
        _precise_users += 1
        if _precise_users == 1:
            _precision_before = [backend.fp32_precision for backend in backends]
            for backend in backends:
                backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        with _precision_lock:
            _precise_users -= 1
            if _precise_users == 0:
                for backend, precision in zip(backends, _precision_before, strict=True):
                    backend.fp32_precision = precision
