"""What a pack costs and gains against the cache: reading, memory, training at 224 pixels, thumbnails.

    python benchmarks/pack.py ../shared/data [--images 100000] [--steps 40]

`../shared/data` holds hymenoptera (398 photographs) and cifar10. A pack of `--images` repeats the JPEGs of
the photographs. Trainings on the cache and on the pack of the same images take turns, step by step, in one
process of one thread (OMP_NUM_THREADS=1), so that what else the machine does slows both. Rates are also given
by seconds of the processor, which other work hardly changes. Writes `benchmarks/results/pack.json`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import seewhy
from seewhy.data.pack import About, new_pack
from seewhy.data.shards import open_pack

RESULT = Path(__file__).parent / "results" / "pack.json"
READS, ROUNDS, WARM = 2_000, 100, 5
# One process alone, since its memory is measured: reads a pack in random order.
READER = """
import json, resource, sys, time
import numpy as np
import seewhy
rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
splits = seewhy.load_data(sys.argv[1], seewhy.DataConfig(size=224))
opened, train = rss(), splits.train
rows = np.random.default_rng(0).integers(0, len(train), 2_000)
start = time.process_time()
for part in np.split(rows, 2_000 // 50):
    train.images[part]
seconds = time.process_time() - start
print(json.dumps({"images": sum(splits.sizes.values()), "opened_mb": opened, "read_mb": rss(),
    "decoded_per_cpu_second": 2_000 / seconds, "torch": "torch" in sys.modules}))
"""


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def large(source: Path, out: Path, count: int) -> None:
    """A pack of `count` images, which repeats those of another."""
    pack = open_pack(source)
    about = pack.about
    with new_pack(out) as writer:
        for number in range(count):
            row = number % len(pack)
            facts = pack.rows[row]
            digest = number.to_bytes(16, "big")  # each is an image of its own
            shape = (int(facts["width"]), int(facts["height"]))
            split = ("train", "val")[number % 10 == 0]
            writer.add(pack.read(row), digest, shape, int(facts["label"]), split)
        ids = [f"{number:07}.jpg" for number in range(count)]
        facts = {"raw": False, "layout": "folders", "classes": about.classes, "merged": []}
        labels = np.array([0, 1, -1])
        writer.finish(About(rule=about.rule, ids=ids, groups=None, **facts), labels)


def reads(path: Path) -> Any:
    """Images a second, verified and not decoded, in random order by one thread."""
    pack = open_pack(path)
    rng = np.random.default_rng(0)
    wall, cpu = [], []
    for _ in range(ROUNDS):
        rows = rng.integers(0, len(pack), READS).tolist()
        start, begun = time.perf_counter(), time.process_time()
        for row in rows:
            pack.read(row)
        wall.append(READS / (time.perf_counter() - start))
        cpu.append(READS / (time.process_time() - begun))
    return {
        "per_second": {"median": statistics.median(wall), "best": max(wall)},
        "per_cpu_second": {"median": statistics.median(cpu), "best": max(cpu)},
    }


def training(data: dict[str, Path], recipe: str, steps: int, overrides: dict[str, Any]) -> Any:
    """The median seconds of a step on each data, whose steps take turns, and their ratios to the first."""
    home = Path(tempfile.mkdtemp())
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in data}
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(
                seewhy.training_events(path, recipe, out=home / name, overrides=overrides)
            )
            for name, path in data.items()
        }
        for number in range(steps + WARM):
            for name in sorted(runs, reverse=bool(number % 2)):
                start, cpu = time.perf_counter(), time.process_time()
                for event in runs[name]:
                    if hasattr(event, "images_per_second"):
                        break
                if number >= WARM:
                    times = time.perf_counter() - start, time.process_time() - cpu
                    seconds[name].append(times)
    shutil.rmtree(home)
    first = np.array(seconds[next(iter(data))])
    found = {}
    for name, times in seconds.items():
        wall, cpu = np.median(times, 0).tolist()
        ratio, cpu_ratio = np.median(first / np.array(times), 0).tolist()
        found[name] = {"seconds": wall, "cpu": cpu, "ratio": ratio, "cpu_ratio": cpu_ratio}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    os.environ["SEEWHY_CACHE"] = str(home / "cache")
    photos, cifar = given.data / "hymenoptera", given.data / "cifar10"
    record: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:
        record[name] = value
        print(name, value, flush=True)

    start = time.process_time()
    done = seewhy.pack_data(photos, home / "photos.pack")
    note("packed_per_cpu_second", done.images / (time.process_time() - start))
    note("bytes_each", {"pack": done.bytes / done.images, "cache": 3 * done.side**2})
    large(home / "photos.pack", home / "large.pack", given.images)
    note("large_bytes", (home / "large.pack").stat().st_size)
    note("reads", reads(home / "large.pack"))
    called = subprocess.run(
        [sys.executable, "-c", READER, home / "large.pack"], capture_output=True, text=True
    )
    note("large", json.loads(called.stdout.splitlines()[-1]))
    (home / "large.pack").unlink()
    both = {"cache": photos, "pack": home / "photos.pack"}
    settings = {"train.epochs": 1000, "train.batch_size": 8}
    note("train_224_photo_cnn", training(both, "photo-cnn", given.steps, settings))
    settings |= {"model.name": "resnet18", "model.batch_norm_momentum": None}
    note("train_224_resnet18", training(both, "photo-cnn", given.steps // 3, settings))
    thumbnails = {"cache": cifar}
    for kind, raw in (("pack", False), ("raw", True)):
        path = thumbnails[kind] = home / f"cifar-{kind}.pack"
        seewhy.pack_data(cifar, path, raw=raw)
        note(f"cifar_{kind}", {"bytes": path.stat().st_size, "reads": reads(path)})
    note("train_32_fast", training(thumbnails, "fast", given.steps // 2, {"train.epochs": 1000}))
    shutil.rmtree(home)
    from machine import describe

    RESULT.write_text(json.dumps({**record, "machine": describe()}, indent=1))


if __name__ == "__main__":
    main()
