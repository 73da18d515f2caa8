"""Gradients of convolutions on narrow maps, in bfloat16 on a processor: of several images side by side.

For the gradient of a kernel oneDNN multiplies along the rows of a map, and a row of 3 or 7 places leaves most
of a matrix unit empty: that gradient takes two to thirteen times as long as the convolution itself. The
images of a batch laid side by side, with zeros between them, are one wide map with the same gradient
(docs/log.md).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

NARROW, WIDE = 7, 64  # places of a row
BACKWARD = torch.ops.aten.convolution_backward.default


class SideBySide(TorchDispatchMode):
    """Computes the gradients of kernels on narrow maps side by side within the block.

    Equal to PyTorch's own but for rounding, and the same each time. `useful` says whether there were such in
    the last block: watching each operation takes a millisecond a step.
    """

    useful = True

    def __enter__(self) -> Self:
        self.useful = False
        super().__enter__()
        return self

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is BACKWARD and _is_narrow(*args):
            self.useful = True
            gradient, x, weight, _, *geometry, mask = args
            gap = geometry[1][1]
            beside = _beside(len(x), x.shape[3] + gap)
            if beside > 1:
                rest = (None, None, None)
                if mask[0] or mask[2]:
                    rest = func(*args[:-1], [mask[0], False, mask[2]])
                wide = _wide(gradient, beside, gap), _wide(x, beside, gap)
                own = func(*wide, weight, None, *geometry, [False, True, False])
                return rest[0], own[1], rest[2]
        return func(*args, **(kwargs or {}))


def _is_narrow(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    biases: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    mask: Sequence[bool],
) -> bool:
    """Whether a kernel's gradient is wanted, on maps that are narrow and keep their width."""
    plain = x.ndim == 4 and groups == 1 and not transposed and {*stride, *dilation} == {1}
    if not (plain and mask[1] and x.dtype == torch.bfloat16 and x.shape[3] <= NARROW):
        return False
    return weight.shape[3] == 2 * padding[1] + 1 > 1


def _beside(count: int, width: int) -> int:
    """How many of `count` maps to lay side by side."""
    return max(n for n in range(1, WIDE // width + 1) if count % n == 0)


def _wide(maps: Tensor, beside: int, gap: int) -> Tensor:
    """Maps (N, C, H, W) as (N / beside, C, H, beside * (W + gap)), with `gap` zeros after each."""
    count, channels, height, width = maps.shape
    shape = (count // beside, height, beside, width + gap, channels)
    wide = maps.new_empty(shape)
    wide[..., width:, :] = 0
    rows = maps.permute(0, 2, 3, 1).reshape(count // beside, beside, height, width, channels)
    wide[..., :width, :] = rows.transpose(1, 2)
    return wide.view(count // beside, height, -1, channels).permute(0, 3, 1, 2)
