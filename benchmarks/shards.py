"""What shards cost and gain: seconds of a training in one process and in two, and accuracy over seeds.

    python benchmarks/shards.py speed DATA [--recipe resnet18] [--images 2000] [--rounds 3]
    python benchmarks/shards.py accuracy DATA [--recipe thumbnails] [--images 5000] [--epochs 8] [--seeds 3]

Speed takes one epoch by turns: one thread, two threads, one thread with two shards, and two processes of one
thread. Accuracy compares two and four shards with none, seed by seed. Both write into
`benchmarks/results/shards.json`. Test is not read.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe

import seewhy

RESULT = Path(__file__).parent / "results" / "shards.json"
WAYS = {  # threads, and flags
    "one thread": (1, []),
    "two threads": (2, []),
    "one thread, two shards": (1, ["--train.shards", "2"]),
    "two processes": (1, ["--train.shards", "2", "--processes", "2"]),
}


def seconds(given: argparse.Namespace, threads: int, flags: list[str], out: Path) -> float:
    """The seconds of an epoch's steps and its validation; the training is stopped after it."""
    command = [sys.executable, "-P", "-m", "seewhy", "train", "--recipe", given.recipe]
    command += ["--data", given.data, "--data.limit", str(given.images), "--epochs", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command += ["--out", str(out), *flags]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as process:
        while not (rows := seewhy.Run(out).history):
            assert process.poll() is None, command
            time.sleep(0.2)
        process.terminate()
    return rows[-1]["seconds"]


def speed(given: argparse.Namespace) -> dict[str, Any]:
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        for turn in range(given.rounds):
            for way, (threads, flags) in WAYS.items():
                out = Path(home, f"{turn}-{way.replace(' ', '-')}")
                taken[way].append(seconds(given, threads, flags, out))
                print(way, f"{taken[way][-1]:.1f} s", flush=True)
    medians = {way: statistics.median(values) for way, values in taken.items()}
    gains = {way: medians["one thread"] / median for way, median in medians.items()}
    return {
        "recipe": given.recipe,
        "images": given.images,
        "seconds": taken,
        "times as fast as one thread": gains,
        "load at the start": busy,
    }


def accuracy(given: argparse.Namespace) -> dict[str, Any]:
    rows = {f"{shards} shards": {"with": {"train.shards": shards}} for shards in (2, 4)}
    plan = {"about": "shards", "recipe": given.recipe, "seeds": given.seeds, "rows": rows}
    overrides = {"data.limit": given.images, "train.epochs": given.epochs}
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, "plan.yaml")
        file.write_text(json.dumps(plan))
        start = time.time()
        result = seewhy.ablate(given.data, file, out=Path(home, "runs"), overrides=overrides)
    print(result.markdown())
    measured = {}
    for row in result.rows:
        change = row.difference
        measured[row.name] = {
            "accuracies": list(row.figures["accuracy"].values),
            "mean": row.figures["accuracy"].mean,
            "against none": change and [change.mean, change.low, change.high],
        }
    about = {"recipe": given.recipe, "images": given.images, "epochs": given.epochs}
    return {**about, "rows": measured, "seconds": time.time() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    for name in ("speed", "accuracy"):
        verb = verbs.add_parser(name)
        verb.add_argument("data")
        verb.add_argument("--recipe", default="resnet18" if name == "speed" else "thumbnails")
        verb.add_argument("--images", type=int, default=2000 if name == "speed" else 5000)
    verbs.choices["speed"].add_argument("--rounds", type=int, default=3)
    verbs.choices["accuracy"].add_argument("--epochs", type=int, default=8)
    verbs.choices["accuracy"].add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    record = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    record[given.what] = {"speed": speed, "accuracy": accuracy}[given.what](given)
    record["machine"] = describe()
    RESULT.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
