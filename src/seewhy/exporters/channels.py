"""Which channels of a network must be cut together, read off its trace (Fang 2023, arXiv:2301.12900).

A convolution or linear layer makes channels and takes those of its input. Norms, activations, pools and
depthwise convolutions keep them, sums and gates make two layers' channels one, a concatenation lists them,
and a flattening repeats each for every position.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.nn import functional as F

from seewhy.errors import UsageError
from seewhy.models.blocks import steps, traced
from seewhy.models.network import Network, enlarged, without_weights

Units = NDArray[np.int64]  # of each channel the number of its unit: equal numbers are cut together

JOINING = {operator.add, operator.sub, operator.mul, operator.truediv}
REDUCING = {"mean", "amax", "sum"}  # methods of a tensor, over the dimensions that they name
KEEPING: set[Callable[..., Any]] = {F.interpolate, enlarged}


@dataclass(frozen=True, eq=False)
class Axis:
    """A dimension of a tensor of the state that goes along channels, and their units.

    Dimension 0 of a weight is of the channels that a layer makes or scales, 1 of those that it takes.
    """

    tensor: str
    dim: int
    units: Units


def channel_axes(network: Network) -> list[Axis]:
    """All dimensions of a network's tensors that go along channels; those of one image's colours are, too.

    Raises `UsageError` for a step that does not say where its channels go, and
    `torch.fx.proxy.TraceError` where the steps depend on the image.
    """
    copied, graph, shapes = traced(network)
    walk = _Walk(shapes)
    for node in graph.nodes:
        if node.op == "placeholder":
            walk.units[node] = walk.new(shapes[node][0])
        if (
            node.op == "output"
            or node not in shapes  # a size
            or walk.units.keys().isdisjoint(node.all_input_nodes)  # of the network's own tensors
        ):
            continue
        if node.op == "call_module":
            walk.units[node] = walk.after_module(node, copied.get_submodule(str(node.target)))
        else:
            walk.units[node] = walk.after_function(node)
    return walk.joined_axes()


class _Walk:
    """The units of every step so far, of which some have become one."""

    def __init__(self, shapes: dict[fx.Node, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.units: dict[fx.Node, Units] = {}
        self.axes: dict[tuple[str, int], Units] = {}
        self.parents: list[int] = []  # of each unit one that it is joined to, or itself

    def new(self, count: int) -> Units:
        first = len(self.parents)
        self.parents += range(first, first + count)
        return np.arange(first, first + count)

    def root(self, unit: int) -> int:
        while self.parents[unit] != unit:
            unit = self.parents[unit]
        return unit

    def join(self, one: Units, other: Units) -> Units:
        """Makes the units of two tensors one, channel by channel; a single channel goes with all others."""
        if len(one) == 1 or len(other) == 1:
            return max(one, other, key=len)
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            self.parents[self.root(b)] = self.root(a)
        return one

    def add(self, tensor: str, dim: int, units: Units) -> None:
        known = self.axes.setdefault((tensor, dim), units)
        if known is not units:  # a layer that is called twice
            self.join(known, units)

    def joined_axes(self) -> list[Axis]:
        roots = np.array([self.root(unit) for unit in range(len(self.parents))])
        return [Axis(tensor, dim, roots[units]) for (tensor, dim), units in self.axes.items()]

    def after_module(self, node: fx.Node, module: nn.Module) -> Units:
        """The units of a module's output."""
        name, x = str(node.target), self.units[node.all_input_nodes[0]]
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        if isinstance(module, nn.Flatten):
            return self._flattened(node)
        if isinstance(module, nn.Conv2d | nn.Linear):
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            if own["weight"].shape[1] != (1 if depthwise else len(x)):
                raise _unknown(node)
            if not depthwise:
                self.add(f"{name}.weight", 1, x)
            made = x if depthwise else self.new(len(own["weight"]))
            for tensor in own:
                self.add(f"{name}.{tensor}", 0, made)
            return made
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in own.keys() - {"num_batches_tracked"}:
                self.add(f"{name}.{tensor}", 0, x)
            return x
        if own:  # a layer of fixed channels: where it is not, its tensors do not fit the narrower network
            return self.new(self.shapes[node][0])
        return self._kept(node)

    def after_function(self, node: fx.Node) -> Units:
        """The units of the output of a function or a method."""
        tensors = [one for one in node.all_input_nodes if one in self.units]
        if node.target in JOINING:
            units = [self.units[one] for one in tensors]
            return self.join(*units) if len(units) == 2 else units[0]
        if node.target is torch.cat:
            parts = [self.units[one] for one in node.args[0]]  # type: ignore[union-attr, index]
            along = self._dims(node, node.args[1] if len(node.args) > 1 else 0)
            return np.concatenate(parts) if along == {1} else reduce(self.join, parts)
        if node.target in ("flatten", torch.flatten):
            return self._flattened(node)
        if node.target in REDUCING:
            dims = self._dims(node, node.args[1])
            if dims == {1} and node.kwargs.get("keepdim"):
                return self.new(1)
            if 1 not in dims:
                return self._kept(node)
        if node.target in KEEPING:
            return self._kept(node)
        raise _unknown(node)

    def _dims(self, node: fx.Node, dims: Any) -> set[int]:
        """Dimensions counted from the first, the batch."""
        count = len(self.shapes[node.all_input_nodes[0]]) + 1
        return {int(dim) % count for dim in np.atleast_1d(dims)}

    def _kept(self, node: fx.Node) -> Units:
        units = self.units[node.all_input_nodes[0]]
        if self.shapes[node][0] != len(units):
            raise _unknown(node)
        return units

    def _flattened(self, node: fx.Node) -> Units:
        units = self.units[node.all_input_nodes[0]]
        if len(self.shapes[node]) > 1:
            raise _unknown(node)
        return np.repeat(units, self.shapes[node][0] // len(units))


def _unknown(node: fx.Node) -> UsageError:
    return UsageError(f"its step {node.name} ({node.target}) does not say where its channels go")


def layers_of(network: Network) -> list[tuple[str, Any]]:
    """What a network computes, whatever its widths: networks of equal layers differ in these alone."""
    copied = without_weights(network).eval()
    tensors = [("tensor", name) for name in copied.state_dict()]
    return [*((node.op, node.target) for node in steps(copied).nodes), *tensors]
