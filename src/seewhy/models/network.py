"""The base class of networks (features, head, normalisation), and the layers that a network has."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from seewhy.config.networks.options import NetworkOptions
from seewhy.models.colour import Images, channel_statistics

# The std of a constant channel is 0; one grey level is the smallest step of uint8.
STD_FLOOR = 1 / 255

# Layers that change no shape, and have no FLOPs as papers count them.
ELEMENTWISE = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.Dropout),
    *(nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh),
)


class Network(nn.Module, ABC):
    """A classifier of square RGB images in two parts, `features` and `head`.

    It takes floats `(N, 3, H, W)` in [0, 1] and returns logits `(N, num_classes)`. `head` takes the
    one map `(N, C, h, w)` that `features` returns, so explanations and cached features work on every
    network. `arguments` are those of `build` that create the network again, as JSON values.
    """

    arguments: dict[str, Any]
    head: Callable[
        [Tensor], Tensor
    ]  # maps (N, C, h, w) -> logits (N, num_classes): module or method
    mean: Tensor
    std: Tensor

    def __init__(self, num_classes: int, size: int, options: NetworkOptions) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.size = size
        self.arguments = {
            "num_classes": num_classes,
            "size": size,
            **options.model_dump(mode="json"),
        }
        self.enlarge: int | None = self.arguments.get("enlarge")
        self.inner_size = options.inner_size(size)
        self.register_buffer("mean", torch.full((3,), 0.5))
        self.register_buffer("std", torch.full((3,), 0.25))

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Returns the maps `(N, C, h, w)` of images `(N, 3, H, W)` in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits `(N, num_classes)` of images `(N, 3, H, W)` in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def normalize(self, x: Tensor) -> Tensor:
        """Subtracts the mean of each channel and divides by its std; enlarges a small image if asked to."""
        if self.enlarge is not None:
            x = enlarged(x, self.enlarge)
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def fitting(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights by name as they fit this network, which may be for images of another size."""
        return tensors

    def fit_input(self, images: Images) -> None:
        """Sets the buffers that depend on the training images, once, before the first step.

        `images` is uint8 `(N, H, W, 3)`; it is read once, in chunks. Mean and std are over all pixels of
        a channel, exact and independent of the chunks.
        """
        mean, std = channel_statistics(images)
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(np.maximum(std, STD_FLOOR)))


def enlarged(x: Tensor, side: int) -> Tensor:
    """Images (N, 3, H, W) at `side` pixels a side, by bicubic interpolation, where they are smaller."""
    return x if x.shape[2] >= side else F.interpolate(x, size=(side, side), mode="bicubic")


fx.wrap("enlarged")  # one step of a traced network, as it looks at the size


@dataclass(frozen=True)
class Layer:
    """One layer of a network, for one image.

    `output_shape` has no batch dimension; it is empty if the module's parameters are used without
    calling it. `parameters` counts a shared tensor where it is first used. `flops` counts two for a
    multiply-add, and only convolutions and matrix products, as papers do.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int


def describe(network: Network) -> list[Layer]:
    """Lists the layers of a network in the order of their first calls.

    A layer is a module without submodules (`nn.Identity` is none), or one with parameters or FLOPs of its
    own; so the numbers of the layers add up to those of the network. One image without pixels passes through
    a copy without weights, in eval mode on torch's meta device: nothing is computed, and the network is not
    changed.
    """
    copied = without_weights(network).eval()
    calls = _calls(copied, torch.empty(1, 3, network.size, network.size, device="meta"))
    names = {module: name for name, module in copied.named_modules()}
    layers: list[Layer] = []
    counted = set[Tensor]()
    for module in [*calls, *(module for module in names if module not in calls)]:
        call = calls.get(module, _Call())
        own = set(module.parameters(recurse=False)) - counted
        counted |= own
        computes = module in calls and not isinstance(module, nn.Identity)
        if own or call.flops or (computes and not list(module.children())):
            parameters = sum(parameter.numel() for parameter in own)
            kind = type(module).__name__
            layers.append(Layer(names[module], kind, call.shape, parameters, call.flops))
    return layers


def flops(network: Network) -> int:
    """The FLOPs of a network for one image, as `describe` counts them."""
    return sum(layer.flops for layer in describe(network))


def without_weights(network: Network) -> Network:
    """Copies a network with all its tensors on the meta device: shapes without memory."""
    tensors = [*network.parameters(), *network.buffers()]
    return deepcopy(network, {id(t): torch.empty_like(t, device="meta") for t in tensors})


@dataclass
class _Call:
    """The call of a module: its output's shape, and its FLOPs without those of its submodules."""

    shape: tuple[int, ...] = ()
    flops: int = 0


def _calls(network: Network, x: Tensor) -> dict[nn.Module, _Call]:
    """Passes `x` through the network and returns the modules called, in the order of their first calls.

    The hooks are not removed: the network is a copy. In it, layers that keep the shape and count no FLOPs
    pass on what they are given, as on the meta device torch takes milliseconds to find a shape.
    """
    calls: dict[nn.Module, _Call] = {}
    running: list[nn.Module] = []  # the modules being called, outermost first
    counter = FlopCounterMode(display=False)
    credited = 0

    def credit() -> None:
        """Adds the FLOPs since the last time to the innermost module that is running."""
        nonlocal credited
        total = counter.get_total_flops()
        if running:
            calls[running[-1]].flops += total - credited
        credited = total

    def enter(module: nn.Module, _inputs: Any) -> None:
        credit()
        calls.setdefault(module, _Call())
        running.append(module)

    def leave(module: nn.Module, _inputs: Any, output: Any) -> None:
        credit()
        running.pop()
        first = output[0] if isinstance(output, tuple | list) else output
        calls[module].shape = tuple(first.shape[1:])

    for module in network.modules():
        if type(module) in ELEMENTWISE:
            module.forward = lambda x: x  # type: ignore[method-assign]
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    with counter, torch.no_grad():
        network(x)
    return calls
