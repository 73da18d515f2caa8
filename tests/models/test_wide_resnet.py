"""Wide ResNets: the sizes of their paper, and the residual block by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import QUICK, write_folder
from torch import nn

import seewhy
from seewhy.attribution.grad_cam import grad_cam
from seewhy.errors import UsageError
from seewhy.inference.bundle import load as load_bundle
from seewhy.models.registry import build, cost, describe
from seewhy.models.wide_resnet import WideBlock


@pytest.mark.parametrize(
    ("depth", "widen", "millions"),
    [
        *((40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (40, 8, 35.7)),
        *((28, 10, 36.5), (28, 12, 52.5), (22, 8, 17.2), (22, 10, 26.8)),
        *((16, 8, 11.0), (16, 10, 17.1)),
    ],
)
def test_parameters_are_the_papers(depth: int, widen: int, millions: float) -> None:
    """Zagoruyko 2016, table 4, which gives a tenth of a million."""
    there = cost("wide_resnet", num_classes=10, size=32, depth=depth, widen=widen)
    assert round(there.parameters / 1e6, 1) == millions


def test_flops_are_those_counted_elsewhere() -> None:
    """The paper has none; pytorchcv counts 5,246.98 million multiply-adds for WRN-28-10 on CIFAR-10."""
    there = cost("wide_resnet", num_classes=10, size=32, depth=28, widen=10)
    assert there.parameters == 36_479_194
    assert there.flops / 2 == pytest.approx(5_246.98e6, rel=0.01)


@pytest.mark.parametrize(
    ("size", "options", "first", "last"),
    [(5, {}, 5, 2), (32, {}, 32, 8), (224, {}, 56, 14), (17, {"stem": "imagenet"}, 5, 2)],
)
def test_the_stem_fits_the_size_of_the_images_or_is_chosen(
    size: int, options: dict[str, Any], first: int, last: int
) -> None:
    network = build("wide_resnet", num_classes=2, size=size, **options)
    shapes = {layer.name: layer.output_shape for layer in describe(network)}
    assert shapes["layer1.0.conv1"] == (64, first, first)
    assert shapes["relu"] == (256, last, last)
    with pytest.raises(UsageError, match="at least 17 pixels a side, these have 16"):
        build("wide_resnet", num_classes=2, size=16, stem="imagenet")


def test_a_block_adds_its_input_and_projects_what_is_activated_where_the_shape_changes() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 6, 6)
    same, changed = (
        WideBlock(16, outputs, stride, dropout=0, drop_path=0).eval()
        for outputs, stride in ((16, 1), (32, 2))
    )
    for block in (same, changed):
        nn.init.zeros_(block.conv2.weight)  # the residual is now nothing
    assert torch.equal(same(x), x)
    activated = (x / (1 + 1e-5) ** 0.5).relu()
    torch.testing.assert_close(changed(x), changed.shortcut(activated))
    assert changed(x).shape == (2, 32, 3, 3)


def test_it_trains_and_its_bundle_predicts_and_explains(tmp_path: Path) -> None:
    photos = write_folder(tmp_path / "photos", count=8)
    options = {"model.widen": 1, "model.dropout": 0.3, "model.drop_path": 0.1}
    overrides = {**QUICK, "train.epochs": 1, "model.name": "wide_resnet", **options}
    run = seewhy.train(photos, "resnet18", out=tmp_path / "run", overrides=overrides)
    bundle = seewhy.load(run.path)
    stored = seewhy.Predictions.from_parquet(run.predictions("val"))
    images = bundle.splits(photos).val.images[:]
    np.testing.assert_allclose(bundle.predict(images).logits, stored.logits, rtol=1e-4, atol=1e-4)
    network = load_bundle(run.model).network
    maps = grad_cam(network, torch.rand(2, 3, 16, 16), torch.tensor([0, 1]))
    assert maps.shape == (2, 16, 16) and maps.isfinite().all() and maps.std() > 0
