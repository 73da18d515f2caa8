"""The nets by name: what there is, how to build one, what it costs."""

import difflib
import inspect
import reprlib
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, ValidationError

from seewhy.config.networks import ModelConfig
from seewhy.errors import UsageError
from seewhy.models.advanced_cnn import AdvancedCNN
from seewhy.models.deep_cnn import DeepCNN
from seewhy.models.network import Layer, Network, describe
from seewhy.models.photo_cnn import PhotoCNN
from seewhy.models.resnet import ResNet18
from seewhy.models.simple_cnn import RegularizedCNN, SimpleCNN
from seewhy.models.speednet import SpeedNet
from seewhy.models.strided_cnn import StridedCNN

__all__ = [
    "NETWORKS",
    "Cost",
    "Layer",
    "Network",
    "build",
    "cost",
    "describe",
    "options_of",
]

NETWORKS: dict[str, type[Network]] = {
    "simple_cnn": SimpleCNN,
    "regularized_cnn": RegularizedCNN,
    "strided_cnn": StridedCNN,
    "deep_cnn": DeepCNN,
    "advanced_cnn": AdvancedCNN,
    "photo_cnn": PhotoCNN,
    "resnet18": ResNet18,
    "speednet": SpeedNet,
}

LARGEST = 250_000_000  # parameters: 1 GB in fp32, so that no file can make a net that fills memory


class _Request(ModelConfig):
    """All that `build` is given; it may come from a file that is not ours."""

    num_classes: int = Field(ge=1, le=100_000)
    size: int = Field(ge=1, le=1024)


@dataclass(frozen=True)
class Cost:
    """Parameters of a net, and its FLOPs for one picture (a multiply-add counts two)."""

    parameters: int
    flops: int


def build(name: str, /, *, num_classes: int, size: int, **options: float | str | None) -> Network:
    """Makes a net with fresh weights for pictures of `size` pixels a side.

    `options` are those of `ModelConfig`; `None` means the net's default. `Network.arguments` makes
    the net again: `build(name, **network.arguments)`. Raises `UsageError` for an unknown name, an
    option that the net lacks, a value out of range, a picture too small for the net, or a net too
    large to be meant, before anything is built.
    """
    kind, arguments = _checked(name, {"num_classes": num_classes, "size": size, **options})
    _plan(name, kind, arguments)
    return kind(**arguments)


def cost(name: str, /, *, num_classes: int, size: int, **options: float | str | None) -> Cost:
    """Counts a net's parameters and FLOPs without building it; raises as `build` does."""
    kind, arguments = _checked(name, {"num_classes": num_classes, "size": size, **options})
    layers = describe(_plan(name, kind, arguments))
    return Cost(sum(layer.parameters for layer in layers), sum(layer.flops for layer in layers))


def options_of(name: str) -> tuple[str, ...]:
    """Names the options that a net has; raises `UsageError` for an unknown net."""
    parameters = inspect.signature(_network(name)).parameters
    return tuple(option for option in parameters if option not in ("num_classes", "size"))


def _network(name: str) -> type[Network]:
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no net {name!r}: there are {', '.join(NETWORKS)}{hint}")
    return NETWORKS[name]


def _checked(name: str, given: dict[str, Any]) -> tuple[type[Network], dict[str, Any]]:
    """Gives the class and the arguments that it takes, all of them within bounds."""
    kind = _network(name)
    arguments = {key: value for key, value in given.items() if value is not None}
    known = options_of(name)
    for key in arguments:
        if key not in ("num_classes", "size", *known):
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise UsageError(f"{name} has no option {reprlib.repr(key)}: {has}")
    try:
        _Request.model_validate({"name": name, **arguments}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        value = reprlib.repr(first["input"])
        raise UsageError(f"{name}: {key}={value} does not fit: {first['msg']}") from None
    size = arguments["size"]
    if size < kind.minimum_size:
        fitting = [other for other, net in NETWORKS.items() if net.minimum_size <= size]
        hint = f"another net ({', '.join(fitting)})" if fitting else "larger pictures"
        raise UsageError(
            f"{name} needs pictures of at least {kind.minimum_size} pixels a side, these have "
            f"{size}: choose {hint}"
        )
    return kind, arguments


def _plan(name: str, kind: type[Network], arguments: dict[str, Any]) -> Network:
    """Makes the net on torch's meta device: shapes without memory."""
    with torch.device("meta"):
        network = kind(**arguments)
    parameters = sum(tensor.numel() for tensor in network.parameters())
    if parameters > LARGEST:
        raise UsageError(
            f"{name} with {arguments} would have {parameters:,} parameters, more than {LARGEST:,}: "
            "choose smaller pictures, fewer classes or another net"
        )
    return network
