"""Start-up: `seewhy --help` and `import seewhy`, above bare Python, medians of 15 in turn.

    python benchmarks/startup.py

Writes `benchmarks/results/startup.json`.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import seewhy": [sys.executable, "-c", "import seewhy"],
    "seewhy --help": [str(Path(sys.executable).parent / "seewhy"), "--help"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(16):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    found = {
        "seconds": medians,
        "above_python": {n: s - medians["python"] for n, s in medians.items() if n != "python"},
        "machine": describe(),
    }
    (Path(__file__).parent / "results" / "startup.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
