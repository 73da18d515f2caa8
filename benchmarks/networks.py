"""Every network on CIFAR-10 for five epochs: its accuracy, and the seconds that they take.

    python benchmarks/networks.py ../shared/data/cifar10 [--networks NAME ...] [--part accuracy|seconds]

All are trained with the same settings, by AdamW, from random weights, with the same seed; the accuracy is
that of the 5,000 validation images after the last epoch, on which nothing is chosen. The seconds are those of
training steps with nothing else running, times the steps of the five epochs; all networks' are measured
in the same run. Writes `src/seewhy/config/networks/measured.json`, which `seewhy models` shows, after each
network. Networks whose accuracy it has are not trained again; their runs are in build/networks, where an
interrupted one continues. Then: `seewhy models --out benchmarks/results/networks.png`.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe
from torch.nn import functional as F

import seewhy
from seewhy.config.networks import NETWORKS
from seewhy.inference.device import pick_amp, place
from seewhy.models.registry import build

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "src" / "seewhy" / "config" / "networks" / "measured.json"
EPOCHS, BATCH, IMAGES = 5, 128, 45_000
TRAINING = {
    "train.epochs": EPOCHS,
    "train.batch_size": BATCH,
    "train.optimizer": "adamw",
    "train.lr": 0.001,
    "train.weight_decay": 0.05,
    "train.label_smoothing": 0.1,
    "train.keep": "last",
    "augment.crop_padding": 2,
}
STEPS = 5


def accuracy(name: str, data: str) -> float:
    """Validation accuracy after the last epoch."""
    out = ROOT / "build" / "networks" / name
    changes = TRAINING | {"model.name": name}
    run = seewhy.train(data, "resnet18", out=out, overrides=changes, resume=True)
    return float(run.history[-1]["val_accuracy"])


def seconds(name: str) -> float:
    """Seconds of the five epochs, by the median training step."""
    device = torch.device("cpu")
    network = place(build(name, num_classes=10, size=32), device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    amp = pick_amp("auto", device)
    x = torch.rand(BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,))
    taken = []
    for _ in range(STEPS + 2):  # the first two also allocate
        start = time.perf_counter()
        with torch.autocast("cpu", amp, enabled=amp is not None):
            logits = network(x)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[2:]) * EPOCHS * (IMAGES // BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10")
    cheapest = sorted(NETWORKS, key=lambda name: NETWORKS[name].flops)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=cheapest)
    parser.add_argument("--part", choices=("accuracy", "seconds"), help="measure only this")
    given = parser.parse_args()
    for name in given.networks:
        figures = recorded()["networks"].get(name, {})
        if given.part != "seconds" and "accuracy" not in figures:
            figures["accuracy"] = round(accuracy(name, given.cifar10), 4)
        if given.part != "accuracy":
            figures["seconds"] = round(seconds(name))
        print(name, figures, flush=True)
        record = recorded()  # read again: another process may have added a network meanwhile
        record["networks"].setdefault(name, {}).update(figures)
        if given.part != "accuracy":
            record["machine"] = describe()
        MEASURED.write_text(json.dumps(record, indent=1) + "\n")


def recorded() -> dict[str, Any]:
    """What is measured so far."""
    record = json.loads(MEASURED.read_text()) if MEASURED.exists() else {"networks": {}}
    return record | {"data": "CIFAR-10 (JPEG copy)", "epochs": EPOCHS}


if __name__ == "__main__":
    main()
