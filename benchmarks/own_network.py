"""A network of one's own by each recipe: which one suits networks that nobody knows.

    python benchmarks/own_network.py ../shared/data/cifar10 ../shared/data/hymenoptera [--seeds N]

Three small networks on 6,000 images of CIFAR-10, a tenth of them held out, for 8 epochs: plain (convolutions
and ReLU alone), with batch norm, and with attention. The one with batch norm on a folder of photographs, too,
at 128 pixels for 15 epochs. Accuracy of the images held out, on which nothing but the default is chosen.
Writes `benchmarks/results/own-network.json`.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from machine import describe
from torch import Tensor, nn

import seewhy
from seewhy.data import Data
from seewhy.errors import DivergedError

RECIPES = ("thumbnails", "resnet18", "regularized-cnn", "photos")
RESULTS = Path(__file__).parent / "results" / "own-network.json"


class Convolutional(nn.Module):
    """Three strided convolutions, the mean over positions, a linear layer."""

    def __init__(self, classes: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)]
            layers += [nn.BatchNorm2d(outputs)] * norm + [nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classes = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.features(x).mean((2, 3)))


class Attentive(nn.Module):
    """Patches of 4 pixels, two layers of attention, the mean over positions, a linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 96, 4, stride=4)
        self.places = nn.Parameter(torch.randn(64, 96) * 0.02)
        layer = nn.TransformerEncoderLayer(
            96, 4, 192, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classes = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.layers(self.patches(x).flatten(2).mT + self.places).mean(1))


NETWORKS = {
    "plain": lambda classes: Convolutional(classes, norm=False),
    "batch norm": lambda classes: Convolutional(classes, norm=True),
    "attention": Attentive,
}


def accuracy(data: Data, recipe: str, network: str, classes: int, **changes: object) -> float:
    """Validation accuracy after the last epoch; NaN where the loss diverged."""
    torch.manual_seed(int(changes["train.seed"]))
    model = NETWORKS[network](classes)
    with tempfile.TemporaryDirectory() as home:
        try:
            run = seewhy.train(data, recipe, out=Path(home, "run"), overrides=changes, model=model)
        except DivergedError:
            return float("nan")
        return float(run.history[-1]["val_accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10")
    parser.add_argument("photographs")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    known = seewhy.load_data(given.cifar10).train
    few = known.take(np.random.default_rng(0).permutation(len(known))[:6000])
    thumbnails = {"train": (np.asarray(few.images), few.labels)}
    classes = len(seewhy.load_data(given.photographs).train.classes)
    beds = [(f"{name}, thumbnails", thumbnails, name, 10, 32, 8) for name in NETWORKS]
    beds += [("batch norm, photographs", given.photographs, "batch norm", classes, 128, 15)]
    for bed, data, network, count, side, epochs in beds:
        results[bed] = {}
        for recipe in RECIPES:
            changes = {"data.size": side, "train.epochs": epochs, "train.keep": "last"}
            each = [
                accuracy(data, recipe, network, count, **changes, **{"train.seed": seed})
                for seed in range(given.seeds)
            ]
            results[bed][recipe] = {"mean": float(np.mean(each)), "seeds": each}
            print(f"{bed:26} {recipe:16} {np.mean(each):.1%} {each}", flush=True)
    record = {"results": results, "machine": describe()}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
