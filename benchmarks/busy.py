"""Training on a core that somebody else uses: seconds of an epoch, alone and beside a process that computes.

    python benchmarks/busy.py ../shared/data/cifar10 [--rounds 3]

An epoch of `fast` on 10,000 images, three ways in turn: alone, beside a busy process, and beside it with the
two threads that the machine has cores for, which is what PyTorch takes by itself. The epoch is the second of
two, so that start-up is not counted. Writes `benchmarks/results/busy.json`: medians over the rounds, and
their ratios to the epoch alone of the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import describe

import seewhy

RESULT = Path(__file__).parent / "results" / "busy.json"
OPTIONS = ("--data.limit=10000", "--train.epochs=2", "--train.progressive=none")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    found: dict[str, list[float]] = {"alone": [], "beside": [], "beside, a thread a core": []}
    for _ in range(given.rounds):
        found["alone"].append(epoch_seconds(given.data))
        with busy_process():
            found["beside"].append(epoch_seconds(given.data))
            found["beside, a thread a core"].append(epoch_seconds(given.data, threads=cores))
    ratios = {
        name: statistics.median(
            one / alone for one, alone in zip(taken, found["alone"], strict=True)
        )
        for name, taken in found.items()
    }
    record = {
        "seconds": found,
        "medians": {name: statistics.median(taken) for name, taken in found.items()},
        "ratios": ratios,
        "machine": describe(),
    }
    RESULT.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    print(json.dumps(record, indent=1))


def epoch_seconds(data: str, threads: int | None = None) -> float:
    """Seconds of the second epoch of a training in a process of its own."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment = own if threads is None else {**own, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = ["train", "--recipe=fast", f"--data={data}", f"--out={out}", *OPTIONS]
        subprocess.run(
            [sys.executable, "-m", "seewhy", *command],
            env=environment,
            check=True,
            capture_output=True,
        )
        first, second = (row["seconds"] for row in seewhy.Run(out).history)
        return second - first


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that computes within the block."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
