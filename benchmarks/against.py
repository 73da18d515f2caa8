"""Whether training is no slower than in an older checkout: steps per second of both, in turn.

    python benchmarks/against.py OLD_CHECKOUT ../shared/data/cifar10 ../shared/data/hymenoptera

Runs `benchmarks/steps.py` of both checkouts for each recipe, several times in turn, and writes the median
ratio of images/s, new to old, to `benchmarks/results/against.json` and `.md`. Nothing else should run on the
machine at the same time.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

ROOT = Path(__file__).parent
RECIPES = ("simple-cnn", "regularized-cnn", "deep-augmented", "fast", "resnet18", "photos")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path)
    parser.add_argument("data", help="CIFAR-10")
    parser.add_argument("photos", help="a folder of photographs")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    checkouts = {"old": options.old.resolve(), "new": ROOT.parent}
    data = [str(Path(path).resolve()) for path in (options.data, options.photos)]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for side, checkout in checkouts.items():  # copies, since steps.py writes its results
            shutil.copytree(checkout / "benchmarks", Path(temporary, side))
        for recipe in options.recipes:
            speeds: dict[str, list[float]] = {side: [] for side in checkouts}
            for _ in range(options.rounds):
                for side, checkout in checkouts.items():
                    script = Path(temporary, side, "steps.py")
                    arguments = [*data, "--recipes", recipe, "--steps", str(options.steps)]
                    speeds[side].append(measure(script, checkout, arguments))
            ratios = [new / old for old, new in zip(*speeds.values(), strict=True)]
            rows.append({"recipe": recipe, **speeds, "ratio": statistics.median(ratios)})
            print(f"{recipe}: {rows[-1]['ratio']:.3f} times the old speed", file=sys.stderr)
    record = {"steps": options.steps, "rows": rows, "machine": describe()}
    (ROOT / "results" / "against.json").write_text(json.dumps(record, indent=1))
    (ROOT / "results" / "against.md").write_text(table(rows))
    print(table(rows))


def measure(script: Path, checkout: Path, arguments: list[str]) -> float:
    """Images/s of one recipe with the code of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script}: {done.stderr[-2000:]}")
    return float(re.findall(r": ([\d,]+) (?:images|pictures)", done.stderr)[0].replace(",", ""))


def table(rows: list[dict]) -> str:
    lines = ["| recipe | old, images/s | new, images/s | new / old |", "|---|---|---|---|"]
    for row in rows:
        old, new = (statistics.median(row[side]) for side in ("old", "new"))
        lines.append(f"| {row['recipe']} | {old:,.0f} | {new:,.0f} | {row['ratio']:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
