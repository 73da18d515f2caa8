"""What holds for every net, and what `describe` and `fit_input` say of one."""

import json

import numpy as np
import pytest
import torch
from helpers import EVERY_BLOCK, small
from torch import Tensor, nn
from torch.nn import functional

from seewhy.config.networks import NETWORKS
from seewhy.config.networks.options import NetworkOptions
from seewhy.models import colour
from seewhy.models.colour import channel_statistics
from seewhy.models.network import STD_FLOOR
from seewhy.models.registry import Network, build, describe

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Hardsigmoid)
EVERY_NET = pytest.mark.parametrize("name", EVERY_BLOCK)


def pictures(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def batch(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(pictures(count, size, seed)).permute(0, 3, 1, 2).float() / 255


def fitted(name: str, size: int = 32, num_classes: int = 10) -> Network:
    torch.manual_seed(0)
    network = build(name, num_classes=num_classes, size=size, **small(name))
    network.fit_input(pictures(64, size))
    return network


@EVERY_NET
@pytest.mark.parametrize("extra", [0, 1, 24, 57])
def test_any_size_from_the_smallest_gives_one_map_and_the_logits_of_its_head(
    name: str, extra: int
) -> None:
    size = NETWORKS[name].minimum_size + extra
    network = fitted(name, size, num_classes=3).eval()
    x = batch(2, size)
    maps = network.features(x)
    assert maps.ndim == 4 and len(maps) == 2 and min(maps.shape) >= 1
    assert network(x).shape == (2, 3)
    assert torch.equal(network.head(maps), network(x))
    assert network(x).isfinite().all()


@EVERY_NET
def test_a_single_image_of_the_smallest_size_can_be_trained_on(name: str) -> None:
    size = NETWORKS[name].minimum_size
    fitted(name, size).train()(batch(1, size)).sum().backward()


@EVERY_NET
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    network = fitted(name).eval()
    functional.cross_entropy(network(batch(8, 32)), torch.arange(8)).backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad and key != "whitening.bias":  # which is fixed
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, key


@EVERY_NET
def test_in_eval_mode_an_answer_does_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    network = fitted(name).eval()
    x = batch(8, 32)
    alone = torch.cat([network(picture[None]) for picture in x])
    torch.testing.assert_close(network(x), alone, rtol=1e-4, atol=1e-4)


@EVERY_NET
def test_the_memory_layout_of_the_images_changes_nothing(name: str) -> None:
    network = fitted(name).eval()
    x = batch(4, 32).contiguous()
    turned = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(turned), network(x), rtol=1e-4, atol=1e-4)


@EVERY_NET
def test_every_activation_is_used_once_and_not_in_place(name: str) -> None:
    network = fitted(name).eval()
    calls: dict[nn.Module, int] = {}
    for module in network.modules():
        assert not getattr(module, "inplace", False)
        if isinstance(module, ACTIVATIONS):
            calls[module] = 0
            module.register_forward_hook(lambda m, x, y: calls.update({m: calls[m] + 1}))
    network(batch(1, 32))
    assert calls and set(calls.values()) == {1}


@EVERY_NET
def test_the_arguments_make_the_net_again_also_from_json(name: str) -> None:
    size = max(24, NETWORKS[name].minimum_size)
    network = build(name, num_classes=7, size=size, **small(name))
    again = build(name, **json.loads(json.dumps(network.arguments)))
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in again.state_dict().items()}
    again.load_state_dict(network.state_dict())
    assert (again.num_classes, again.size, again.arguments) == (7, size, network.arguments)


@EVERY_NET
def test_the_layers_add_up_to_the_net(name: str) -> None:
    network = build(name, num_classes=10, size=32)
    layers = describe(network)
    assert sum(layer.parameters for layer in layers) == sum(
        parameter.numel() for parameter in network.parameters()
    )
    assert layers[-1].output_shape == (10,)
    assert len({layer.name for layer in layers}) == len(layers)


def test_a_net_without_features_is_no_net() -> None:
    with pytest.raises(TypeError, match="features"):
        Network(num_classes=2, size=8)  # type: ignore[abstract]


# --- the mean and deviation of the images


