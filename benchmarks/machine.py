"""What machine a benchmark ran on and how fast it was, to compare results."""

import os
import platform
import statistics
import time
from pathlib import Path

import torch


def gflops(dtype: torch.dtype = torch.bfloat16, side: int = 2048, rounds: int = 20) -> float:
    """GFLOP/s of a square matrix product, the median of `rounds`."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    a @ b
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(seconds) / 1e9


def effective_pflop(seconds: float, rate: float) -> float:
    """What the machine could have computed in that time: seconds x GFLOP/s / 1e6."""
    return seconds * rate / 1e6


def describe() -> dict[str, object]:
    """The processor, its cores and the versions."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next(
            (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model
        )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
