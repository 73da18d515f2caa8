"""Start-up: how long each verb takes to answer, above bare libraries, medians of 10 in turn.

    python benchmarks/startup.py

Every verb's `--help`, the verbs that read what is stored, and `predict` of one image by a shipped bundle,
above `python -c "import click, pydantic, yaml"` in the same run; and whether each loaded torch. Writes
`benchmarks/results/startup.json`.
"""

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

from seewhy.cli import VERBS

ROUNDS = 10
AT_MOST = {"predict": 2.0}  # seconds in all; the others 0.25 above the libraries, without torch
ABOVE = 0.25
LIBRARIES = "import click, pydantic, yaml"
# Installed packages are compiled once; SeeWhy must be too.
ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
LOADED = """
import sys
from seewhy.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write(str("torch" in sys.modules))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.png")
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(image)
        verbs = {f"{verb} --help": [verb, "--help"] for verb in VERBS}
        verbs |= {
            "--help": ["--help"],
            "recipes": ["recipes"],
            "info MODEL": ["info", "fast"],
            "models": ["models"],
            "predict": ["predict", "fast", str(image)],
        }
        commands = {name: ["-m", "seewhy", *arguments] for name, arguments in verbs.items()}
        libraries = {"libraries": ["-c", LIBRARIES], "torch": ["-c", "import torch"]}
        seconds = measure({**libraries, **commands})
        torch = {name: loads_torch(arguments) for name, arguments in verbs.items()}
    libraries, torch_alone = seconds.pop("libraries"), seconds.pop("torch")
    rows = {
        name: {
            "seconds": round(taken, 3),
            "above": round(taken - libraries, 3),
            "torch": torch[name],
            "met": taken <= AT_MOST[name]
            if name in AT_MOST
            else taken - libraries <= ABOVE and not torch[name],
        }
        for name, taken in seconds.items()
    }
    record = {
        "libraries": round(libraries, 3),
        "import torch": round(torch_alone, 3),
        "verbs": rows,
        "machine": describe(),
    }
    (Path(__file__).parent / "results" / "startup.json").write_text(json.dumps(record, indent=1))
    print(f"{LIBRARIES}: {libraries:.3f} s; import torch: {torch_alone:.3f} s\n")
    print(f"{'seewhy':<24}{'seconds':>9}{'above':>9}{'torch':>7}{'met':>5}")
    for name, row in rows.items():
        torch_, met = ("yes" if row[key] else "no" for key in ("torch", "met"))
        print(f"{name:<24}{row['seconds']:>9.3f}{row['above']:>9.3f}{torch_:>7}{met:>5}")


def measure(commands: dict[str, list[str]]) -> dict[str, float]:
    """The median seconds of each command; a first round, which fills the file cache, is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(1 + ROUNDS):
        for name, arguments in commands.items():
            start = time.perf_counter()
            run(arguments)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def loads_torch(arguments: list[str]) -> bool:
    return run(["-c", LOADED, *arguments]).stderr.endswith("True")


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=ENV)
    if done.returncode:
        sys.exit(f"{arguments} exited {done.returncode}\n{done.stderr[-1000:]}")
    return done


if __name__ == "__main__":
    main()
