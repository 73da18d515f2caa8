"""Small objects: a feature pyramid against plain pooled ResNet-18 where a small object decides the class.

    python benchmarks/small_objects.py [--seeds 3] [--out FILE]

Images of 64 pixels, generated: a background of coloured noise, lines and rectangles, and upon it one object
of 8 pixels, a black and white tile whose pattern is the class: stripes across, stripes down, a chequerboard
or a frame. It covers 1.6% of the image. 1,500 images for training, 200 for validation, 1,000 for testing, the
same for every network and seed; nothing is chosen on the test images. `pooled` is ResNet-18, `pyramid` is
`fpn`, both with ImageNet's stem and a quarter of the width, trained in the same way. Reported: test accuracy,
and how often the highest pixel of Grad-CAM for the true class lies on the object or at most 2 pixels from it
(of a random pixel: 3.5%).
Writes `benchmarks/results/small-objects.json`, after every run.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from PIL import Image, ImageDraw

import seewhy

SIDE, OBJECT, NEAR = 64, 8, 2
CLASSES = ("across", "chequered", "down", "frame")
COUNTS = {"train": 1500, "val": 200, "test": 1000}
NETWORKS = {
    "pooled": {"model.name": "resnet18", "model.width": 0.25, "model.stem": "imagenet"},
    "pyramid": {"model.name": "fpn", "model.width": 0.25, "model.stem": "imagenet"},
}
TRAINING = {
    "data.size": SIDE,
    "train.epochs": 8,
    "train.batch_size": 32,
    "train.optimizer": "adam",
    "train.lr": 0.003,
    "train.weight_decay": None,
    "train.amp": "fp32",
    "augment.crop_padding": None,
    "augment.padding_mode": None,
}


def colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def tile(kind: str) -> np.ndarray:
    """The object, uint8 (8, 8, 3)."""
    row, column = np.indices((OBJECT, OBJECT)) // 2 % 2
    down, across = np.indices((OBJECT, OBJECT))
    patterns = {
        "across": row,
        "down": column,
        "chequered": row ^ column,
        "frame": (np.minimum(down, across) < 2) | (np.maximum(down, across) >= OBJECT - 2),
    }
    return np.repeat(patterns[kind][..., None], 3, axis=2).astype(np.uint8) * 255


def image(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    """An image uint8 (64, 64, 3), and the object's upper left corner."""
    noise = Image.fromarray(rng.integers(60, 196, (6, 6, 3), np.uint8))
    canvas = noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    for _ in range(6):
        x, y, across, down = rng.integers(-20, SIDE, 2).tolist() + rng.integers(16, 40, 2).tolist()
        if rng.random() < 0.5:
            draw.line((x, y, x + across, y + down), colour(rng), int(rng.integers(1, 4)))
        else:
            draw.rectangle((x, y, x + across, y + down), colour(rng))
    x, y = (int(value) for value in rng.integers(2, SIDE - OBJECT - 2, 2))
    canvas.paste(Image.fromarray(tile(kind)), (x, y))
    values = np.asarray(canvas).astype(np.int64) + rng.integers(-12, 13, (SIDE, SIDE, 3))
    return values.clip(0, 255).astype(np.uint8), (x, y)


def split(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels and corners of a split, classes equally often."""
    rng = np.random.default_rng([*COUNTS].index(name))
    labels = np.arange(COUNTS[name]) % len(CLASSES)
    images, corners = zip(*(image(CLASSES[label], rng) for label in labels), strict=True)
    return np.stack(images), labels, np.array(corners)


def pointing(run: seewhy.Run, images: np.ndarray, labels: np.ndarray, corners: np.ndarray) -> float:
    """The share of Grad-CAM's maps whose highest pixel lies on the object or close by."""
    model = seewhy.load(run.model, device="cpu").module()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    highest = seewhy.grad_cam(model, x, torch.from_numpy(labels)).flatten(1).argmax(1).numpy()
    at = np.stack([highest % SIDE, highest // SIDE], 1)
    inside = (at >= corners - NEAR) & (at < corners + OBJECT + NEAR)
    return float(inside.all(1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=NETWORKS)
    default = Path(__file__).parent / "results" / "small-objects.json"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = {name: split(name) for name in COUNTS}
    names = np.array(CLASSES)
    data = {name: (images, names[labels]) for name, (images, labels, _) in parts.items()}
    images, labels, corners = parts["test"]
    results: dict[str, dict[str, object]] = {}
    for name in options.networks:
        rows = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                overrides = TRAINING | NETWORKS[name] | {"train.seed": seed}
                run = seewhy.train(data, "resnet18", out=Path(folder) / "run", overrides=overrides)
                seconds = time.perf_counter() - start
                _, predictions = seewhy.evaluate(run.path, data, "test")
                rows.append(
                    {
                        "seed": seed,
                        "accuracy": float((predictions.predicted == predictions.labels).mean()),
                        "pointing": pointing(run, images, labels, corners),
                        "seconds": round(seconds),
                    }
                )
            print(name, rows[-1], file=sys.stderr)
            results[name] = {"settings": NETWORKS[name], "runs": rows}
            for figure in ("accuracy", "pointing", "seconds"):
                values = [row[figure] for row in rows]
                std = statistics.stdev(values) if len(values) > 1 else None
                results[name][figure] = {"mean": statistics.mean(values), "std": std}
            record = {"machine": describe(), "training": TRAINING, "networks": results}
            options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
