"""A look at a network of the user's own before it is trained: what does not fit is told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError, first_line, out_of_memory
from seewhy.inference.device import device_of
from seewhy.inference.forward import evaluating, to_input
from seewhy.text import counted
from seewhy.training.layers import freeze_batch_norms

SAME = 1e-3  # times the logit, or 1: how far two answers to one image may be apart


def check_custom(
    network: nn.Module, config: TrainConfig, classes: int, size: int, images: int
) -> None:
    """Raises `UsageError` unless a network can be trained on so many images, and stored.

    It sees two images of noise, twice in evaluation and once in training mode; and one alone, where a batch
    will have one. Its statistics, its modes and all random states stay as they are.
    """
    if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
        _refuse("it has a layer of unknown size (such as LazyLinear)", "pass an image through it")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        _refuse("all its parameters are frozen", "set requires_grad of those to train")
    for name, tensor in network.state_dict().items():
        if tensor.is_complex() or not torch.isfinite(tensor).all():
            kind = "complex" if tensor.is_complex() else "infinite or NaN"
            remedy = "register a constant with persistent=False, which its constructor makes again"
            _refuse(f"{name} has {kind} values, which no checkpoint keeps", remedy)
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    x = to_input(noise, device_of(network))
    with _keeping_buffers(network), evaluating(network):
        once, again = (_logits(network, x, classes) for _ in range(2))
        if not torch.allclose(once, again, rtol=SAME, atol=SAME):
            remedy = "use nn.Dropout, or dropout(x, p, self.training), which evaluation turns off"
            _refuse("in evaluation mode it gives other logits each time", remedy)
        if not _is_its_parts(network, x, once):
            _refuse(
                "it has features and head, and head(features(x)), with maps (N, C, h, w) between them, does "
                "not give its logits",
                "rename one of the two, or give nn.Sequential(network), which has neither",
            )
        network.train()
        if config.freeze_batch_norm:
            freeze_batch_norms(network)
        _logits(network, x, classes)
        if config.unfreeze == "all" and config.ends_with_one(images):
            _logits(network, x[:1], classes)


def _is_its_parts(network: nn.Module, x: Tensor, logits: Tensor) -> bool:
    """Whether `features` and `head` make its logits, if it has both: analysis and explanations call them."""
    features: Any = getattr(network, "features", None)
    head: Any = getattr(network, "head", None)
    if features is None or head is None:
        return True
    try:
        maps = features(x)
        made = head(maps)
        return maps.ndim == 4 and torch.allclose(made, logits, rtol=SAME, atol=SAME)
    except Exception as error:
        if out_of_memory(error):
            raise
        return False


def _logits(network: nn.Module, x: Tensor, classes: int) -> Tensor:
    """The logits of a batch. Raises `UsageError` if it has none, or others than one for each class."""
    mode = "training" if network.training else "evaluation"
    shape = f"float logits of shape ({len(x)}, {classes}), one for each class"
    seen = f"in {mode} mode, of {counted(len(x), 'image')} of {x.shape[2]} pixels, it"
    if len(x) == 1:
        seen = "with this train.batch_size the last batch has one image, and then it"
    try:
        logits = network(x)
    except Exception as error:
        if out_of_memory(error):
            raise
        remedy = f"it must take float32 images and give {shape}"
        remedy = "choose another train.batch_size" if len(x) == 1 else remedy
        _refuse(f"{seen} raises {type(error).__name__}: {first_line(error)}", remedy)
    if not isinstance(logits, Tensor):
        _refuse(f"{seen} gives a {type(logits).__name__}", f"it must give {shape}")
    if logits.shape != (len(x), classes) or not logits.is_floating_point():
        kind = f"{str(logits.dtype).removeprefix('torch.')} of shape {tuple(logits.shape)}"
        _refuse(f"{seen} gives {kind}", f"it must give {shape}")
    if not torch.isfinite(logits).all():
        _refuse(f"{seen} gives logits that are infinite or NaN", "they must be finite")
    return logits


def _refuse(problem: str, remedy: str) -> NoReturn:
    raise UsageError(f"the network that model= gives cannot be trained: {problem}; {remedy}")


@contextmanager
def _keeping_buffers(network: nn.Module) -> Iterator[None]:
    """Gives the buffers the values from before the block, such as statistics of batch norms."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
