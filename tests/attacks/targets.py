"""Good model files, and the refusal that a bad one must meet."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seewhy.config.input_rule import InputRule
from seewhy.errors import ModelFileError
from seewhy.inference.bundle import Bundle, load
from seewhy.models.registry import build

CLASSES = ("cat", "dög", "$owl$")


def trained(name: str = "simple_cnn", size: int = 4, **options: float) -> nn.Module:
    """A small network that looks trained: its statistics are not those it starts with."""
    torch.manual_seed(1)
    network = build(name, num_classes=3, size=size, **options)
    rng = np.random.default_rng(1)
    network.fit_input(rng.integers(0, 200, (64, size, size, 3), np.uint8))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.num_batches_tracked.fill_(2**40 + 1)
    return network


def bundle(network: nn.Module | None = None, **fields: object) -> Bundle:
    network = network or trained()
    size = getattr(network, "size", 4)
    return Bundle(network, CLASSES, InputRule(size=size, store=size), **fields)


class Own(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
        self.register_buffer("small", torch.tensor([1, -2], dtype=torch.int8))
        self.register_buffer("allowed", torch.tensor([True, False, True]))
        self.last = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).mean((2, 3)))


def refusal(path: Path, **options: nn.Module) -> str:
    """What `load` says of a file that it must refuse: one line that begins with the path."""
    with pytest.raises(ModelFileError) as caught:
        load(path, **options)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and "\n" not in said and len(said) < 1000
    return said.removeprefix(f"{path}: ")


def refused(data: bytes, folder: Path, **options: nn.Module) -> str:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return refusal(path, **options)


def same_state(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)
