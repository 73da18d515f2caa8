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

ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "cifar10"
WEIGHTS = ROOT.parent / "src" / "seewhy" / "weights"

CARD = """# {name}

{about}.

- **Network**: {net}, {parameters:,} parameters stored as float16 where they are kernels or matrices;
  {size:.1f} MB.
- **Input**: the centre of an image as {side}x{side} RGB. **TTA views averaged**: {views}.
- **Classes**: {classes}.
- **Trained on** the 50,000 training images of CIFAR-10 (Krizhevsky 2009) in a JPEG copy (quality 75), of
  which 5,000 were held for validation: recipe `{name}`, seed 0, {epochs} epochs.
- **Test accuracy, JPEG copy**: {test:.2%} (95% interval {low:.2%} to {high:.2%}); over {seeds} seed(s)
  {mean:.2%}{spread}. Log loss {nll:.3f}, calibration error {ece:.2%}.
- **Weakest classes** (recall on test): {weakest}.

## Use it for

Learning, demonstrations, tests, and as a start for fine-tuning (`--init {name}`). It knows ten classes of
small images, predicts one of them for any image at all, and its confidence means little on images unlike
CIFAR-10's. Do not let it decide anything about people.

Digest: `{digest}`
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", nargs="+", default=["simple-cnn", "regularized-cnn", "fast"])
    given = parser.parse_args()
    results = json.loads((ROOT / "results" / "cifar10.json").read_text())
    for name in given.names:
        run = RUNS / f"{name}-0"
        file = WEIGHTS / f"{name}.safetensors"
        shutil.copyfile(run / "model.safetensors", file)
        header = seewhy.info(file).header
        about, test = header.metadata, json.loads((run / "metrics.json").read_text())["test"]
        seeds = [r["test_accuracy"] for r in results["runs"] if r["recipe"] == name]
        weakest = sorted(test["per_class"].items(), key=lambda item: item[1]["recall"])[:3]
        card = CARD.format(
            name=name,
            about=about.facts["recipe"]["about"],
            net=about.architecture.name,
            parameters=seewhy.load(file).predictor.parameters,
            size=header.size / 1e6,
            side=about.rule.size,
            views=", ".join(about.views),
            classes=", ".join(about.classes),
            epochs=about.facts["epochs"],
            test=test["accuracy"]["value"],
            low=test["accuracy"]["low"],
            high=test["accuracy"]["high"],
            seeds=len(seeds),
            mean=statistics.mean(seeds),
            spread=f", standard deviation {statistics.stdev(seeds):.2%}" if len(seeds) > 1 else "",
            nll=test["nll"],
            ece=test["ece"],
            weakest=", ".join(f"{label} {row['recall']:.1%}" for label, row in weakest),
            digest=header.digest,
        )
        (WEIGHTS / f"{name}.md").write_text(card)
        print(f"{name}: {header.size:,} bytes, {header.digest[:16]}")


if __name__ == "__main__":
    main()
