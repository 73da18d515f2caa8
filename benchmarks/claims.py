"""What is claimed of photographs: P, R and F1 on every split, what the schedule saves, and bf16 against fp32.

    python benchmarks/claims.py ../shared/data/hymenoptera [--seeds 3] [--parts splits schedule precision]

`splits`: `transfer` as it stands; the folder's val is test, and a fifth of its train is val, drawn anew for
each seed. `schedule`: epochs that `photos`, from random weights, takes to 65% of val, with its one-cycle
schedule and with a constant rate (the highest of the cycle, and a tenth of it), for at most 60 epochs.
`precision`: `transfer` with all layers trained for two epochs, in bf16 and in fp32, seconds of one epoch and
val accuracy. A finished run in build/claims is not trained again. Writes `benchmarks/results/claims.json`.
"""

import argparse
import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import describe

import seewhy

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "claims"
RESULT = ROOT / "results" / "claims.json"
ENOUGH = 0.65
SCHEDULES = {
    "one cycle to 0.002": {},
    "constant 0.002": {"train.schedule": "constant"},
    "constant 0.0002": {"train.schedule": "constant", "train.lr": 0.0002},
}


def trained(name: str, data: Path, recipe: str, overrides: dict[str, Any]) -> seewhy.Run:
    return seewhy.train(str(data), recipe, out=RUNS / name, overrides=overrides, resume=True)


def over_seeds(values: list[float]) -> dict[str, Any]:
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "std": std, "seeds": values}


def splits(data: Path, seeds: int) -> dict[str, Any]:
    """Accuracy, and macro precision, recall and F1, on train, val and test."""
    renamed = RUNS / "data"
    if not renamed.exists():
        for old, new in (("train", "train"), ("val", "test")):
            shutil.copytree(data / old, renamed / new)
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        changes = {"train.seed": seed, "data.split_seed": seed, "data.val": 0.2}
        run = trained(f"transfer-{seed}", renamed, "transfer", changes)
        for split in ("train", "val", "test"):
            metrics, _ = seewhy.evaluate(run.path, str(renamed), split)
            figures = {"accuracy": metrics.accuracy.value} | asdict(metrics.macro)
            for name, value in figures.items():
                found.setdefault(split, {}).setdefault(name, []).append(value)
    return {
        split: {name: over_seeds(values) for name, values in figures.items()}
        for split, figures in found.items()
    }


def schedule(data: Path, seeds: int) -> dict[str, Any]:
    """The first epoch that reaches `ENOUGH` of val; None for a run that never does."""
    found = {}
    for name, changes in SCHEDULES.items():
        reached, last = [], []
        for seed in range(seeds):
            run = trained(f"{name} {seed}", data, "photos", changes | {"train.seed": seed})
            accuracies = [float(row["val_accuracy"]) for row in run.history]
            reached.append(
                next((epoch for epoch, a in enumerate(accuracies, 1) if a >= ENOUGH), None)
            )
            last.append(accuracies[-1])
        found[name] = {f"epochs_to_{ENOUGH:g}": reached, "last": over_seeds(last)}
    return found


def precision(data: Path, seeds: int) -> dict[str, Any]:
    """Seconds of the second epoch, which finds everything loaded, and val accuracy after it."""
    found = {}
    for amp in ("fp32", "bf16"):
        seconds, accuracies = [], []
        for seed in range(seeds):
            changes = {"train.unfreeze": "all", "train.epochs": 2, "train.progressive": None}
            changes |= {"train.amp": amp, "train.seed": seed, "train.keep": "last"}
            run = trained(f"{amp}-{seed}", data, "transfer", changes)
            times = [float(row["seconds"]) for row in run.history]
            seconds.append(times[-1] - times[-2])
            accuracies.append(float(run.history[-1]["val_accuracy"]))
        found[amp] = {"seconds": over_seeds(seconds), "accuracy": over_seeds(accuracies)}
    return found


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "splits": splits,
    "schedule": schedule,
    "precision": precision,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    given = parser.parse_args()
    stored: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for part in given.parts:
        stored[part] = PARTS[part](given.data, given.seeds)
        stored["machine"] = describe()
        RESULT.write_text(json.dumps(stored, indent=1) + "\n")
        print(json.dumps({part: stored[part]}, indent=1), flush=True)


if __name__ == "__main__":
    main()
