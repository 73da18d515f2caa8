"""The references' tables, by ablation: each plan of `benchmarks/ablations/` trained and compared.

    python benchmarks/tables.py ../shared/data/cifar10 ../shared/data/hymenoptera [--plans four-steps ...]

Copies each table and figure to `benchmarks/results/ablations/`, with the gradient norms of each row's first
seed where its recipe records them. The runs are in `build/ablations/PLAN`;
a finished one is not trained again, an interrupted one continues.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import seewhy
from seewhy.plots.network import gradient_norms

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
        photos = plan.startswith("photo-")
        data = given.photos if photos else given.cifar10
        out = ROOT.parent / "build" / "ablations" / plan
        command = ["ablate", "--rows", str(ROOT / "ablations" / f"{plan}.yaml"), "--data", data]
        subprocess.run([sys.executable, "-m", "seewhy", *command, "--out", str(out)], check=True)
        measured = "hymenoptera" if photos else "CIFAR-10, JPEG copy"
        text = (out / "ablation.md").read_text("utf-8")
        (results / f"{plan}.md").write_text(f"Measured on {measured}.\n\n{text}", "utf-8")
        shutil.copy(out / "ablation.json", results / f"{plan}.json")
        shutil.copy(out / "figures" / "ablation.png", results / f"{plan}.png")
        for run in map(seewhy.Run, sorted(out.glob("*/seed-0"))):
            if rows := run.gradient_norms:
                name = f"{plan}-{run.path.parent.name}-gradient-norms.png"
                (results / name).write_bytes(gradient_norms(rows))


if __name__ == "__main__":
    main()
