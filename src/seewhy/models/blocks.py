"""A net as a person draws it: its layers in a few blocks, and which block feeds which."""

import operator
from dataclasses import dataclass, replace

from torch import fx, nn

from seewhy.models.network import Layer, Network, describe, without_weights

PICTURE = -1  # stands for the picture among a block's inputs


@dataclass(frozen=True)
class Block:
    """A layer with what follows it place by place (norm, activation, dropout), for one picture.

    `part` is the piece of the net that it belongs to, empty for none. `kind` is conv, linear, pool,
    sum or other. `shape` leaves the batch out. `inputs` are the positions of the blocks that it
    takes from, earlier in the list, or `PICTURE`.
    """

    part: str
    kind: str
    steps: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    flops: int
    inputs: tuple[int, ...]


def blocks(network: Network) -> list[Block]:
    """Groups the layers of a net, in the order in which they are called; the net is not touched.

    Raises `torch.fx.proxy.TraceError` for a net whose path depends on the values of a picture.
    """
    copied = without_weights(network)  # tracing adds attributes
    graph = _Tracer().trace(copied)
    layers = {layer.name: layer for layer in describe(network)}
    found: list[Block] = []
    at: dict[fx.Node, int] = {}  # the block whose output a node is
    for node in graph.nodes:
        if node.op == "placeholder":
            at[node] = PICTURE
            continue
        inputs = tuple(dict.fromkeys(at[n] for n in node.all_input_nodes if n in at))
        if not inputs or node.op == "output":
            continue
        source = max(inputs)
        if node.op == "call_module":
            module, layer = copied.get_submodule(str(node.target)), layers[str(node.target)]
            part = _part(copied, layer.name)
            if _follows(module) and source != PICTURE and _goes_on(node, found[source], part):
                found[source] = _extended(found[source], module, layer)
            elif not isinstance(module, nn.Identity):
                found.append(_block(part, module, layer, inputs))
                source = len(found) - 1
        elif len(inputs) > 1:
            last = found[source]  # where paths meet, the shapes are the same
            kind = "sum" if node.target is operator.add else "other"
            found.append(Block(last.part, kind, (kind,), last.shape, 0, 0, inputs))
            source = len(found) - 1
        at[node] = source
    return found


class _Tracer(fx.Tracer):
    """Takes every module without parts as one step, whoever wrote it."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not list(m.children())


def _part(network: Network, name: str) -> str:
    """The first piece of a layer's name, where that is a piece and not the layer itself."""
    first = name.split(".")[0]
    return first if list(network.get_submodule(first).children()) else ""


def _follows(module: nn.Module) -> bool:
    """Whether a layer is drawn with the one before it."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Flatten, nn.ReLU, nn.Sigmoid, nn.Tanh)
    return isinstance(module, kinds)


def _goes_on(node: fx.Node, source: Block, part: str) -> bool:
    """Whether a block goes on with a step: in the same part, and nobody else took what it had."""
    (before,) = node.all_input_nodes
    return source.part == part and len(before.users) == 1


def _block(part: str, module: nn.Module, layer: Layer, inputs: tuple[int, ...]) -> Block:
    return Block(
        part=part,
        kind=_kind(module),
        steps=(_words(module),),
        shape=layer.output_shape,
        parameters=layer.parameters,
        flops=layer.flops,
        inputs=inputs,
    )


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
    """A layer in a few words, with what its shape does not tell."""
    match module:
        case nn.Conv2d():
            stride = f" stride {module.stride[0]}" if module.stride[0] > 1 else ""
            return f"conv {module.kernel_size[0]}x{module.kernel_size[1]}{stride}"
        case nn.MaxPool2d():
            return f"max pool {module.kernel_size}x{module.kernel_size}"
        case nn.AdaptiveAvgPool2d():
            return "global average pool"
        case nn.AdaptiveMaxPool2d():
            return "global max pool"
        case nn.Dropout():
            return f"dropout {module.p:g}"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return "batch norm"
        case nn.ReLU():
            return "ReLU"
        case _:
            return type(module).__name__.lower()
