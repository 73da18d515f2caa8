"""Loading: seconds for CIFAR-10 from parquet, cold and warm; anonymous memory against folder size.

    python benchmarks/loading.py ../shared/data/cifar10 [--few 10000] [--many 100000]

The memory part makes `--few` and `--many` JPEG images of 128x128, reads each folder into a fresh
cache, reads all stored images once, and again from the warm cache; the highest
anonymous resident memory (RssAnon) of each process is noted. Needs about 7 GB of disk for a while.
Writes `benchmarks/results/loading.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe
from PIL import Image

CHILD = """
import json, sys, time
import seewhy

start = time.perf_counter()
splits = seewhy.load_data(sys.argv[1], seewhy.DataConfig(size=int(sys.argv[2])))
seconds = time.perf_counter() - start
total = 0
for images in (splits.train.images, splits.val.images, splits.test.unseal().images):
    for first in range(0, len(images), 256):
        total += int(images[first : first + 256].sum())
print(json.dumps({"seconds": seconds, "sum": total, "note": splits.notes[0]}))
"""


def load(source: Path, size: int, cache: Path) -> dict[str, object]:
    """Loads a source in a process of its own, and watches that process's anonymous memory."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(size)],
        env={**os.environ, "SEEWHY_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while child.poll() is None:
        peak = max(peak, anonymous(child.pid))
        time.sleep(0.01)
    assert child.returncode == 0 and child.stdout is not None
    return {**json.loads(child.stdout.read()), "anonymous_peak_mb": peak / 1024}


def anonymous(pid: int) -> int:
    """RssAnon in KiB; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def make_images(folder: Path, count: int) -> None:
    """Writes smooth random images of 128x128 to ten class folders."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        image = coarse.resize((128, 128), Image.Resampling.BILINEAR)
        image.save(folder / str(number % 10) / f"{number:06}.jpg")


def cifar(source: Path, home: Path) -> dict[str, object]:
    cold = [load(source, 32, home / f"cifar{n}")["seconds"] for n in range(3)]
    warm = [load(source, 32, home / "cifar0")["seconds"] for _ in range(5)]
    return {
        "pictures": 60_000,
        "cold_seconds": cold,
        "warm_seconds": warm,
        "cold_median": statistics.median(cold),
        "warm_median": statistics.median(warm),
    }


def memory(home: Path, few: int, many: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for count in (few, many):
        folder, cache = home / f"images{count}", home / f"cache{count}"
        make_images(folder, count)
        cold, warm = load(folder, 128, cache), load(folder, 128, cache)
        assert cold["sum"] == warm["sum"]
        found[f"{count}"] = {"cold": cold, "warm": warm, "pixels_mb": count * 128 * 128 * 3 / 2**20}
        subprocess.run(["rm", "-r", str(folder), str(cache)], check=True)
    peaks = [
        {t: found[f"{n}"][t]["anonymous_peak_mb"] for t in ("cold", "warm")} for n in (few, many)
    ]
    found["growth_mb"] = {t: peaks[1][t] - peaks[0][t] for t in ("cold", "warm")}
    found["growth_bytes_a_picture"] = {
        t: growth * 2**20 / (many - few) for t, growth in found["growth_mb"].items()
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = {
            "command": "python benchmarks/loading.py " + " ".join(sys.argv[1:]),
            "cifar10_parquet": cifar(options.cifar10, Path(home)),
            "folders_of_128x128": memory(Path(home), options.few, options.many),
            "machine": describe(),
        }
    text = json.dumps(found, indent=1)
    (Path(__file__).parent / "results" / "loading.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
