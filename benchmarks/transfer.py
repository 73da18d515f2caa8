"""Transfer learning on any folder of images: accuracy with its interval, seconds and memory.

    python benchmarks/transfer.py DATA [--seeds N] [--recipes transfer ...] [--few N] [--side N] [-- OPTIONS]

DATA is a folder of images, or CIFAR-10. Each recipe is trained as it stands (and with the OPTIONS of `seewhy
train`), once for each seed; the first run of a recipe finds an empty cache ("cold"), the second the images
and features of the first ("warm"). Accuracy is that of test where the data have one, which is read once by
each run, else that of val, on which then nothing is chosen: the penalty of the last layer is chosen by cross-
validation within train. `seconds` are those of the training as the run counts them, features included;
`process` those of the whole command: start-up, decoding of the images and the report, too. `memory` is the
peak of the process. With `--few N` the data are N images of each class, the first of the training split, and
2,000 others of it as test. With `--side N` the JPEG files of a folder are first scaled to N pixels on the
shorter side. Writes `benchmarks/results/transfer.json`, one entry for each folder, recipe and options.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from PIL import Image

import seewhy

RESULT = Path(__file__).parent / "results" / "transfer.json"


def measured(data: Path, recipe: str, options: list[str], seeds: int, home: Path) -> dict[str, Any]:
    """One training for each seed, all with one cache, which is empty before the first."""
    environment = {**os.environ, "SEEWHY_CACHE": str(home / "cache")}
    turns = []
    for seed in range(seeds):
        out = home / f"run-{seed}"
        command = ["train", "--recipe", recipe, "--data", str(data), "--seed", str(seed)]
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "seewhy", *command, "--out", str(out), *options],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        turns.append({**result(seewhy.Run(out), data), "process": time.monotonic() - start})
        print(json.dumps(turns[-1]), flush=True)
    accuracies = [turn["accuracy"] for turn in turns]
    return {
        "mean": statistics.mean(accuracies),
        "std": statistics.stdev(accuracies) if seeds > 1 else None,
        "cold": {name: turns[0][name] for name in ("seconds", "process")},
        "warm": {name: turns[1][name] for name in ("seconds", "process")} if seeds > 1 else None,
        "memory_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6,
        "turns": turns,
        "machine": describe(),
    }


def result(run: seewhy.Run, data: Path) -> dict[str, Any]:
    split = "test" if "test" in run.split_sizes else "val"
    if split == "test":
        seewhy.evaluate(run, str(data), "test")
    accuracy = run.metrics[split]["accuracy"]
    train = run.config["recipe"]["train"]
    return {
        "split": split,
        "images": dict(run.split_sizes),
        "accuracy": accuracy["value"],
        "interval": [accuracy["low"], accuracy["high"]],
        "unfreeze": train.get("unfreeze"),
        "epochs": run.history[-1]["epoch"],
        "seconds": run.history[-1]["seconds"],
    }


def few(data: Path, count: int, file: Path) -> Path:
    """`count` training images of each class, and 2,000 others of the training split as test images."""
    train = seewhy.load_data(str(data)).train
    order = np.random.default_rng(0).permutation(len(train.labels))
    by_class = [order[train.labels[order] == label] for label in range(len(train.classes))]
    first = np.concatenate([rows[:count] for rows in by_class])
    others = order[~np.isin(order, first)][:2000]
    arrays = {"classes": np.array(train.classes)}
    for name, rows in (("train", np.sort(first)), ("test", np.sort(others))):
        arrays |= {f"{name}_images": train.images[rows], f"{name}_labels": train.labels[rows]}
    np.savez(file, **arrays)
    return file


def scaled(data: Path, side: int, folder: Path) -> Path:
    """A copy of the photographs with `side` pixels on the shorter side."""
    for file in sorted(data.rglob("*.jpg")):
        target = folder / file.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as photograph:
            ratio = side / min(photograph.size)
            size = [round(ratio * length) for length in photograph.size]
            small = photograph.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.save(target, quality=92)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=["transfer"])
    smaller = parser.add_mutually_exclusive_group()
    smaller.add_argument("--few", type=int, help="only so many training images of each class")
    smaller.add_argument("--side", type=int, help="pixels on the shorter side, of smaller copies")
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    given, options = parser.parse_args(arguments[:at]), arguments[at + 1 :]
    stored: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    for recipe in given.recipes:
        with tempfile.TemporaryDirectory() as home:
            data = given.data.resolve()
            if given.few:
                data = few(data, given.few, Path(home) / f"{data.name}-{given.few}-a-class.npz")
            if given.side:
                data = scaled(data, given.side, Path(home) / f"{data.name}-{given.side}-pixels")
            found = measured(data, recipe, options, given.seeds, Path(home))
        name = " ".join([data.stem, recipe, *options])
        stored[name] = found
        RESULT.write_text(json.dumps(stored, indent=1))
        print(f"{name}: {found['mean']:.1%}", flush=True)


if __name__ == "__main__":
    main()
