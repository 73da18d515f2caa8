"""ResNets: the sizes of their papers, timm's arithmetic, a stem for each size of image."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import QUICK, write_folder
from torch.nn import functional

import seewhy
from seewhy.attribution.grad_cam import grad_cam
from seewhy.errors import UsageError
from seewhy.inference.bundle import load as load_bundle
from seewhy.models.drop_path import DropPath
from seewhy.models.registry import build, cost, describe
from seewhy.models.resnet import BasicBlock, Bottleneck, Projection

EVERY_RESNET = pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])


def test_parameters_with_the_small_stem() -> None:
    assert cost("resnet18", num_classes=10, size=32).parameters == 11_173_962


@pytest.mark.parametrize(
    ("name", "options", "parameters", "multiply_adds"),
    [
        # He 2015, table 1, cut to two digits: 1.8, 3.6 and 3.8 billion multiply-adds. The first is 1.82, the
        # second 3.66 when counted; the last has the stride in the first convolution: with version 1.5, as
        # here, torchvision and timm count 4.09.
        ("resnet18", {}, 11.69e6, 1.82e9),
        ("resnet34", {}, 21.80e6, 3.66e9),
        ("resnet50", {}, 25.56e6, 4.09e9),
        # Woo 2018, table 4, multiply-adds counted on the same networks; ResNet-50 as above.
        ("resnet18", {"attention": "se"}, 11.78e6, 1.82e9),
        ("resnet18", {"attention": "cbam"}, 11.78e6, 1.82e9),
        ("resnet50", {"attention": "se"}, 28.09e6, 4.09e9),
        ("resnet50", {"attention": "cbam"}, 28.09e6, 4.10e9),
    ],
)
def test_parameters_and_flops_at_imagenet_size_are_the_papers(
    name: str, options: dict[str, Any], parameters: float, multiply_adds: float
) -> None:
    there = cost(name, num_classes=1000, size=224, **options)
    assert there.parameters == pytest.approx(parameters, rel=0.01)
    assert there.flops / 2 == pytest.approx(multiply_adds, rel=0.01)


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        pytest.param("resnet18", {}, {}, marks=pytest.mark.long),
        pytest.param("resnet34", {}, {}, marks=pytest.mark.long),
        ("resnet50", {}, {}),
        ("resnet18", {"attention": "se"}, {"block_args": {"attn_layer": "se"}}),
        ("resnet50", {"attention": "cbam"}, {"block_args": {"attn_layer": "cbam"}}),
    ],
)
def test_a_state_of_timms_loads_strictly_and_gives_timms_logits(
    timm_outputs: Any, name: str, options: dict[str, Any], theirs: dict[str, Any]
) -> None:
    x = torch.rand(2, 3, 80, 80)
    network = build(name, num_classes=7, size=80, **options).eval()
    state, logits = timm_outputs(name, network.normalize(x), num_classes=7, **theirs)
    network.load_state_dict({**state, "mean": network.mean, "std": network.std})
    assert logits.std() > 0.1
    torch.testing.assert_close(network(x), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "options", "stem", "last"),
    [
        (9, {}, 9, 2),
        (32, {}, 32, 4),
        (64, {}, 64, 8),
        (65, {}, 17, 3),
        (224, {}, 56, 7),
        (224, {"stem": "small"}, 224, 28),
        (33, {"stem": "imagenet"}, 9, 2),
    ],
)
def test_the_stem_fits_the_size_of_the_images_or_is_chosen(
    size: int, options: dict[str, Any], stem: int, last: int
) -> None:
    shapes = {
        layer.name: layer.output_shape
        for layer in describe(build("resnet18", num_classes=2, size=size, **options))
    }
    assert shapes["layer1.0.conv1"] == (64, stem, stem)
    assert shapes["layer4.1.relu2"] == (512, last, last)
    assert ("maxpool" in shapes) == (stem < size)


def test_images_too_small_for_the_stem_of_imagenet_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"stem=imagenet needs images of at least 33 pixels.*have 32"
    ):
        build("resnet18", num_classes=2, size=32, stem="imagenet")


@pytest.mark.parametrize(("width", "channels"), [(0.125, 8), (0.5, 32), (2, 128)])
def test_width_multiplies_the_channels(width: float, channels: int) -> None:
    network = build("resnet18", num_classes=2, size=16, width=width)
    assert network.features(torch.rand(1, 3, 16, 16)).shape == (1, 8 * channels, 2, 2)


def test_a_block_adds_its_input_and_projects_where_the_shape_changes() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    for block in (BasicBlock(8, 8, stride=1), Bottleneck(8, 2, stride=1)):
        last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
        torch.nn.init.zeros_(last.weight)  # the residual is now nothing
        assert torch.equal(block.eval()(x), x.relu())
    assert BasicBlock(8, 16, stride=2)(x).shape == (2, 16, 3, 3)
    assert Bottleneck(8, 4, stride=2)(x).shape == (2, 16, 3, 3)
    projection = BasicBlock(8, 16, 2).get_submodule("downsample")
    assert sum(p.numel() for p in projection.parameters()) == 8 * 16 + 2 * 16


@EVERY_RESNET
def test_the_rate_of_stochastic_depth_grows_to_that_of_the_last_block(name: str) -> None:
    network = build(name, num_classes=2, size=16, width=0.125, drop_path=0.3)
    rates = [m.rate for m in network.modules() if isinstance(m, DropPath)]
    steps = [later - earlier for earlier, later in pairwise(rates)]
    assert rates[-1] == pytest.approx(0.3) and len(rates) == (7 if name == "resnet18" else 15)
    assert steps == pytest.approx([rates[0]] * len(steps))  # the first block, of rate 0, has none
    torch.manual_seed(0)
    x = torch.rand(4, 3, 16, 16)
    assert not torch.equal(network.train().features(x), network.features(x))
    assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize("drop_path", [None, 0.0])
def test_without_stochastic_depth_or_attention_no_random_number_is_drawn(
    drop_path: float | None,
) -> None:
    torch.manual_seed(0)
    plain = build("resnet18", num_classes=2, size=16, width=0.125)
    torch.manual_seed(0)
    other = build("resnet18", num_classes=2, size=16, width=0.125, drop_path=drop_path)
    assert all(map(torch.equal, plain.state_dict().values(), other.state_dict().values()))
    before = torch.get_rng_state()
    other.train()(torch.rand(2, 3, 16, 16, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"model.name": "resnet34", "model.attention": "se", "model.drop_path": 0.1}, 16),
        pytest.param(
            {"model.name": "resnet50", "model.attention": "cbam", "model.stem": "imagenet"},
            40,
            marks=pytest.mark.long,
        ),
    ],
)
def test_it_trains_and_its_bundle_predicts_and_explains(
    options: dict[str, Any], size: int, tmp_path: Path
) -> None:
    photos = write_folder(tmp_path / "photos", count=8, size=size)
    overrides = {**QUICK, "data.size": size, "train.epochs": 1, "model.width": 0.125, **options}
    run = seewhy.train(photos, "resnet18", out=tmp_path / "run", overrides=overrides)
    bundle = seewhy.load(run.path)
    val = bundle.splits(photos).val
    stored = seewhy.Predictions.from_parquet(run.predictions("val"))
    np.testing.assert_allclose(
        bundle.predict(val.images[:]).logits, stored.logits, rtol=1e-4, atol=1e-4
    )
    network = load_bundle(run.model).network
    maps = grad_cam(network, torch.rand(2, 3, size, size), torch.tensor([0, 1]))
    assert maps.shape == (2, size, size) and maps.isfinite().all() and maps.std() > 0


@pytest.mark.parametrize("inputs", [8, 16])
def test_a_projection_is_a_strided_convolution(inputs):
    torch.manual_seed(0)
    x = torch.rand(3, inputs, 7, 8, requires_grad=True)
    layer = Projection(inputs, 2 * inputs, 1, stride=2, bias=False)
    expected = functional.conv2d(x, layer.weight, stride=2)
    changes = torch.rand_like(expected)
    parameters = (x, layer.weight)
    wanted = torch.autograd.grad(expected, parameters, changes)
    assert torch.allclose(layer(x), expected, atol=1e-6)
    for one, other in zip(torch.autograd.grad(layer(x), parameters, changes), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


NARROW = """
import torch
from seewhy.inference.device import place
from seewhy.models.registry import build

net = place(build("resnet18", num_classes=2, size=48, width=0.125), torch.device("cpu"))
for _ in range(3):
    x = torch.rand(16, 3, 48, 48).contiguous(memory_format=torch.channels_last)
    net(x).sum().backward()
"""


def test_a_narrow_net_writes_nowhere_else_in_memory():
    """A strided 1x1 convolution of 8 channels, channels last, does, and the process dies of it."""
    assert subprocess.run([sys.executable, "-c", NARROW], timeout=120).returncode == 0
