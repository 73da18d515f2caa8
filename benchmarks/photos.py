"""A folder of photographs: accuracy over seeds, and the same bits when damaged files are added.

    python benchmarks/photos.py ../shared/data/hymenoptera

Writes `benchmarks/results/photos.json`. The folder has train and val, no test: both recipes run at a
fixed length and keep their last epoch, so nothing is chosen on the val images that are measured. A run
in `build/photos` that is finished is not trained again.
"""

import argparse
import csv
import json
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from machine import describe
from safetensors import safe_open

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "photos"
SEEWHY = [sys.executable, "-m", "seewhy"]
SEEDS = {"photos": 3, "photo-cnn": 5}
FIXED_LENGTH = {"photos": [], "photo-cnn": ["--train.keep", "last", "--train.patience", "none"]}


def train(recipe: str, data: Path, run: Path, seed: int, *options: str) -> None:
    command = ["train", "--recipe", recipe, "--data", str(data), "--seed", str(seed)]
    command += ["--out", str(run), "--resume", *FIXED_LENGTH[recipe], *options]
    subprocess.run([*SEEWHY, *command], check=True, stdout=subprocess.DEVNULL)


def repeated(recipe: str, data: Path) -> dict:
    """The results of a recipe's runs, one per seed."""
    accuracies, seconds = [], []
    for seed in range(SEEDS[recipe]):
        run = RUNS / f"{recipe}-{seed}"
        train(recipe, data, run, seed)
        metrics = json.loads((run / "metrics.json").read_text())["val"]
        accuracies.append(metrics["accuracy"]["value"])
        seconds.append(float((run / "history.csv").read_text().split()[-1].split(",")[-1]))
    return {
        "val_accuracy": accuracies,
        "mean": statistics.mean(accuracies),
        "sd": statistics.stdev(accuracies),
        "seconds": seconds,
    }


def damaged_copy(data: Path, copy: Path) -> None:
    """The folder with ten damaged images added: truncated, noise, empty, of another format."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    rng = random.Random(0)
    folders = sorted(p for p in (copy / "train").iterdir() if p.is_dir())
    whole = sorted(folders[0].iterdir())[0].read_bytes()
    for number in range(10):
        content = [
            whole[: len(whole) // 3],
            rng.randbytes(5_000),
            b"",
            b"<html>not found</html>",
            whole[:2] + rng.randbytes(5_000),
        ][number % 5]
        (folders[number % len(folders)] / f"damaged-{number}.jpg").write_bytes(content)


def same_weights(first: Path, second: Path) -> bool:
    with safe_open(first, "numpy") as a, safe_open(second, "numpy") as b:
        names = sorted(a.keys())
        return names == sorted(b.keys()) and all(
            (a.get_tensor(name) == b.get_tensor(name)).all() for name in names
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    recipes = {recipe: repeated(recipe, given.data) for recipe in SEEDS}
    damaged_copy(given.data, RUNS / "damaged")
    run = RUNS / "photos-damaged"
    shutil.rmtree(run, ignore_errors=True)
    train("photos", RUNS / "damaged", run, 0, "--on-bad", "skip", "--max-bad", "0.05")
    with open(run / "bad_files.csv", newline="") as file:
        bad = list(csv.DictReader(file))
    found = {
        "data": "hymenoptera, its own train (244) and val (153 or so) folders",
        "recipes": recipes,
        "damaged_copy": {
            "same_bits": same_weights(
                RUNS / "photos-0/model.safetensors", run / "model.safetensors"
            ),
            "bad_files": len(bad),
            "codes": sorted(row["code"] for row in bad),
        },
        "machine": describe(),
    }
    (ROOT / "results" / "photos.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
