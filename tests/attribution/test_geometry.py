import threading

import pytest
import torch
from attribution.toys import SmallNet, pictures
from helpers import EVERY_NETWORK, small
from torch import Tensor, nn

from seewhy.attribution.geometry import Axis, axes, enlarge
from seewhy.config.networks import NETWORKS
from seewhy.models.registry import build


class Stack(nn.Module):
    """Features that are a stack of layers, and any head."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.head = nn.Sequential(*layers), nn.Flatten()

    def features(self, x: Tensor) -> Tensor:
        return self.layers(x)


def conv(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(3, 3, kernel, stride, padding, dilation, bias=False)
    nn.init.ones_(layer.weight)
    return layer


def found(model: nn.Module, height: int, width: int) -> tuple[Axis, Axis]:
    x = torch.zeros(1, 3, height, width)
    with torch.no_grad():
        return axes(model, model.features(x), x)


STACKS = [
    [(3, 1, 1), (2, 2, 0)],
    [(3, 2, 1)] * 3,
    [(2, 1, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)],
    [(7, 2, 3), (3, 2, 1), (3, 2, 1)],
    [(3, 1, 0), (3, 1, 0), (3, 2, 0)],
    [(4, 4, 0)],
    [(3, 1, 2, 2), (3, 2, 1)],
]


@pytest.mark.parametrize("size", [32, 45])
@pytest.mark.parametrize("layers", STACKS)
def test_the_centres_are_those_of_the_arithmetic_of_convolutions(layers, size: int) -> None:
    step, first = 1, 0.5
    for kernel, stride, padding, *dilation in layers:
        first += step * ((kernel - 1) * (dilation or [1])[0] / 2 - padding)
        step *= stride
    down, across = found(Stack(*(conv(*layer) for layer in layers)), size, size)
    assert (down.first, down.step) == (first, step) and across == down


@pytest.mark.parametrize("layers", STACKS)
def test_the_gradient_of_an_inner_cell_is_centred_there(layers) -> None:
    model, size = Stack(*(conv(*layer) for layer in layers)), 96
    x = torch.zeros(1, 3, size, size, requires_grad=True)
    maps = model.features(x)
    middle = maps.shape[2] // 2
    (gradient,) = torch.autograd.grad(maps[0, 0, middle, middle], x)
    weights = gradient[0, 0].sum(1)
    centre = ((torch.arange(size) + 0.5) * weights).sum() / weights.sum()
    down, _ = axes(model, maps, x.detach())
    assert down.centres()[middle].item() == pytest.approx(centre.item(), abs=1e-3)


def test_a_side_for_itself_where_the_image_is_not_square() -> None:
    down, across = found(Stack(conv(3, 2, 1), conv(3, 2, 1)), 40, 24)
    assert down == Axis(0.5, 4, 10, 40) and across == Axis(0.5, 4, 6, 24)


def test_cells_that_appear_together_share_the_stride() -> None:
    model = Stack(nn.AvgPool2d(8), nn.Upsample(scale_factor=2))
    assert found(model, 32, 32)[0] == Axis(2, 4, 8, 32)


def test_where_other_sizes_are_refused_the_cells_tile_the_image() -> None:
    class Fixed(Stack):
        def features(self, x: Tensor) -> Tensor:
            if x.shape[2:] != (32, 32):
                raise ValueError("32x32 alone")
            return super().features(x)

    assert found(Fixed(conv(3, 2, 1), conv(3, 2, 1)), 32, 32)[0] == Axis(2, 4, 8, 32)
    assert found(Stack(nn.AdaptiveAvgPool2d(4)), 32, 32)[0] == Axis(4, 8, 4, 32)


@pytest.mark.parametrize("kept", [threading.Lock(), torch.ones(1, requires_grad=True) * 2])
def test_where_a_network_cannot_be_copied_the_cells_tile_the_image(kept) -> None:
    model = Stack(conv(3, 2, 1), conv(3, 2, 1))
    model.kept = kept
    assert found(model, 40, 24) == (Axis(2, 4, 10, 40), Axis(2, 4, 6, 24))


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_cells_of_every_net_lie_in_the_image(name: str) -> None:
    size = max(32, NETWORKS[name].minimum_size)
    axis, _ = found(build(name, num_classes=2, size=size, **small(name)).eval(), size, size)
    assert axis.first > 0 and axis.centres()[-1] < size and axis.step >= 1


def test_speednets_cells_lie_left_of_where_stretching_would_put_them() -> None:
    model = build("speednet", num_classes=2, size=32).eval()
    assert found(model, 32, 32)[0] == Axis(4.5, 8, 3, 32)


def test_a_map_is_enlarged_smoothly_with_its_peak_at_the_cells_centre() -> None:
    model, x = SmallNet().eval(), pictures(1, 16)
    maps = torch.zeros(1, 8, 8)
    maps[0, 2, 5] = 1
    large = enlarge(model, maps, x)
    assert large.shape == (1, 16, 16)
    assert {tuple(at) for at in (large[0] > large.max() - 1e-5).nonzero().tolist()} == {
        *((4, 10), (4, 11), (5, 10), (5, 11))
    }
    assert large.max() < 1 and (large > 0).sum() > 16
    torch.testing.assert_close(enlarge(model, torch.ones(1, 8, 8), x), torch.ones(1, 16, 16))


def test_beyond_the_outermost_cells_a_map_fades() -> None:
    weights = Axis(4.5, 8, 3, 32).weights().sum(1)
    torch.testing.assert_close(weights[:25], torch.ones(25), rtol=0.01, atol=0)
    assert (weights[25:].diff() < 0).all() and 0.1 < weights[-1] < 0.3
    assert torch.equal(Axis(4, 8, 4, 32).weights().sum(1).round(decimals=5), torch.ones(32))
