"""Copies the trained models of `cifar10.py` (seed 0) into the package, each with its model card.

    python benchmarks/ship.py

The weights are the runs' own bundles, byte for byte; the cards' metrics are those of the benchmark and of
this run's validation and test splits.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path

import seewhy
from seewhy.text import counted

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "cifar10"
WEIGHTS = ROOT.parent / "src" / "seewhy" / "weights"

BESIDE = """
## Over seeds

- **Data**: CIFAR-10 (Krizhevsky 2009) in a JPEG copy (quality 75)
- **Test accuracy, JPEG copy**: {mean:.2%} over {seeds}{spread}
- **Use it for** learning, demonstrations, tests, and as a start for fine-tuning (`--init {name}`)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--names", nargs="+", default=["simple-cnn", "regularized-cnn", "fast", "best"]
    )
    given = parser.parse_args()
    results = json.loads((ROOT / "results" / "cifar10.json").read_text())
    for name in given.names:
        run = RUNS / f"{name}-0"
        file = WEIGHTS / f"{name}.safetensors"
        shutil.copyfile(run / "model.safetensors", file)
        seeds = [r["test_accuracy"] for r in results["runs"] if r["recipe"] == name]
        card = WEIGHTS / f"{name}.md"
        card.unlink(missing_ok=True)
        header = seewhy.info(run, out=card).header
        beside = BESIDE.format(
            name=name,
            seeds=counted(len(seeds), "seed"),
            mean=statistics.mean(seeds),
            spread=f", standard deviation {statistics.stdev(seeds):.2%}" if len(seeds) > 1 else "",
        )
        card.write_text(card.read_text() + beside)
        print(f"{name}: {header.size:,} bytes, {header.digest[:16]}")


if __name__ == "__main__":
    main()
