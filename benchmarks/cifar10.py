"""Accuracy and cost on CIFAR-10: three recipes over three seeds, beside the tutorial baseline.

    python benchmarks/cifar10.py ../shared/data/cifar10 [--recipes fast simple-cnn ...]
    python benchmarks/cifar10.py ../shared/data/cifar10 --recipes fast --epochs 2 4 6 8 --seeds 1

The latter is the curve of a recipe: what shorter trainings reach. Writes `benchmarks/results/cifar10.json`
and `.md`. Each run is in `build/cifar10/RECIPE-SEED`; a finished one is not trained again, an interrupted one
continues. A cost in speedruns is that of the whole command, divided by 200 reference steps
(`machine.reference_step`) measured before and after it; that of an interrupted run is the sum over its parts,
each the recorded time of its steps by the reference step before it.
Nothing else should run on the machine at the same time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from machine import describe, reference_step, speedruns

import seewhy
from seewhy.config.recipe import load_recipe

ROOT = Path(__file__).parent
RESULTS = ROOT / "results"
RUNS = ROOT.parent / "build" / "cifar10"
SEEWHY = [sys.executable, "-m", "seewhy"]
BASELINES = ("simple-cnn", "regularized-cnn")
# Test accuracy that the texts give on the original images, from which these recipes are taken.
TEXTS = {
    "simple-cnn": 0.72,
    "regularized-cnn": 0.72,
    "advanced-cnn": 0.8787,
    "deep-augmented": 0.8626,
}


def one_run(recipe: str, seed: int, data: str, epochs: int | None = None) -> dict:
    """Trains one run unless it is finished, evaluates it on test, and returns the results.

    `epochs` are those of the recipe if None.
    """
    name = recipe if epochs is None else f"{recipe}, {epochs} epochs"
    run = RUNS / f"{recipe}-{seed}" if epochs is None else RUNS / f"{recipe}-{epochs}-epochs-{seed}"
    length = [] if epochs is None else ["--epochs", str(epochs)]
    facts, parts = run / "benchmark.json", RUNS / f"{run.name}-parts.json"
    if not facts.exists():
        fresh = not (run / "config.yaml").exists()
        before = reference_step()
        begun = [] if fresh else json.loads(parts.read_text())
        begun.append({"second": 0.0 if fresh else recorded_seconds(run), "step": before})
        parts.write_text(json.dumps(begun))
        start = time.perf_counter()
        command = ["train", "--recipe", recipe, "--data", data, "--seed", str(seed), "--resume"]
        subprocess.run(
            [*SEEWHY, *command, *length, "--out", str(run)], check=True, stdout=subprocess.DEVNULL
        )
        wall = time.perf_counter() - start
        step = statistics.mean([before, reference_step()])
        if fresh:
            cost = {"seconds": wall, "speedruns": speedruns(wall, step)}
        else:
            ends = [part["second"] for part in begun[1:]] + [recorded_seconds(run)]
            cost = {
                "seconds": ends[-1],
                "speedruns": sum(
                    speedruns(end - part["second"], part["step"])
                    for part, end in zip(begun, ends, strict=True)
                ),
            }
        cost |= {"reference_step": step, "threads": torch.get_num_threads()}
        facts.write_text(json.dumps(cost))
    command = ["evaluate", str(run), "--data", data, "--split", "test", "--json"]
    done = subprocess.run([*SEEWHY, *command], check=True, stdout=subprocess.PIPE, text=True)
    test = json.loads(done.stdout)
    return {
        "recipe": name,
        "seed": seed,
        "test_accuracy": test["accuracy"]["value"],
        "nll": test["nll"],
        "ece": test["ece"],
        **json.loads(facts.read_text()),
    }


def recorded_seconds(run: Path) -> float:
    """Seconds of training until the last epoch that ended."""
    rows = seewhy.Run(run).history
    return rows[-1]["seconds"] if rows else 0.0


def baseline(recipe: str, data: str) -> dict:
    """The results of the full tutorial training; measured only once."""
    kept = RUNS / f"tutorial-{recipe}.json"
    if not kept.exists():
        command = [sys.executable, str(ROOT / "tutorial.py"), recipe, data]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        kept.write_text(done.stdout)
    return json.loads(kept.read_text())


def epoch_seconds(recipe: str, data: str) -> tuple[float, float]:
    """Seconds of one epoch, SeeWhy's and the tutorial's in turn: the medians of three of each."""
    ours, theirs = [], []
    for turn in range(3):
        run = RUNS / f"speed-{recipe}-{turn}"
        if not run.exists():
            command = [
                "train",
                "--recipe",
                recipe,
                "--data",
                data,
                "--epochs",
                "2",
                "--out",
                str(run),
            ]
            subprocess.run([*SEEWHY, *command], check=True, stdout=subprocess.DEVNULL)
        rows = [line.split(",") for line in (run / "history.csv").read_text().split()[1:]]
        pictures = 45_000  # 10% are for validation, which the epoch's time includes
        ours.append((float(rows[1][-1]) - float(rows[0][-1])) / pictures * 50_000)
        kept = RUNS / f"speed-tutorial-{recipe}-{turn}.json"
        if not kept.exists():
            command = [sys.executable, str(ROOT / "tutorial.py"), recipe, data, "--epochs", "1"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            kept.write_text(done.stdout)
        theirs.append(json.loads(kept.read_text())["seconds_per_epoch"])
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--recipes", nargs="+", default=["simple-cnn", "regularized-cnn", "fast"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, nargs="+", help="other lengths of the recipes")
    given = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "cifar10.json"
    found = json.loads(path.read_text()) if path.exists() else {"runs": [], "baselines": []}
    for recipe in given.recipes:
        for epochs in given.epochs or [None]:
            runs = [one_run(recipe, seed, given.data, epochs) for seed in range(given.seeds)]
            name = runs[0]["recipe"]
            found["runs"] = [r for r in found["runs"] if r["recipe"] != name] + runs
        if recipe in BASELINES and given.epochs is None:
            ours, theirs = epoch_seconds(recipe, given.data)
            entry = {
                **baseline(recipe, given.data),
                "epoch_seconds_50000": theirs,
                "seewhy_epoch_seconds_50000": ours,
                "times_faster": theirs / ours,
            }
            found["baselines"] = [b for b in found["baselines"] if b["net"] != recipe] + [entry]
        found["data"], found["machine"] = "CIFAR-10, JPEG copy", describe()
        path.write_text(json.dumps(found, indent=1, allow_nan=False))
        path.with_suffix(".md").write_text(table(found))
    print(table(found))


def table(found: dict) -> str:
    lines = [
        f"# CIFAR-10 ({found['data'].split(', ')[1]}), test split, {found['machine']['cores']} cores",
        "",
        "| recipe | seeds | test accuracy, mean (sd) | threads | seconds | speedruns |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in dict.fromkeys(run["recipe"] for run in found["runs"]):
        runs = [run for run in found["runs"] if run["recipe"] == recipe]
        accuracies = [run["test_accuracy"] for run in runs]
        spread = f" ({statistics.stdev(accuracies):.2%})" if len(runs) > 1 else ""
        seconds = statistics.mean(run["seconds"] for run in runs)
        costs = [run["speedruns"] for run in runs if "speedruns" in run]
        cost = f"{statistics.mean(costs):.2f}" if costs else ""
        lines.append(
            f"| {recipe} | {len(runs)} | {statistics.mean(accuracies):.2%}{spread} "
            f"| {runs[0]['threads']} | {seconds:.0f} | {cost} |"
        )
    lines += [
        "",
        "Recipes taken from a text, at its own number of epochs (docs/log.md has the tested causes):",
        "",
        "| recipe | epochs | its text, original images | here, JPEG copy | difference in points |",
        "|---|---|---|---|---|",
    ]
    for recipe, there in TEXTS.items():
        if accuracies := [r["test_accuracy"] for r in found["runs"] if r["recipe"] == recipe]:
            here = statistics.mean(accuracies)
            epochs = load_recipe(recipe).train.epochs
            lines.append(
                f"| {recipe} | {epochs} | {there:.1%} | {here:.1%} | {100 * (here - there):+.1f} |"
            )
    lines += [
        "",
        "| tutorial baseline | test accuracy (1 seed) | s an epoch of 50,000 | SeeWhy's | times faster |",
        "|---|---|---|---|---|",
    ]
    for row in found["baselines"]:
        lines.append(
            f"| {row['net']} | {row['test_accuracy']:.2%} | {row['epoch_seconds_50000']:.1f} "
            f"| {row['seewhy_epoch_seconds_50000']:.1f} | {row['times_faster']:.1f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
