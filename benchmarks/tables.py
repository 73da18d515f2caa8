"""The references' tables, by ablation: each plan of `benchmarks/ablations/` trained and compared.

    python benchmarks/tables.py ../shared/data/cifar10 ../shared/data/hymenoptera [--plans four-steps ...]

Copies each table and picture to `benchmarks/results/ablations/`. The runs lie in `build/ablations/PLAN`;
one that is finished is not trained again, one that was interrupted goes on.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent
PLANS = sorted(path.stem for path in (ROOT / "ablations").glob("*.yaml"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cifar10")
    parser.add_argument("photos")
    parser.add_argument("--plans", nargs="+", choices=PLANS, default=PLANS)
    given = parser.parse_args()
    results = ROOT / "results" / "ablations"
    results.mkdir(parents=True, exist_ok=True)
    for plan in given.plans:
        data = given.photos if plan.startswith("photo-") else given.cifar10
        out = ROOT.parent / "build" / "ablations" / plan
        command = ["ablate", "--rows", str(ROOT / "ablations" / f"{plan}.yaml"), "--data", data]
        subprocess.run([sys.executable, "-m", "seewhy", *command, "--out", str(out)], check=True)
        shutil.copy(out / "ablation.md", results / f"{plan}.md")
        shutil.copy(out / "ablation.json", results / f"{plan}.json")
        shutil.copy(out / "figures" / "ablation.png", results / f"{plan}.png")


if __name__ == "__main__":
    main()
