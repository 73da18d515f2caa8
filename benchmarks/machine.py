"""What machine a benchmark ran on and how fast it was, to compare results."""

import os
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import nn


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


def reference_step(images: int = 2000, rounds: int = 5) -> float:
    """Seconds of a training step in the shape of airbench's, the median of `rounds` after one.

    The published speedrun, 8 epochs of 25 such steps, is 200 of these: the unit of `speedruns`.
    """

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
        )

    first = nn.Conv2d(3, 24, 2)
    first.weight.requires_grad_(False)
    network = nn.Sequential(
        *(first, nn.GELU(), block(24, 64), block(64, 256), block(256, 256)),
        *(nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10)),
    ).to(memory_format=torch.channels_last)
    x = torch.randn(images, 3, 32, 32).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (images,))
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x)
        nn.functional.cross_entropy(logits.float(), y).backward()
        network.zero_grad()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def speedruns(seconds: float, step: float) -> float:
    """What a training cost, as a share of the published speedrun's on the same machine in the same hour."""
    return seconds / (200 * step)


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
