"""Where a training step's time goes: images/s of every network, beside R0's and R4's in Keras.

    python benchmarks/steps.py ../shared/data/cifar10 ../shared/data/hymenoptera [--keras KERAS_PYTHON]

Each network is trained for `--steps` steps of its recipe, with the parts of the training loop and a clock
between them. With `--keras` (see keras_tutorial.py) the baseline runs after them. Writes
`benchmarks/results/steps.json` and `.md`; rows of other recipes stay as they are.
Nothing else should run on the machine at the same time.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from machine import describe, gflops

import seewhy
from seewhy.augment import augment
from seewhy.config.augment import AugmentConfig
from seewhy.inference.device import pick_amp, place
from seewhy.models.registry import build
from seewhy.training.batches import Batches
from seewhy.training.objectives import cross_entropy
from seewhy.training.optimisers import build_optimizer

ROOT = Path(__file__).parent
RECIPES = (
    *("advanced-cnn", "strided-cnn", "simple-cnn", "regularized-cnn", "deep-baseline"),
    *("deep-augmented", "resnet18", "fast"),
)
PHOTO_RECIPES = ("photo-cnn", "photos")
BASELINE = {  # by the baseline's name
    "advanced_cnn": "advanced-cnn",
    "advanced_cnn, not augmented": "advanced-cnn, not augmented",
    "strided_cnn": "strided-cnn",
}
PARTS = ("data", "augmentation", "forward", "backward", "optimiser")
WARM_UP = 10


def steps(recipe_name: str, data: str, count: int, augmented: bool = True) -> dict:
    """Seconds of `count` steps of a recipe, by part, after a few to warm up."""
    recipe = seewhy.load_recipe(recipe_name)
    config, augmentation = recipe.train, recipe.augment if augmented else AugmentConfig()
    splits = seewhy.load_data(data, recipe.data)
    size, classes = splits.rule.size, len(splits.classes)
    options = recipe.model.model_dump(exclude={"name"})
    network = build(recipe.model.name, num_classes=classes, size=size, **options)
    network.fit_input(splits.train.images)
    device = torch.device("cpu")
    place(network, device).train()
    optimizer, amp = build_optimizer(network, config), pick_amp(config.amp, device)
    objective = cross_entropy(config.label_smoothing)
    batch = config.batch_size
    epochs = -(-(count + WARM_UP) * batch // len(splits.train))
    batches = Batches(splits.train, size, batch, epochs, 0, augmentation)
    spent: Counter[str] = Counter()
    for step in range(count + WARM_UP):
        if step == WARM_UP:
            spent.clear()
        marks = [time.perf_counter()]
        rows = batches.rows(step)
        images = torch.from_numpy(np.ascontiguousarray(splits.train.images[rows]))
        targets = torch.eye(classes)[torch.from_numpy(splits.train.labels[rows])]
        marks.append(time.perf_counter())
        generator = torch.Generator().manual_seed(step)
        x, y = augment(images, targets, size, augmentation, generator)
        marks.append(time.perf_counter())
        with torch.autocast("cpu", amp) if amp else nullcontext():
            loss, _ = objective(network, x, y)
        marks.append(time.perf_counter())
        optimizer.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        loss.item()
        marks.append(time.perf_counter())
        spent.update(dict(zip(PARTS, np.diff(marks).tolist(), strict=True)))
    seconds = spent.total()
    return {
        "recipe": recipe_name + ("" if augmented else ", not augmented"),
        "net": recipe.model.name,
        "size": size,
        "batch": batch,
        "format": "bf16" if amp else "fp32",
        "images_per_second": batch * count / seconds,
        "share": {part: spent[part] / seconds for part in PARTS},
    }


def keras(python: str, data: str, count: int) -> dict[str, float]:
    command = [python, str(ROOT / "keras_tutorial.py"), data, "--steps", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)["images_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="CIFAR-10")
    parser.add_argument("photos", help="a folder of photographs")
    parser.add_argument("--keras", metavar="PYTHON")
    parser.add_argument("--recipes", nargs="+", default=RECIPES + PHOTO_RECIPES)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    path = ROOT / "results" / "steps.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {row["recipe"]: row for row in kept}
    for name in given.recipes:
        data = given.photos if name in PHOTO_RECIPES else given.data
        for augmented in (False, True) if name == "advanced-cnn" else (True,):
            row = steps(name, data, given.steps, augmented)
            rows[row["recipe"]] = row | {"steps": given.steps, "gflops": gflops()}
            print(f"{row['recipe']}: {row['images_per_second']:,.0f} images/s", file=sys.stderr)
    baseline = keras(given.keras, given.data, given.steps) if given.keras else {}
    for net, theirs in baseline.items():
        row = rows[BASELINE[net]]
        row["keras_images_per_second"] = theirs
        row["times_faster"] = row["images_per_second"] / theirs
    found = {
        "data": "CIFAR-10, JPEG copy; photographs for photo-cnn and photos",
        "rows": list(rows.values()),
        "machine": describe(),
    }
    path.write_text(json.dumps(found, indent=1, allow_nan=False))
    path.with_suffix(".md").write_text(table(found))
    print(table(found))


def table(found: dict) -> str:
    lines = [
        f"# Training steps on {found['machine']['cores']} cores",
        "",
        "| recipe | size | batch | format | machine, GFLOP/s | steps | images/s | Keras | times "
        f"| {' | '.join(PARTS)} |",
        "|---" * (9 + len(PARTS)) + "|",
    ]
    for row in found["rows"]:
        shares = " | ".join(f"{row['share'][part]:.0%}" for part in PARTS)
        theirs, times = row.get("keras_images_per_second"), row.get("times_faster")
        lines.append(
            f"| {row['recipe']} | {row['size']} | {row['batch']} | {row['format']} "
            f"| {row['gflops']:.0f} | {row['steps']} "
            f"| {row['images_per_second']:,.0f} | {f'{theirs:,.0f}' if theirs else ''} "
            f"| {f'{times:.1f}' if times else ''} | {shares} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
