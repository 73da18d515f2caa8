"""Where to compute, and in which number format."""

import functools
import itertools
from pathlib import Path

import torch
from torch import nn

from seewhy.errors import UsageError
from seewhy.floors import require
from seewhy.inference.memory import keep_freed_memory

require(torch)


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` prefers CUDA, then Apple's GPU, then the CPU.

    Raises `UsageError` for a device that is not here.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    if not available.get(name):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise UsageError(
            f"device={name} is not available on this machine with this PyTorch build: use {here}"
        )
    return torch.device(name)


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are; the CPU for one without any."""
    tensors = itertools.chain(network.parameters(), network.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to a device, its kernels laid out channels last, and gives it back.

    On a processor, memory is from then on kept for its next step (`keep_freed_memory`).
    """
    if device.type == "cpu":
        keep_freed_memory()
    for tensor in (*network.parameters(), *network.buffers()):
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        tensor.data = tensor.data.to(device, memory_format=layout)
    return network


def pick_amp(name: str, device: torch.device) -> torch.dtype | None:
    """The format of a training step: bfloat16, or None for float32.

    `auto` takes bfloat16 where the hardware multiplies it natively: CUDA from Ampere on, and processors
    with AVX-512 BF16 or AMX (elsewhere it is emulated and slower).
    """
    if name == "auto":
        name = "bf16" if has_native_bf16(device.type) else "fp32"
    return torch.bfloat16 if name == "bf16" else None


@functools.cache
def has_native_bf16(kind: str) -> bool:
    """Whether devices of a kind ("cpu", "cuda", "mps") multiply bfloat16 natively."""
    if kind == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if kind != "cpu":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