class Lazy:
    """Images that can be counted and sliced, and nothing else."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice)
        return self.images[rows]


@pytest.mark.parametrize("chunk_bytes", [1, 700, 2**24])
def test_mean_and_deviation_are_those_of_all_pixels_however_read(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour, "CHUNK_BYTES", chunk_bytes)
    images = pictures(37, 9)
    images[..., 1] //= 3
    mean, std = channel_statistics(Lazy(images))
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)) / 255, rtol=1e-12)
    np.testing.assert_allclose(std, images.std((0, 1, 2)) / 255, rtol=1e-12)


def test_the_brightest_images_do_not_overflow() -> None:
    mean, std = channel_statistics(np.full((600, 96, 96, 3), 255, dtype=np.uint8))
    assert mean.tolist() == [1, 1, 1] and std.tolist() == [0, 0, 0]


def test_the_fitted_images_are_normal_and_a_constant_channel_is_zero() -> None:
    images = pictures(50, 8)
    images[..., 2] = 77
    network = build("simple_cnn", num_classes=2, size=8)
    network.fit_input(images)
    assert network.std[2] == pytest.approx(STD_FLOOR)
    x = network.normalize(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x[:, :2].std((0, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)
    assert {"mean", "std"} <= set(network.state_dict())


# --- describe


class Odd(Network):
    """A net whose layers are shared, used without being called, or work beside their parts."""

    def __init__(self, num_classes: int, size: int, fails: bool = False) -> None:
        super().__init__(num_classes, size, NetworkOptions())
        self.fails = fails
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.twin = self.conv
        self.tied = nn.Conv2d(3, 3, 1, bias=False)
        self.tied.weight = self.conv.weight
        self.never_called = nn.Conv2d(3, 4, 1)
        self.scale = nn.Parameter(torch.ones(1))
        self.idle = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * size * size, num_classes),
            nn.BatchNorm1d(num_classes, affine=False),  # takes one image in eval mode alone
        )

    def features(self, x: Tensor) -> Tensor:
        x = self.tied(self.twin(self.conv(x)))
        if self.fails:
            raise RuntimeError("odd")
        weight, bias = self.never_called.weight, self.never_called.bias
        return functional.conv2d(self.drop(x), weight, bias) * self.scale


def test_every_parameter_and_flop_has_one_row() -> None:
    network = Odd(2, 5)
    rows = {layer.name: layer for layer in describe(network)}
    assert sum(row.parameters for row in rows.values()) == 9 + 16 + 1 + (100 * 2 + 2)
    assert (rows["conv"].parameters, rows["conv"].flops) == (9, 2 * 2 * 25 * 9)  # called twice
    assert (rows["tied"].parameters, rows["tied"].flops) == (0, 2 * 25 * 9)
    assert "twin" not in rows and "idle" not in rows
    assert (rows["never_called"].parameters, rows["never_called"].output_shape) == (16, ())
    assert (rows[""].parameters, rows[""].flops) == (1, 2 * 25 * 4 * 3)  # the net's own work
    assert rows["head.1"].flops == 2 * 100 * 2


def test_a_layer_that_gives_several_maps_has_the_shape_of_the_first() -> None:
    """As those of timm's HRNet and SelecSLS do."""

    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> list[Tensor]:
            return [x * self.scale, x[..., ::2, ::2]]

    class Branched(Odd):
        def __init__(self) -> None:
            super().__init__(2, 5)
            self.several = Several()

        def features(self, x: Tensor) -> Tensor:
            return super().features(self.several(x)[0])

    rows = {layer.name: layer for layer in describe(Branched())}
    assert (rows["several"].output_shape, rows["several"].parameters) == ((3, 5, 5), 1)


@pytest.mark.parametrize("fails", [False, True])
def test_describing_leaves_no_trace(fails: bool) -> None:
    network = Odd(2, 5, fails).train()
    network.head.eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    chance = torch.random.get_rng_state()
    if fails:
        with pytest.raises(RuntimeError, match="odd"):
            describe(network)
    else:
        describe(network)
    assert [module.training for module in network.modules()] == modes
    for module in network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
    for key, tensor in network.state_dict().items():
        assert tensor.device.type == "cpu" and torch.equal(tensor, before[key])
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert not nn.modules.module._global_forward_hooks
