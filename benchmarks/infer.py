"""What an answer costs beside the raw runtime, and one image of each size.

    python benchmarks/infer.py [--rounds 300]

One thread. For the shipped `fast` (32 pixels) and R3's network at 224 pixels (`photo_cnn`, random weights):
a raw ONNX Runtime session from a prepared array, our predictor from the same array, and the whole way from a
file (for 224 pixels a JPEG of 12 megapixels), by turns. Wanted: ours within 10% or 0.1 ms of the raw session;
`fast` at most 1.5 ms; R3's network below its 12 ms. Writes `benchmarks/results/infer.json`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from machine import describe
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.inference.bundle import Bundle, save
from seewhy.models.registry import build

RESULTS = Path(__file__).parent / "results" / "infer.json"


def photo_model(folder: Path) -> Path:
    """R3's network for photographs of ten classes, with random weights, which cost what trained ones do."""
    network = build("photo_cnn", num_classes=10, size=224)
    classes = tuple(f"class {k}" for k in range(10))
    path = folder / "photo.safetensors"
    save(Bundle(network, classes, InputRule(size=224, store=258)), path)
    return path


def by_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each way: median, mean and 99th percentile."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 10):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number >= 10:
                taken[name].append(1000 * (time.perf_counter() - start))
    return {
        name: {
            "p50": statistics.median(times),
            "mean": statistics.fmean(times),
            "p99": float(np.quantile(times, 0.99)),
        }
        for name, times in taken.items()
    }


def measure(
    model: str | Path, shape: tuple[int, int], rounds: int, folder: Path
) -> dict[str, object]:
    file = seewhy.export(model, folder / f"{Path(model).stem}.onnx").file
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    raw = ort.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (shape[0] // 8, shape[1] // 8, 3), np.uint8)
    image = folder / f"{Path(model).stem}.jpg"
    Image.fromarray(coarse).resize(shape[::-1]).save(image, quality=90)
    with seewhy.load(file, threads=1) as ours, seewhy.load(model) as bundle:
        side = ours.rule.size
        array = rng.integers(0, 256, (1, side, side, 3), np.uint8)
        ways: dict[str, Callable[[], object]] = {
            "raw runtime, array": lambda: raw.run(["logits"], {"images": array}),
            "ONNX file, array": lambda: ours.predictor.outputs(array),
            "bundle, array": lambda: bundle.predictor.outputs(array),
            "ONNX file, image file": lambda: ours.predict(image),
        }
        times = by_turns(ways, rounds)
    extra = times["ONNX file, array"]["p50"] - times["raw runtime, array"]["p50"]
    return {"size": side, "image": list(shape), "ms": times, "over the raw runtime, ms": extra}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = {
            "fast": measure("fast", (32, 32), given.rounds, folder),
            "R3's network": measure(photo_model(folder), (3000, 4000), given.rounds // 10, folder),
        }
    for model, found in results.items():
        print(model, json.dumps(found, indent=1))
    RESULTS.write_text(json.dumps({"models": results, "machine": describe()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
