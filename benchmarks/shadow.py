"""What a challenger that answers unseen costs those that are shown: p99, and how many images it drops.

    python benchmarks/shadow.py [--rounds 5] [--seconds 10]

`fast` as ONNX, served in turn alone, recording its answers (`--feedback`), and with itself as challenger.
The capacity is what 64 connections reach of the recording server; then requests of one 32x32 PNG come at a
quarter and at half of it, whatever the answers (`tests/load.py`). Servers are compared within a round, as
other work on the machine slows all alike. Writes `benchmarks/results/shadow.json`.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from machine import describe
from serving import PORT, URL, cpu, image

import seewhy

RESULT = Path(__file__).parent / "results" / "shadow.json"
CLIENTS = 64
LOAD = Path(__file__).parents[1] / "tests" / "load.py"
SHARES = {"quarter": 0.25, "half": 0.5}
ADMIN = f"http://127.0.0.1:{PORT + 1000}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx = seewhy.export("fast", folder / "fast.onnx").file
        os.environ |= {"SEEWHY_REGISTRY": str(folder / "registry.db"), "OMP_NUM_THREADS": "1"}
        arms = {
            "alone": [],
            "recording": ["--feedback"],
            "challenger": [f"--challenger={onnx}"],
        }
        rounds = []
        for number in range(options.rounds):
            with served(onnx, arms["recording"]) as process:
                capacity = asked(process, 0, options.seconds)["per_second"]
            row: dict[str, Any] = {"capacity": capacity}
            for arm, flags in arms.items():
                with served(onnx, flags) as process:
                    for at, share in SHARES.items():
                        row[f"{arm} at a {at}"] = asked(process, share * capacity, options.seconds)
            rounds.append(row)
            print(number, row, flush=True)
    record = {"rounds": options.rounds, "seconds": options.seconds, **compared(rounds)}
    RESULT.write_text(json.dumps({**record, "rows": rounds, "machine": describe()}, indent=1))
    print(json.dumps(record, indent=1))


@contextmanager
def served(onnx: Path, flags: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose models are all ready, and warm."""
    command = [sys.executable, "-m", "seewhy", "serve", str(onnx), f"--port={PORT}", "--queue=128"]
    process = subprocess.Popen([*command, *flags], stderr=subprocess.DEVNULL)
    try:
        while not ready(bool([flag for flag in flags if "challenger" in flag])):
            time.sleep(0.1)
        asked(process, 20, 2)
        yield process
    finally:
        process.terminate()
        process.wait()


def operator() -> dict[str, str]:
    cache = Path(os.environ.get("SEEWHY_CACHE", Path.home() / ".cache" / "seewhy"))
    return {"Authorization": f"Bearer {(cache / 'serving' / 'admin-token').read_text()}"}


def ready(challenged: bool) -> bool:
    with suppress(httpx.TransportError, OSError):
        status = httpx.get(f"{ADMIN}/status", headers=operator(), verify=False).json()
        return status["ready"] and (not challenged or status["challenger"]["ready"])
    return False


def shadowed() -> dict[str, float]:
    """How many images the challenger has answered and dropped so far."""
    text = httpx.get(f"{ADMIN}/metrics", headers=operator(), verify=False).text
    found = re.findall(r'^seewhy_shadow_total\{outcome="(\w+)"\} (\S+)', text, re.MULTILINE)
    return {outcome: float(count) for outcome, count in found}


def asked(process: subprocess.Popen[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """What comes of requests at a rate, or, at 0, of 64 clients."""
    before, started = shadowed(), cpu(process.pid)
    request = httpx.Request("POST", f"{URL}/predict", files={"file": ("a.png", image())})
    lines = ["POST /predict HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.read()
    command = [sys.executable, str(LOAD), "127.0.0.1", *map(str, (PORT, rate, seconds, CLIENTS))]
    done = json.loads(subprocess.run(command, input=data, capture_output=True, check=True).stdout)
    times = done["times"].get("200", [])
    time.sleep(1)  # in which the last images come to the challenger
    after = shadowed()
    counts = {key: after[key] - before.get(key, 0) for key in after}
    total = sum(counts.values())
    return {
        "per_second": round(len(times) / done["seconds"], 1),
        "p50_ms": round(1000 * float(np.quantile(times, 0.5)), 2),
        "p99_ms": round(1000 * float(np.quantile(times, 0.99)), 2),
        "cpu_ms": round(1000 * (cpu(process.pid) - started) / len(times), 3),
        "not_answered": sum(len(one) for key, one in done["times"].items() if key != "200"),
        **({"dropped": round(1 - counts.get("answered", 0) / total, 4)} if total else {}),
    }


def compared(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds: p99 with a challenger to without, and what is dropped."""
    found: dict[str, Any] = {}
    for at in SHARES:
        for other in ("alone", "recording"):
            ratios = [
                row[f"challenger at a {at}"]["p99_ms"] / row[f"{other} at a {at}"]["p99_ms"]
                for row in rounds
            ]
            found[f"p99 at a {at}, to {other}"] = round(statistics.median(ratios), 3)
        dropped = [row[f"challenger at a {at}"]["dropped"] for row in rounds]
        found[f"dropped at a {at}"] = round(statistics.median(dropped), 4)
    return found


if __name__ == "__main__":
    main()
