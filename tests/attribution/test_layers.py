import pytest
import torch
from attribution.toys import LinearNet, SmallNet, pictures, traces
from helpers import EVERY_NETWORK, small

from seewhy.attribution.layers import feature_maps, first_filters
from seewhy.config.networks import NETWORKS
from seewhy.errors import UsageError
from seewhy.models.registry import build


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_maps_of_each_part_come_in_order_and_the_last_are_the_heads(name: str) -> None:
    size = max(32, NETWORKS[name].minimum_size)
    model = build(name, num_classes=2, size=size, **small(name)).eval()
    x = pictures(2, size)
    maps = feature_maps(model, x)
    assert len(maps) >= (2 if name == "vit" else 3)  # its blocks make tokens and no maps
    with torch.no_grad():
        torch.testing.assert_close(list(maps.values())[-1], model.features(x))
    sides = [found.shape[2] for found in maps.values()]
    assert all(len(found) == 2 for found in maps.values())
    assert sides == sorted(sides, reverse=True) or name == "fpn"  # whose maps grow again


def test_they_are_what_the_parts_give() -> None:
    model, x = SmallNet().eval(), pictures()
    maps = feature_maps(model, x)
    assert list(maps) == ["conv", "norm", "relu1", "pool", "conv2", "relu2"]
    with torch.no_grad():
        torch.testing.assert_close(maps["norm"], model.norm(model.conv(x)))


@pytest.mark.parametrize("fails", [False, True])
def test_no_trace_is_left(fails: bool) -> None:
    model = SmallNet().train()
    model.fails_at = 1 if fails else -1
    read = traces(model)
    left = read()
    if fails:
        with pytest.raises(RuntimeError):
            feature_maps(model, pictures())
    else:
        feature_maps(model, pictures())
    assert read() == left


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_first_filters_take_three_colours(name: str) -> None:
    model = build(name, num_classes=2, size=max(32, NETWORKS[name].minimum_size))
    filters = first_filters(model)
    assert filters.ndim == 4 and filters.shape[1] == 3 and len(filters) >= 8
    filters.zero_()  # a copy
    assert first_filters(model).shape == filters.shape


def test_of_speednet_they_are_the_whitening_kernels() -> None:
    model = build("speednet", num_classes=2, size=32)
    model.whitening.kernels.normal_()
    assert torch.equal(first_filters(model), model.whitening.kernels)


def test_a_network_without_such_a_convolution_is_refused() -> None:
    with pytest.raises(UsageError, match="Linear has no convolution of three colours"):
        first_filters(torch.nn.Linear(3, 2))
    assert first_filters(LinearNet()).shape == (3, 3, 8, 8)
