"""What every net is: features, a head, its own mean and deviation; and what a net is made of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

# A channel that never changes has no deviation; one grey level is the least that uint8 can show.
STD_FLOOR = 1 / 255


class Pictures(Protocol):
    """uint8 `(N, H, W, 3)`, counted by `len` and read by slices: an array, or a lazy view of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class Network(nn.Module, ABC):
    """A classifier of square RGB pictures in two halves, `features` and `head`.

    Takes floats `(N, 3, H, W)` in [0, 1] and gives logits `(N, num_classes)`. `head` consumes the
    one map `(N, C, h, w)` that `features` gives, so explanations and cached features work on every
    net. `arguments` holds what `build` needs to make the net again, as JSON values.
    """

    minimum_size: ClassVar[int]  # smallest picture side in pixels that the net can take

    head: nn.Module  # maps (N, C, h, w) -> logits (N, num_classes)
    mean: Tensor
    std: Tensor

    def __init__(self, num_classes: int, size: int, **options: float) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.size = size
        self.arguments: dict[str, Any] = {"num_classes": num_classes, "size": size, **options}
        self.register_buffer("mean", torch.full((3,), 0.5))
        self.register_buffer("std", torch.full((3,), 0.25))

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Gives the maps `(N, C, h, w)` of pictures `(N, 3, H, W)` in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Gives logits `(N, num_classes)` of pictures `(N, 3, H, W)` in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def normalize(self, x: Tensor) -> Tensor:
        """Takes the mean off each channel and divides by its deviation."""
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def fit_input(self, images: Pictures) -> None:
        """Sets the buffers that depend on the training pictures, once, before the first step.

        `images` is uint8 `(N, H, W, 3)`; it is read once, in chunks. The mean and deviation are of
        all pixels of a channel, exact and the same for every way of chunking.
        """
        mean, std = channel_statistics(images)
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(np.maximum(std, STD_FLOOR)))


def channel_statistics(images: Pictures, chunk: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Gives mean and standard deviation `(3,)` over all pixels, in [0, 1], as float64."""
    assert len(images) > 0
    total = np.zeros(3, dtype=np.int64)
    squares = np.zeros(3, dtype=np.int64)
    pixels = 0
    for start in range(0, len(images), chunk):
        rows = np.asarray(images[start : start + chunk])
        values = rows.reshape(len(rows), -1, 3).astype(np.uint16)
        total += values.sum((0, 1), dtype=np.int64)
        squares += np.square(values).sum((0, 1), dtype=np.int64)  # 255 squared still fits
        pixels += values.shape[0] * values.shape[1]
    mean = total / pixels
    return mean / 255, np.sqrt(np.maximum(squares / pixels - mean**2, 0)) / 255


@dataclass(frozen=True)
class Layer:
    """One layer of a net, for one picture.

    `output_shape` leaves the batch out and is empty for parameters that no module's call uses.
    `parameters` counts a shared tensor where it first comes. `flops` counts two for a multiply-add
    and covers convolutions and matrix products alone, as papers do.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int


def describe(network: Network) -> list[Layer]:
    """Lists the layers of a net in the order of their calls, by one pass of a shapeless picture.

    Runs on torch's meta device: nothing is computed and the net's weights are not touched. The
    layers' parameters and FLOPs add up to the net's.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    counter = FlopCounterMode(display=False)
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    picture = torch.empty(1, 3, network.size, network.size, device="meta")
    with _recorded(network, shapes), torch.no_grad(), counter:
        functional_call(network, weights, (picture,))

    modules = dict(network.named_modules())
    called = [name for name in shapes if name in modules]
    layers, seen = [], set[int]()
    for name in [*called, *(name for name in modules if name not in shapes)]:
        module = modules[name]
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(p) for p in own)
        flops = _own_flops(network, name, module, counter)
        if own or flops or not list(module.children()):
            parameters = sum(p.numel() for p in own)
            kind = type(module).__name__
            layers.append(Layer(name, kind, shapes.get(name, ()), parameters, flops))
    return layers


@contextmanager
def _recorded(network: Network, shapes: dict[str, tuple[int, ...]]) -> Iterator[None]:
    """Records each module's output shape for the block, in eval mode; leaves no trace."""
    training = {module: module.training for module in network.modules()}
    hooks = []
    try:
        network.eval()
        for name, module in network.named_modules():

            def note(_m: nn.Module, _x: Any, output: Tensor, name: str = name) -> None:
                shapes[name] = tuple(output.shape[1:])

            hooks.append(module.register_forward_hook(note))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode


def _own_flops(network: Network, name: str, module: nn.Module, counter: FlopCounterMode) -> int:
    """FLOPs of a module's own operations, without its children's."""
    counts = counter.get_flop_counts()

    def flops(name: str) -> int:
        path = f"{type(network).__name__}.{name}".removesuffix(".")
        return sum(counts.get(path, {}).values())

    prefix = f"{name}." if name else ""
    return flops(name) - sum(flops(prefix + child) for child, _ in module.named_children())
