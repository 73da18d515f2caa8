"""What pruning costs in accuracy: `fast` with fewer channels, and with zeros, before and after fine-tuning.

    python benchmarks/prune.py ../shared/data/cifar10 [--train 4000] [--val 2000] [--epochs 3] [--batch 128]

The images are the first of the training and of the validation split of `fast` itself; test is not read.
Each narrower network is fine-tuned with several learning rates, as shares of the recipe's, and trained from
random weights for as many epochs. Fine-tuned zeros are set to zero again. With so few images the batch is
smaller than the recipe's, and all learning rates are in proportion; steps are averaged (`ema`) only where a
row says so. One thread. Writes `benchmarks/results/prune.json` after each row, and continues from it.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe

import seewhy
from seewhy.exporters import prune
from seewhy.inference import bundle as bundles

RESULT = Path(__file__).parent / "results" / "prune.json"
MODEL = "fast"
RATES = {0.5: (0.1, 0.3, 1.0), 0.75: (0.1, 0.3)}  # by the share of the channels that is kept
EMA = 0.98  # the recipe's
SPARSE_RATES = {0.5: (), 0.8: (0.1,)}


def subset(data: str, train: int, val: int, file: Path) -> str:
    """Some images of the splits, as a file."""
    splits = seewhy.load_data(data, seewhy.load_recipe(MODEL).data)
    parts = {"train": (splits.train, train), "val": (splits.val, val)}
    arrays: dict[str, Any] = {"classes": np.array(splits.classes)}
    for name, (images, count) in parts.items():
        arrays |= {
            f"{name}_images": np.asarray(images.images[:count]),
            f"{name}_labels": images.labels[:count],
        }
    np.savez(file, **arrays)
    return str(file)


class Bench:
    """The rows so far, and what the next ones need."""

    def __init__(self, data: str, epochs: int, batch: int, home: Path) -> None:
        self.data, self.home = data, home
        recipe = seewhy.load_recipe(MODEL).train
        self.rate = recipe.lr * batch / recipe.batch_size
        self.fixed = {"train.epochs": epochs, "train.batch_size": batch, "train.ema": None}
        self.rows: dict[str, dict[str, Any]] = {}
        if RESULT.is_file():
            self.rows = json.loads(RESULT.read_text())["rows"]

    def row(self, name: str, make: Callable[[], bundles.Bundle]) -> None:
        """Measures a model unless that was done before."""
        if name in self.rows:
            return
        started = time.monotonic()
        self.rows[name] = self.measured(make())
        self.rows[name]["minutes"] = round((time.monotonic() - started) / 60, 1)
        record = {"training": self.fixed, "machine": describe(), "rows": self.rows}
        RESULT.write_text(json.dumps(record, indent=1))
        print(name, self.rows[name], flush=True)

    def tuned(self, start: bundles.Bundle | None, share: float, **changes: float) -> bundles.Bundle:
        """Trains from `start`, or with random weights, at a share of the learning rate.

        `changes` are other fields of the recipe, "__" for the dot in their names.
        """
        init = None
        if start is not None:
            init = self.home / "start.safetensors"
            bundles.save(start, init, overwrite=True)
        changed = {name.replace("__", "."): value for name, value in changes.items()}
        overrides = {**self.fixed, "train.lr": self.rate * share, **changed}
        out = Path(tempfile.mkdtemp(dir=self.home), "run")
        run = seewhy.train(self.data, MODEL, out=out, init=init, overrides=overrides)
        return bundles.load(run.model)

    def measured(self, bundle: bundles.Bundle) -> dict[str, float]:
        """Accuracy on validation images, and the bytes of the bundle, plain and by gzip."""
        file = self.home / "measured.safetensors"
        bundles.save(bundle, file, overwrite=True)
        with seewhy.load(file, device="cpu") as model:
            accuracy = seewhy.evaluate(model, self.data, "val")[0].accuracy
        return {
            "accuracy": accuracy.value,
            "low": accuracy.low,
            "high": accuracy.high,
            "bytes": file.stat().st_size,
            "gzip_bytes": len(gzip.compress(file.read_bytes(), 6)),
        }


def narrowed(bench: Bench, parent: bundles.Bundle, keep: float, shares: tuple[float, ...]) -> None:
    start, name = prune.structured(parent, keep), f"{keep} of the channels"
    bench.row(name, lambda: start)
    for share in shares:
        bench.row(f"{name}, fine-tuned, lr x {share}", partial(bench.tuned, start, share))
    averaged = f"{name}, fine-tuned, lr x {shares[0]}, ema {EMA}"
    bench.row(averaged, lambda: bench.tuned(start, shares[0], train__ema=EMA))
    bench.row(f"width {keep}, random weights", lambda: bench.tuned(None, 1, model__width=keep))


def sparse(
    bench: Bench, parent: bundles.Bundle, sparsity: float, shares: tuple[float, ...]
) -> None:
    start, name = prune.magnitude(parent, sparsity), f"{sparsity} of the weights at zero"
    bench.row(name, lambda: start)
    for share in shares:
        tune = partial(bench.tuned, start, share)
        bench.row(
            f"{name}, fine-tuned, lr x {share}",
            lambda tune=tune: prune.magnitude(tune(), sparsity),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--train", type=int, default=4_000)
    parser.add_argument("--val", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        data = subset(given.data, given.train, given.val, home / "images.npz")
        bench = Bench(data, given.epochs, given.batch, home)
        parent = bundles.load(Path(seewhy.__file__).parent / "weights" / f"{MODEL}.safetensors")
        bench.row(MODEL, lambda: parent)
        for keep, shares in RATES.items():
            narrowed(bench, parent, keep, shares)
        for sparsity, shares in SPARSE_RATES.items():
            sparse(bench, parent, sparsity, shares)


if __name__ == "__main__":
    main()
