"""What a training takes: the most memory, and the disk for the environment, the cache and the run.

    python benchmarks/footprint.py ../shared/data/cifar10 ../shared/data/hymenoptera

One epoch of each recipe, with a cache of its own. Writes `benchmarks/results/footprint.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

ROOT = Path(__file__).parent


def megabytes(folder: Path) -> float:
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    return sum(p.stat().st_blocks * 512 for p in files) / 1e6


def training(recipe: str, data: str) -> dict[str, float | str]:
    with tempfile.TemporaryDirectory() as folder:
        cache, run = Path(folder, "cache"), Path(folder, "run")
        command = [sys.executable, "-m", "seewhy", "train", "--recipe", recipe, "--data", data]
        process = subprocess.Popen(
            [*command, "--epochs", "1", "--out", str(run)],
            env=os.environ | {"SEEWHY_CACHE": str(cache)},
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, command
        return {
            "recipe": recipe,
            "memory_mb": usage.ru_maxrss * 1024 / 1e6,  # kilobytes on Linux
            "cache_mb": megabytes(cache),
            "run_mb": megabytes(run),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cifar10")
    parser.add_argument("photos")
    given = parser.parse_args()
    found = {
        "environment_mb": megabytes(Path(sys.prefix)),
        "trainings": [
            training("digits", "digits"),
            training("simple-cnn", given.cifar10),
            training("fast", given.cifar10),
            training("photos", given.photos),
            training("photo-cnn", given.photos),
        ],
        "machine": describe(),
    }
    (ROOT / "results" / "footprint.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
