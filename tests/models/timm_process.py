"""Runs networks of timm, in a process of its own, where the torchvision that timm imports is a stub.

    python timm_process.py

Each line of standard input is a request as JSON: `name` and `options` of a network, `seed` and the file
`images` of its input; it is answered by a line, once the network's state and logits are in the file `answer`.
"""

import json
import sys
from enum import Enum
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import safetensors.torch
import torch

MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "box", "hamming", "lanczos")


class Stub(ModuleType):
    """A module in which every public name is an empty class."""

    InterpolationMode = Enum("InterpolationMode", {m.upper().replace("-", "_"): m for m in MODES})

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class StubFinder(MetaPathFinder, Loader):
    """Finds torchvision, and all modules within it, as stubs."""

    def find_spec(self, name, path=None, target=None):
        return (
            ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "torchvision" else None
        )

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


def answer(request):
    """Builds the network with random weights, also in its norms, and runs it on the images."""
    torch.manual_seed(request["seed"])
    network = timm.create_model(request["name"], **request["options"]).eval()
    for (
        key,
        tensor,
    ) in network.state_dict().items():  # vectors that start as zeros or ones hide mistakes
        if tensor.ndim == 1 and key.endswith(("weight", "running_var")):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.normal_(0, 0.1)
    with torch.no_grad():
        logits = network(safetensors.torch.load_file(request["images"])["images"])
    state = {f"state.{key}": tensor.contiguous() for key, tensor in network.state_dict().items()}
    safetensors.torch.save_file({**state, "logits": logits}, request["answer"])


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print their warnings
    sys.meta_path.insert(0, StubFinder())
    import timm

    for line in sys.stdin:
        answer(json.loads(line))
        print("done", file=answers, flush=True)
