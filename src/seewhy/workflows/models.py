"""The networks, their costs and what they reached.

Torch is loaded only if something must be computed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.config.networks import MEASURED, NETWORKS, STORED_COST
from seewhy.config.networks.timm import TIMM
from seewhy.errors import UsageError, first_line
from seewhy.files import named_path, require_new, write_atomic

if TYPE_CHECKING:
    from seewhy.models.network import Layer, Network


def network_costs(size: int = 32, classes: int = 10) -> dict[str, dict[str, int]]:
    """Parameters, and FLOPs per image, of each network that accepts images of `size` pixels."""
    fitting = {name: kind for name, kind in NETWORKS.items() if size >= kind.minimum_size}
    if (size, classes) == STORED_COST:
        counts: dict[str, Any] = dict(fitting)
    else:
        from seewhy.models.registry import cost

        counts = {name: cost(name, num_classes=classes, size=size) for name in fitting}
    return {n: {"parameters": c.parameters, "flops": c.flops} for n, c in counts.items()}


def measured_networks(out: str | Path | None = None) -> dict[str, Any]:
    """What networks reached on CIFAR-10 in a few `epochs`, as `benchmarks/networks.py` measured it.

    `networks` has for each that is measured the `accuracy` (0 to 1) on validation and the `seconds` of the
    training on `machine`; all were trained alike. `out` is a new PNG file for a drawing of accuracy against
    time.
    """
    measured: dict[str, Any] = json.loads(MEASURED.read_text("utf-8"))
    figures = measured["networks"].items()
    whole = {"accuracy", "seconds"}  # the benchmark may have measured one of them so far
    measured["networks"] = {name: found for name, found in figures if whole <= found.keys()}
    if out is not None:
        from seewhy.plots import networks as draw

        out = named_path(out)
        require_new(out)
        write_atomic(out, draw.accuracy_by_time(measured, network_costs(*STORED_COST)))
    return measured


def build_network(
    name: str, *, size: int = 32, classes: int = 10, options: Mapping[str, Any] | None = None
) -> "Network":
    """A network with fresh weights: RGB images (N, 3, `size`, `size`) in [0, 1] to logits (N, `classes`).

    `options` are those of `--model.*`. `Network.fit_input` sets the mean and std of its normalisation. Raises
    `UsageError` for an unknown name, or for an option or a size that the network cannot have.
    """
    from seewhy.models.registry import build

    return build(name, num_classes=classes, size=size, **options or {})


def network_layers(
    name: str,
    *,
    size: int = 32,
    classes: int = 10,
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> "list[Layer]":
    """The layers of a network with fresh weights; `out` is a new PNG file for a drawing of it."""
    from seewhy.models.blocks import blocks
    from seewhy.models.registry import describe

    if out is not None:
        out = named_path(out)
        require_new(out)
    network = build_network(name, size=size, classes=classes, options=options)
    if out is not None:
        from seewhy.plots import network as draw

        try:
            drawn = blocks(network)
        except Exception as error:
            if not name.startswith(TIMM):
                raise
            raise UsageError(  # timm's code may depend on shapes, which torch.fx does not know
                f"{name} can be listed and not drawn ({first_line(error)}): leave out --out"
            ) from None
        write_atomic(out, draw.network(drawn, size, name))
    return describe(network)
