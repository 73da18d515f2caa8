"""Histories of real trainings, by which the diagnostics are judged: sound, diverging and unsteady ones.

    OMP_NUM_THREADS=1 python benchmarks/histories.py ../shared/data

The shipped recipes are trained on the digits and on a part of CIFAR-10 (JPEG copy); the other
trainings have a learning rate that cannot work. Writes `benchmarks/results/histories.json`, which
`tests/analysis/test_histories.py` reads. A finished run in `build/histories` is not trained again.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

import seewhy

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "histories"
BATCH_NORM = nn.modules.batchnorm._BatchNorm
COLUMNS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


class Training(NamedTuple):
    """A recipe, where its images are, and what differs from the recipe."""

    recipe: str
    data: str
    overrides: dict[str, Any]


def cifar10(recipe: str, limit: int, **train: Any) -> Training:
    fields = {f"train.{name}": value for name, value in train.items()}
    return Training(recipe, "cifar10", {"data.limit": limit, "data.val": 0.02, **fields})


def digits(recipe: str, **overrides: Any) -> Training:
    return Training(recipe, "digits", {k.replace("__", "."): v for k, v in overrides.items()})


SMALL = ("digits", "simple-cnn", "regularized-cnn", "strided-cnn", "advanced-cnn", "photo-cnn")
DEEP = ("deep-baseline", "deep-batchnorm", "deep-dropout", "deep-augmented")
SHIPPED = {f"{name} on digits": digits(name) for name in (*SMALL, *DEEP)} | {
    "simple-cnn on CIFAR-10": cifar10("simple-cnn", 4000),
    "strided-cnn on CIFAR-10": cifar10("strided-cnn", 2000),
    "regularized-cnn on CIFAR-10": cifar10("regularized-cnn", 500, epochs=10),
    "photos on CIFAR-10": Training(
        "photos", "cifar10", {"data.limit": 200, "data.val": 0.004, "model.width": 0.125}
    ),
    "resnet18 on CIFAR-10": Training(
        "resnet18",
        "cifar10",
        {"data.limit": 1000, "data.val": 0.01, "model.width": 0.125, "train.epochs": 15},
    ),
}
DIVERGING = {
    "to NaN": digits("simple-cnn", train__optimizer="sgd", train__lr=10_000.0),
    "explodes": digits("simple-cnn", train__optimizer="sgd", train__lr=100.0, train__epochs=10),
    "explodes, then guesses": digits("simple-cnn", train__lr=1.0),
    "collapses in the middle": digits(
        "simple-cnn", train__optimizer="sgd", train__lr=0.3, train__schedule="one_cycle"
    ),
}
GROUPS = {"diverging": DIVERGING, "shipped": SHIPPED}


def trained(name: str, group: str, training: Training, data: Path) -> dict[str, Any]:
    """What a diagnostic knows of a training; one that diverged has the epochs before that."""
    out = RUNS / name.replace(" ", "-")
    source = training.data if training.data == "digits" else str(data / training.data)
    overrides = {"train.amp": "fp32", **training.overrides}
    error, momentum = None, None
    try:
        seewhy.train(source, training.recipe, out=out, overrides=overrides, resume=True)
        network = seewhy.load(out).module()
        momentum = next((m.momentum for m in network.modules() if isinstance(m, BATCH_NORM)), None)
    except seewhy.SeeWhyError as raised:
        error = str(raised).partition(" (kept")[0]
    run = seewhy.Run(out)
    splits = seewhy.load_data(source, seewhy.load_recipe(training.recipe, overrides).data)
    history = run.history if (out / "history.csv").is_file() else []
    return {
        "group": group,
        **training._asdict(),
        "train_counts": splits.train.counts.tolist(),
        "val_images": len(splits.val),
        "momentum": momentum,
        "error": error,
        "config": run.config["recipe"]["train"],
        "history": [{key: float(f"{row[key]:.4g}") for key in COLUMNS} for row in history],
    }


def main() -> None:
    data = Path(sys.argv[1])
    recorded = {
        name: trained(name, group, training, data)
        for group, trainings in GROUPS.items()
        for name, training in trainings.items()
    }
    path = ROOT / "results" / "histories.json"
    lines = (f" {json.dumps(name)}: {json.dumps(one)}" for name, one in recorded.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
