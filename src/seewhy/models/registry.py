"""The networks by name: builds one, or counts its cost. Their options are in `config/networks/`."""

import importlib
import reprlib
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from seewhy.config.networks import NETWORKS, network_options
from seewhy.config.networks.options import NetworkOptions
from seewhy.config.networks.timm import TIMM
from seewhy.config.options import first_fault
from seewhy.errors import UsageError
from seewhy.models.network import Layer, Network, describe
from seewhy.models.timm import TimmNetwork
from seewhy.text import no_such

__all__ = [
    "Cost",
    "Layer",
    "Network",
    "build",
    "cost",
    "current_name",
    "describe",
    "name_of",
    "network_class",
]

# Parameters: 1 GB in fp32, so that no file can make a network that fills memory.
LARGEST = 250_000_000


class _Input(BaseModel):
    """What every network is built for."""

    model_config = ConfigDict(strict=True)

    num_classes: int = Field(ge=1, le=100_000)
    size: int = Field(ge=1, le=1024)


@dataclass(frozen=True)
class Cost:
    """Parameters of a network, and its FLOPs for one image (a multiply-add counts two)."""

    parameters: int
    flops: int


def build(name: str, /, *, num_classes: int, size: int, **options: float | str | None) -> Network:
    """Makes a network with fresh weights for images of `size` pixels a side.

    `options` are those of its record in `config.networks`; `None` means the network's default.
    `Network.arguments` builds the network again: `build(name, **network.arguments)`. Raises `UsageError`
    for an unknown name, an option that the network lacks, a value out of range, an image too small for
    the network, or a network of more than `LARGEST` parameters, before anything is built.
    """
    record = _checked(name, num_classes, size, options)
    _plan(name, num_classes, size, record)
    return network_class(name)(num_classes, size, record)


def cost(name: str, /, *, num_classes: int, size: int, **options: float | str | None) -> Cost:
    """Counts a network's parameters and FLOPs without building it; raises as `build` does."""
    record = _checked(name, num_classes, size, options)
    layers = describe(_plan(name, num_classes, size, record))
    return Cost(sum(layer.parameters for layer in layers), sum(layer.flops for layer in layers))


def network_class(name: str) -> type[Network]:
    """The class that implements a network; its module is imported now."""
    module, _, kind = network_options(name).implementation.partition(":")
    return getattr(importlib.import_module(f"seewhy.models.{module}"), kind)


def current_name(architecture: str | None, tensor: str) -> str:
    """The name that a tensor of an old bundle or checkpoint has in the network today."""
    dotted = f".{tensor}."
    for before, now in NETWORKS[architecture].renamed if architecture in NETWORKS else ():
        dotted = dotted.replace(f".{before}.", f".{now}.")
    return dotted[1:-1]


def name_of(network: nn.Module) -> str | None:
    """The name by which `build` makes such a network; None for a network of the user's own."""
    if isinstance(network, TimmNetwork):
        return network.name
    return next((name for name in NETWORKS if type(network) is network_class(name)), None)


def _checked(name: str, num_classes: int, size: int, options: dict[str, Any]) -> NetworkOptions:
    """The options as a record, all checked; they may come from an untrusted file."""
    if name not in NETWORKS and not name.startswith(TIMM):
        raise UsageError(no_such("network", name, NETWORKS))
    kind = network_options(name)
    options = {key: value for key, value in options.items() if value is not None}
    for key in options:
        if key not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            has = f"its options are {known}" if known else "it has no options"
            raise UsageError(f"{name} has no option {reprlib.repr(key)}: {has}")
    try:
        _Input(num_classes=num_classes, size=size)
        record = kind.model_validate(options, strict=True)
    except ValidationError as error:
        key, message, value = first_fault(error)
        if not key:
            raise UsageError(f"{name}: {message}") from None
        raise UsageError(f"{name}: {key}={reprlib.repr(value)} does not fit: {message}") from None
    inner = record.inner_size(size)
    if inner < min(kind.minimum_size, record.least_size()):
        fitting = [other for other, one in NETWORKS.items() if one.minimum_size <= size]
        hint = f"another network ({', '.join(fitting)})" if fitting else "larger images"
        raise UsageError(
            f"{name} needs images of at least {kind.minimum_size} pixels a side, these have "
            f"{size}: choose {hint}"
        )
    if inner < record.least_size():
        have = f"{size}" if inner == size else f"{size}, enlarged to {inner}"
        raise UsageError(
            f"{name} with stem=imagenet needs images of at least {record.least_size()} pixels a side, these "
            f"have {have}: choose stem=small, or larger images"
        )
    return record


def _plan(name: str, num_classes: int, size: int, options: NetworkOptions) -> Network:
    """Makes the network on torch's meta device: shapes without memory."""
    with torch.device("meta"):
        network = network_class(name)(num_classes, size, options)
    parameters = sum(tensor.numel() for tensor in network.parameters())
    if parameters > LARGEST:
        raise UsageError(
            f"{name} with {network.arguments} would have {parameters:,} parameters, more than "
            f"{LARGEST:,}: choose smaller images, fewer classes or another network"
        )
    return network
