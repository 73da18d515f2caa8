"""Histories of real trainings, by which the diagnostics are judged: sound, diverging and unsteady ones.

    OMP_NUM_THREADS=1 python benchmarks/histories.py ../shared/data

Every shipped recipe is trained on the digits, and those of photographs and CIFAR-10 (JPEG copy) on a part of these;
the last ones have a learning rate or a batch norm that cannot work. Writes `benchmarks/results/histories.json`, which
`tests/analysis/test_histories.py` reads. A finished run in `build/histories` is not trained again.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import seewhy

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "histories"
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
    "regularized-cnn on CIFAR-10": cifar10("regularized-cnn", 1000, epochs=12),
    "photos on hymenoptera": Training(
        "photos", "hymenoptera", {"data.size": 48, "model.width": 0.125}
    ),
    "photo-cnn on hymenoptera": Training("photo-cnn", "hymenoptera", {"data.size": 48}),
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
UNSTEADY = {
    "unsteady validation": Training(
        "resnet18",
        "cifar10",
        {"data.limit": 1000, "data.val": 0.01, "model.width": 0.125, "train.epochs": 15,
         "train.lr": 0.4, "train.batch_size": 32, "train.schedule": "constant"},
    ),
}


def trained(name: str, training: Training, data: Path) -> dict[str, Any]:
    """What a diagnostic knows of a training; one that diverged has the epochs before that."""
    run = seewhy.Run(RUNS / name.replace(" ", "-"))
    source = training.data if training.data == "digits" else str(data / training.data)
    overrides = {"train.amp": "fp32", **training.overrides}
    error = None
    try:
        seewhy.train(source, training.recipe, out=run.path, overrides=overrides, resume=True)
    except seewhy.SeeWhyError as raised:
        error = str(raised).partition(" (kept")[0]
    splits = seewhy.load_data(source, seewhy.load_recipe(training.recipe, overrides).data)
    history = run.history if (run.path / "history.csv").is_file() else []
    return {
        **training._asdict(),
        "train_counts": splits.train.counts.tolist(),
        "val_images": len(splits.val),
        "error": error,
        "config": run.config["recipe"]["train"],
        "history": [{key: float(f"{row[key]:.4g}") for key in COLUMNS} for row in history],
    }
