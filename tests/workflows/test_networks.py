"""The networks train, explain themselves and come back from their bundles, at 32 and 224 pixels."""

from pathlib import Path

import pytest
import torch
from helpers import QUICK, small, write_folder

import seewhy
from seewhy.attribution.grad_cam import grad_cam
from seewhy.errors import UsageError
from seewhy.inference.bundle import load as load_bundle
from seewhy.models.registry import build

EACH = (
    *("densenet", "efficientnet_b0"),
    *(
        pytest.param(name, marks=pytest.mark.long)
        for name in (
            "densenet121",
            "vgg11_bn",
            "inception",
            "mobilenet_v3_small",
            "mobilenet_v3_large",
        )
    ),
)


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "thumbnails", count=8, size=32)


def test_a_network_is_built_with_fresh_weights() -> None:
    network = seewhy.build_network("speednet", size=32, classes=7, options={"width": 0.25})
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    layers = seewhy.network_layers("speednet", size=32, classes=7, options={"width": 0.25})
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == sum(layer.parameters for layer in layers)
    with pytest.raises(UsageError, match="speednet"):
        seewhy.build_network("speednot")


@pytest.mark.parametrize("name", EACH)
def test_it_trains_and_its_bundle_predicts_and_explains(
    name: str, thumbnails: Path, tmp_path: Path
) -> None:
    options = {f"model.{option}": value for option, value in small(name).items()}
    overrides = {**QUICK, "data.size": 32, "train.epochs": 1, "model.name": name, **options}
    run = seewhy.train(thumbnails, "resnet18", out=tmp_path / "run", overrides=overrides)
    classifier = seewhy.load(run.path)
    val = classifier.splits(thumbnails).val
    stored = seewhy.Predictions.from_parquet(run.predictions("val"))
    assert (classifier.predict(val.images[:]).logits == stored.logits).all()
    network = load_bundle(run.model).network
    maps = grad_cam(network, torch.rand(2, 3, 32, 32), torch.tensor([0, 1]))
    assert maps.shape == (2, 32, 32) and maps.isfinite().all() and maps.std() > 0


@pytest.mark.parametrize("name", EACH)
def test_photographs_are_classified_and_explained(name: str) -> None:
    network = build(name, num_classes=3, size=224, **small(name)).eval()
    x = torch.rand(1, 3, 224, 224)
    assert network(x).shape == (1, 3)
    maps = grad_cam(network, x, torch.tensor([2]))
    assert maps.shape == (1, 224, 224) and maps.isfinite().all() and maps.std() > 0
