"""How often `drift` raises a false alarm, what it finds, and how near its estimate of the accuracy comes.

    python benchmarks/drift.py ../shared/data/cifar10 [--model fast] [--size 200] [--logits]

The validation images of the model's own data are halved: one half is the reference, windows are drawn from
the other, clean and spoilt. 200 windows of `--size` clean images give the false alarms, 50 of each kind of
spoilt ones what is found; seconds are of one processor. Writes `benchmarks/results/drift.json`. Test is not
read. With `--logits` the embeddings are left out, as of a model that is served as ONNX: `drift-logits.json`.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from PIL import Image, ImageFilter

import seewhy
from seewhy.analysis.drift import drift

RESULT = Path(__file__).parent / "results" / "drift.json"
CLEAN, SPOILT = 200, 50  # windows


def jpeg(pixels: np.ndarray) -> np.ndarray:
    sink = BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=15)
    return np.asarray(Image.open(sink))


def noise(pixels: np.ndarray) -> np.ndarray:
    drawn = np.random.default_rng(int(pixels.sum())).normal(0, 25, pixels.shape)
    return np.clip(pixels + drawn, 0, 255).astype(np.uint8)


SPOIL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "dark": lambda pixels: (pixels * 0.5).astype(np.uint8),
    "grey": lambda pixels: np.repeat(
        np.asarray(Image.fromarray(pixels).convert("L"))[..., None], 3, 2
    ),
    "jpeg15": jpeg,
    "blur": lambda pixels: np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1))),
    "noise": noise,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--logits", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with seewhy.load(given.model) as classifier, classifier.in_full_precision():
        val = classifier.splits(given.data).val
        order = rng.permutation(len(val))
        known = val.take(order[: len(val) // 2])
        others = val.take(order[len(val) // 2 :])
        reference = classifier.predict_set(known, embed=True)
        predicted = {"clean": classifier.predict_set(others, embed=True)}
        for name, spoil in SPOIL.items():
            spoilt = seewhy.ImageSet(
                images=np.stack([spoil(one) for one in others.images]),
                labels=others.labels,
                classes=others.classes,
                ids=others.ids,
                hashes=others.hashes,
            )
            predicted[name] = classifier.predict_set(spoilt, embed=True)
    if given.logits:
        reference = replace(reference, embeddings=None)
    results: dict[str, Any] = {}
    for name, predictions in predicted.items():
        alarms, seconds, expected, truth = [], [], [], []
        for turn in range(CLEAN if name == "clean" else SPOILT):
            rows = rng.choice(len(predictions), given.size, replace=False)
            start = time.process_time()
            found = drift(reference, predictions.take(rows), seed=turn)
            seconds.append(time.process_time() - start)
            alarms.append(found.drifted)
            expected.append(found.expected.value)
            truth.append((predictions.predicted == predictions.labels)[rows].mean())
        results[name] = {
            "windows": len(alarms),
            "alarms": sum(alarms),
            "accuracy": float(np.mean(truth)),
            "expected": float(np.mean(expected)),
            "seconds": float(np.median(seconds)),
        }
        print(name, results[name], flush=True)
    record = {"model": given.model, "size": given.size, "data": "CIFAR-10 (JPEG copy), validation"}
    path = RESULT.with_name("drift-logits.json") if given.logits else RESULT
    path.write_text(json.dumps({**record, "kinds": results, "machine": describe()}, indent=1))


if __name__ == "__main__":
    main()
