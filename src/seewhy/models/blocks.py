"""A network as a diagram shows it: its layers in a few blocks, and the inputs of each block."""

import operator
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from seewhy.models.drop_path import DropPath
from seewhy.models.network import ELEMENTWISE, Layer, Network, describe, without_weights

IMAGE = -1  # stands for the image among a block's inputs
# What joins several blocks, by the function that does it.
JOINS: dict[Any, str] = {operator.add: "sum", operator.mul: "product", torch.cat: "concatenation"}


@dataclass(frozen=True)
class Block:
    """A layer with the elementwise layers that follow it (norm, activation, dropout), for one image.

    `part` is the part of the network that it belongs to, empty for none. `kind` is conv, linear, pool,
    sum, product, concatenation or other. `shape` has no batch dimension. `inputs` are the positions of its
    input blocks, earlier in the list, or `IMAGE`.
    """

    part: str
    kind: str
    steps: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    flops: int
    inputs: tuple[int, ...]


def blocks(network: Network) -> list[Block]:
    """Groups the layers of a network, in the order of their calls; the network is not changed.

    Raises `torch.fx.proxy.TraceError` if the control flow of the network depends on the image.
    """
    copied, graph, shapes = traced(network)
    layers = {layer.name: layer for layer in describe(network)}
    grouped: list[Block] = []
    at: dict[fx.Node, int] = {}  # the block whose output a node is
    for node in graph.nodes:
        if node.op == "placeholder":
            at[node] = IMAGE
            continue
        if node.target is getattr:  # a size
            continue
        inputs = tuple(dict.fromkeys(at[n] for n in node.all_input_nodes if n in at))
        if not inputs or node.op == "output":
            continue
        source = max(inputs)
        if node.op == "call_module":
            module = copied.get_submodule(str(node.target))
            if isinstance(module, nn.Identity):
                at[node] = source
                continue
            layer = layers[str(node.target)]
            part = _part(copied, layer.name)
            if _follows(module) and source != IMAGE and _goes_on(node, grouped[source], part):
                grouped[source] = _extended(grouped[source], module, layer)
            else:
                numbers = layer.output_shape, layer.parameters, layer.flops
                grouped.append(Block(part, _kind(module), (_words(module),), *numbers, inputs))
                source = len(grouped) - 1
        elif len(inputs) > 1:
            kind, part = JOINS.get(node.target, "other"), grouped[source].part
            grouped.append(Block(part, kind, (kind,), shapes[node], 0, 0, inputs))
            source = len(grouped) - 1
        at[node] = source
    return grouped


def traced(network: Network) -> tuple[Network, fx.Graph, dict[fx.Node, tuple[int, ...]]]:
    """A copy of a network without weights, its steps, and the shape of each tensor for one image.

    Raises `torch.fx.proxy.TraceError` if the control flow of the network depends on the image.
    """
    copied = without_weights(network).eval()  # tracing adds attributes
    graph = steps(copied)
    return copied, graph, _Shapes(copied, graph=graph).shapes_of(network.size)


def steps(copied: nn.Module) -> fx.Graph:
    """The steps of a network; tracing adds attributes to it. Raises as `traced` does."""
    return _Tracer().trace(copied)


class _Tracer(fx.Tracer):
    """Does not trace into any module without submodules, including the user's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not list(m.children())


class _Shapes(fx.Interpreter):
    """Runs a graph once on one image without pixels, and keeps the shape of each node's output."""

    def shapes_of(self, size: int) -> dict[fx.Node, tuple[int, ...]]:
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        with torch.no_grad():
            self.run(torch.empty(1, 3, size, size, device="meta"))
        return self.shapes

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if isinstance(output, Tensor):
            self.shapes[n] = tuple(output.shape[1:])
        return output


def _part(network: Network, name: str) -> str:
    """The first component of a layer's name, unless that is the layer itself."""
    first = name.split(".")[0]
    return first if list(network.get_submodule(first).children()) else ""


def _follows(module: nn.Module) -> bool:
    """Whether a layer is shown with the one before it."""
    return isinstance(module, (*ELEMENTWISE, DropPath, nn.Flatten))


def _goes_on(node: fx.Node, source: Block, part: str) -> bool:
    """Whether a node extends a block: in the same part, and as the only user of its output."""
    (before,) = node.all_input_nodes
    return source.part == part and len(before.users) == 1


def _extended(block: Block, module: nn.Module, layer: Layer) -> Block:
    silent = isinstance(module, nn.Dropout) and module.p == 0
    return replace(
        block,
        steps=block.steps if silent else (*block.steps, _words(module)),
        shape=layer.output_shape,
        parameters=block.parameters + layer.parameters,
        flops=block.flops + layer.flops,
    )


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return "conv"
    if isinstance(module, nn.Linear):
        return "linear"
    return "pool" if "Pool" in type(module).__name__ else "other"


def _words(module: nn.Module) -> str:
    """A layer in a few words, with its options that the shape does not show."""
    match module:
        case nn.Conv2d():
            stride = f" stride {module.stride[0]}" if module.stride[0] > 1 else ""
            return f"conv {module.kernel_size[0]}x{module.kernel_size[1]}{stride}"
        case nn.MaxPool2d():
            return f"max pool {module.kernel_size}x{module.kernel_size}"
        case nn.AvgPool2d():
            return f"average pool {module.kernel_size}x{module.kernel_size}"
        case nn.AdaptiveAvgPool2d(output_size=1):
            return "global average pool"
        case nn.AdaptiveMaxPool2d():
            return "global max pool"
        case nn.Dropout():
            return f"dropout {module.p:g}"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return "batch norm"
        case nn.LayerNorm():
            return "layer norm"
        case nn.ReLU():
            return "ReLU"
        case nn.ReLU6():
            return "ReLU6"
        case nn.SiLU():
            return "SiLU"
        case nn.Hardswish():
            return "hard swish"
        case nn.Hardsigmoid():
            return "hard sigmoid"
        case nn.GELU():
            return "GELU"
        case DropPath():
            return f"drop path {module.rate:.2g}"
        case _:
            return re.sub("(?<=[a-z])(?=[A-Z])", " ", type(module).__name__).lower()
