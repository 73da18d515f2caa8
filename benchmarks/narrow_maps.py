"""What the gradients of kernels on narrow maps cost, PyTorch's own and of images side by side.

    OMP_NUM_THREADS=1 python benchmarks/narrow_maps.py

Medians of alternating rounds, in bfloat16: the backward pass of a 3x3 convolution of 256 channels and a batch
of 512, by the side of its maps, and whole steps (forward and backward) of networks. Writes
`benchmarks/results/narrow_maps.json`.
"""

import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from machine import describe
from torch import nn

from seewhy.inference.memory import keep_freed_memory
from seewhy.models.registry import build
from seewhy.training.narrow_maps import SideBySide

RESULT = Path(__file__).parent / "results" / "narrow_maps.json"
SIDES, ROUNDS = (1, 2, 3, 4, 5, 6, 7, 8), 5
STEPS = (
    ("speednet", {"channels": (64, 256, 256)}, 32, 2000),
    ("speednet", {"channels": (64, 256, 256)}, 20, 2000),
    ("resnet18", {}, 32, 128),
    ("simple_cnn", {}, 32, 64),
)


def milliseconds(network: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """The time of a backward pass for a convolution, and of both passes for a network."""
    found: dict[str, list[float]] = {"plain": [], "side by side": []}
    side_by_side = SideBySide()
    for _ in range(ROUNDS + 1):
        for name, seconds in found.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16):
                y = network(x)
            if isinstance(network, nn.Conv2d):
                start = time.perf_counter()
            useful = name != "plain" and side_by_side.useful
            with side_by_side if useful else nullcontext():
                y.float().sum().backward()
            seconds.append(1000 * (time.perf_counter() - start))
            network.zero_grad()
    return {name: round(statistics.median(seconds[1:]), 2) for name, seconds in found.items()}


def main() -> None:
    keep_freed_memory()
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    for side in SIDES:
        layer = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
        x = torch.randn(512, 256, side, side).to(memory_format=torch.channels_last)
        rows.append(
            {"what": f"kernel of 256 x 256 channels, maps of {side}", **milliseconds(layer, x)}
        )
        print(rows[-1], flush=True)
    for name, options, size, batch in STEPS:
        network = build(name, num_classes=10, size=size, **options).train()
        network = network.to(memory_format=torch.channels_last)
        x = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
        what = f"step of {name}, {size} pixels, batch {batch}"
        rows.append({"what": what, **milliseconds(network, x)})
        print(rows[-1], flush=True)
    record = {"threads": torch.get_num_threads(), "rows": rows, "machine": describe()}
    RESULT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
