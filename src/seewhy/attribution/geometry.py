"""Where the cells of a feature map lie in the image: seldom where plain resizing would put them.

A 3x3 convolution of stride 2 looks at every other pixel from the first on, and pooling drops an odd
last row: after a few of them the cells are off by several pixels to one side.
"""

import copy
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from seewhy.attribution.method import halves
from seewhy.models.network import ELEMENTWISE


@dataclass(frozen=True)
class Axis:
    """The cells of a map along a side of an image: cell i is centred at `first + i * step` pixels."""

    first: float
    step: float
    cells: int
    pixels: int

    def centres(self) -> Tensor:
        """The centre of each cell in pixels, (cells,)."""
        return self.first + self.step * torch.arange(self.cells)

    def weights(self) -> Tensor:
        """How much of each cell each pixel takes, (pixels, cells): a Gaussian of half a step round it.

        A pixel's weights add up to 1; less where it lies outside the outermost cells by more than
        half a step, as no cell looks there.
        """
        at, centres = torch.arange(self.pixels) + 0.5, self.centres()
        shares = torch.softmax(-2 * ((at[:, None] - centres) / self.step) ** 2, 1)
        outside = (torch.maximum(centres[0] - at, at - centres[-1]) / self.step - 0.5).clamp(min=0)
        return shares * torch.exp(-2 * outside**2)[:, None]


# Axes by (height, width, h, w) of images and maps.
_known: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], tuple[Axis, Axis]]] = WeakKeyDictionary()


def enlarge(model: nn.Module, maps: Tensor, images: Tensor) -> Tensor:
    """A model's maps (N, h, w) at the size of the images, smooth between the centres of the cells."""
    down, across = (axis.weights().to(maps) for axis in axes(model, maps, images))
    return torch.einsum("yh,nhw,xw->nyx", down, maps, across)


def axes(model: nn.Module, maps: Tensor, images: Tensor) -> tuple[Axis, Axis]:
    """Where the cells of a model's maps (..., h, w) of images (N, 3, H, W) lie, down and across.

    That follows from the sizes of image at which one more cell appears. Some ten sizes are tried, once for
    a model, on a copy without weights that computes nothing but shapes. Where a network cannot be copied or
    take other sizes the cells are taken to tile the image.
    """
    known = _known.setdefault(model, {})
    sides = (*images.shape[2:], *maps.shape[-2:])
    if sides not in known:
        known[sides] = _found(model, *sides)
    return known[sides]


def _found(model: nn.Module, height: int, width: int, h: int, w: int) -> tuple[Axis, Axis]:
    try:
        copied = _shapes_alone(model)
    except Exception:  # whatever an attribute raises that cannot be copied
        return _tiled(height, h), _tiled(width, w)
    features, _ = halves(copied)

    def cells(down: int, across: int, dim: int) -> int:
        try:
            found: Tensor = features(torch.empty(1, 3, down, across, device="meta"))
        except Exception:  # whatever a network raises for a size that it cannot take
            return 0
        return found.shape[dim]

    with torch.no_grad():
        vertical = _axis(height, h, lambda n: cells(n, width, 2))
        if (height, h) == (width, w):
            return vertical, vertical
        return vertical, _axis(width, w, lambda n: cells(height, n, 3))


def _shapes_alone(model: nn.Module) -> nn.Module:
    """A copy on torch's meta device, without the layers that change no shape, which take most time."""
    tensors = [*model.parameters(), *model.buffers()]
    copied = copy.deepcopy(model, {id(t): torch.empty_like(t, device="meta") for t in tensors})
    for module in copied.modules():
        if isinstance(module, ELEMENTWISE):
            module.forward = nn.Identity().forward  # type: ignore[method-assign]
    return copied


def _axis(pixels: int, count: int, cells: Callable[[int], int]) -> Axis:
    """The axis of `count` cells on so many pixels, `cells(n)` being how many n pixels would have.

    With receptive field R, padding P in all and a stride, these are `(n + P - R) // stride + 1`, so
    the first is centred at half of the n that gives one. Where a network enlarges its maps several
    appear together.
    """
    reach = 2 * -(-pixels // count)  # no stride is longer
    start, end = max(0, pixels - reach), pixels + reach + 1
    least = bisect_left(range(end), count, lo=start, hi=pixels, key=cells)
    more = bisect_left(range(end), count + 1, lo=pixels + 1, key=cells)
    if cells(pixels) == count and more < end and cells(start) < count:
        stride, together = more - least, cells(more) - count
        step = stride / together
        first = (least - (count / together - 1) * stride) / 2 - (stride - step) / 2
        if 0 <= first <= first + step * (count - 1) <= pixels:
            return Axis(first, step, count, pixels)
    return _tiled(pixels, count)


def _tiled(pixels: int, count: int) -> Axis:
    """The axis of cells that tile so many pixels."""
    return Axis(pixels / count / 2, pixels / count, count, pixels)
